#include "config/assignment.h"

#include <fmt/format.h>

#include "base/text.h"
#include "config/yaml_tree.h"

namespace infermesh::config {
namespace {

constexpr std::string_view kPrefix = "INFERMESH_";
constexpr std::string_view kKeyPrefix = "INFERMESH_KEY_";

SettingId id_of(const SettingInfo& info) {
  return static_cast<SettingId>(&info - setting_table().data());
}

std::vector<std::string> split_items(const SettingInfo& info, std::string_view text) {
  if (!info.is_list()) return {std::string(text)};
  std::vector<std::string> items;
  for (std::string_view item : split(text, ',')) {
    if (item = trim(item); !item.empty()) items.emplace_back(item);
  }
  return items;
}

std::vector<std::string> names_of(Verbs verbs, std::string_view SettingInfo::* name) {
  std::vector<std::string> names;
  for (const SettingInfo& info : setting_table()) {
    if (info.verbs == verbs) names.emplace_back(info.*name);
  }
  return names;
}

const SettingInfo* find_by(std::string_view SettingInfo::* name, std::string_view text) {
  for (const SettingInfo& info : setting_table()) {
    if (info.*name == text) return &info;
  }
  return nullptr;
}

bool is_switch_word(std::string_view text) {
  bool ignored = false;
  return read_value(text, ignored, Limits{}).empty();
}

// Kubernetes gives every pod INFERMESH_SERVICE_HOST, INFERMESH_PORT_6400_TCP and the like when a
// service is called infermesh or infermesh-something; they are not meant for us.
bool is_service_link(std::string_view name, std::string_view value) {
  return name.find("_SERVICE_HOST") != std::string_view::npos ||
         name.find("_SERVICE_PORT") != std::string_view::npos ||
         name.find("_TCP_") != std::string_view::npos ||
         name.find("_UDP_") != std::string_view::npos || value.starts_with("tcp://") ||
         value.starts_with("udp://");
}

class FlagReader {
 public:
  FlagReader(std::span<const std::string> arguments, Verbs verbs, Problems& problems)
      : arguments_(arguments), verbs_(verbs), problems_(problems) {}

  std::vector<Assignment> read() {
    while (at_ < arguments_.size()) read_one(arguments_[at_++]);
    return std::move(assignments_);
  }

 private:
  void read_one(std::string_view argument) {
    if (!argument.starts_with("--")) {
      complain(fmt::format("unexpected argument \"{}\"", argument));
      return;
    }
    const auto equals = argument.find('=');
    const std::string_view flag = argument.substr(0, equals);
    const bool negated = flag.starts_with("--no-");
    const std::string positive = negated ? fmt::format("--{}", flag.substr(5)) : std::string(flag);
    const SettingInfo* info = find_by(&SettingInfo::flag, positive);
    if (info == nullptr || info->verbs != verbs_ || (negated && info->type != "bool")) {
      complain(fmt::format("unknown flag \"{}\"{}", flag,
                           suggestion(flag, names_of(verbs_, &SettingInfo::flag))));
      skip_value_of_unknown(equals);
      return;
    }
    if (equals != std::string_view::npos) {
      if (negated) return complain(fmt::format("{} takes no value", flag));
      return add(*info, argument.substr(equals + 1));
    }
    if (info->type == "bool") return add(*info, switch_value(negated));
    if (at_ == arguments_.size() || arguments_[at_].starts_with("--")) {
      return complain(fmt::format("{} needs a value, {}", flag, info->placeholder));
    }
    add(*info, arguments_[at_++]);
  }

  std::string_view switch_value(bool negated) {
    if (negated) return "off";
    if (at_ < arguments_.size() && is_switch_word(arguments_[at_])) return arguments_[at_++];
    return "on";
  }

  // The value of a misspelt flag is not a mistake of its own.
  void skip_value_of_unknown(std::size_t equals) {
    if (equals == std::string_view::npos && at_ < arguments_.size() &&
        !arguments_[at_].starts_with("--")) {
      ++at_;
    }
  }

  void add(const SettingInfo& info, std::string_view value) {
    std::vector<std::string> items = split_items(info, value);
    for (Assignment& earlier : assignments_) {
      if (earlier.id != id_of(info)) continue;
      if (!info.is_list()) earlier.items.clear();
      earlier.items.insert(earlier.items.end(), items.begin(), items.end());
      return;
    }
    assignments_.push_back(
        {id_of(info), std::move(items), {Layer::kFlag, std::string(info.flag)}, {}});
  }

  void complain(std::string message) { problems_.push_back({{}, 0, 0, std::move(message)}); }

  std::span<const std::string> arguments_;
  std::size_t at_ = 0;
  Verbs verbs_;
  Problems& problems_;
  std::vector<Assignment> assignments_;
};

}  // namespace

std::vector<Assignment> assignments_of_flags(std::span<const std::string> arguments, Verbs verbs,
                                             Problems& problems) {
  return FlagReader(arguments, verbs, problems).read();
}

std::vector<Assignment> assignments_of_environment(std::span<const std::string> environment,
                                                   Verbs verbs, Problems& problems) {
  std::vector<Assignment> assignments;
  for (std::string_view variable : environment) {
    const auto equals = variable.find('=');
    if (!variable.starts_with(kPrefix) || equals == std::string_view::npos) continue;
    const std::string_view name = variable.substr(0, equals);
    const std::string_view value = variable.substr(equals + 1);
    if (name.starts_with(kKeyPrefix) || value.empty()) continue;
    const SettingInfo* info = find_by(&SettingInfo::env, name);
    if (info == nullptr) {
      if (is_service_link(name, value)) continue;
      problems.push_back({{},
                          0,
                          0,
                          fmt::format("unknown environment variable {}{}", name,
                                      suggestion(name, names_of(verbs, &SettingInfo::env)))});
      continue;
    }
    if (info->verbs != verbs) continue;
    assignments.push_back(
        {id_of(*info), split_items(*info, value), {Layer::kEnvironment, std::string(name)}, {}});
  }
  return assignments;
}

namespace {

Problem at(const std::string& file, const YamlNode& node, std::string message) {
  return {file, node.line, node.column, std::move(message)};
}

std::string unknown_key(const std::string& key) {
  if (key == "kind" || key == "spec") {
    return fmt::format(
        "\"{}\" belongs to a mesh object; put objects into the folder that `objects` names", key);
  }
  return fmt::format("unknown key \"{}\"{}", key,
                     suggestion(key, names_of(Verbs::kServer, &SettingInfo::name)));
}

// The items of a value: a scalar, or for lists a sequence of scalars.
bool items_of(const std::string& file, const SettingInfo& info, const YamlNode& value,
              std::vector<std::string>& items, Problems& problems) {
  if (value.kind == YamlNode::Kind::kScalar) {
    items = split_items(info, value.text);
    return true;
  }
  if (value.kind != YamlNode::Kind::kSequence || !info.is_list()) {
    problems.push_back(
        at(file, value,
           fmt::format("{} takes {}, not {}", info.name, info.is_list() ? "a list" : "one value",
                       to_string(value.kind))));
    return false;
  }
  for (const YamlNode& item : value.items) {
    if (item.kind != YamlNode::Kind::kScalar) {
      problems.push_back(
          at(file, item, fmt::format("{} holds text, not {}", info.name, to_string(item.kind))));
      return false;
    }
    items.push_back(item.text);
  }
  return true;
}

}  // namespace

std::vector<Assignment> assignments_of_file(const std::string& file, const std::string& text,
                                            Problems& problems) {
  auto documents = parse_yaml(file, text);
  if (!documents) {
    problems.insert(problems.end(), documents.error().begin(), documents.error().end());
    return {};
  }
  std::vector<Assignment> assignments;
  if (documents->empty()) return assignments;
  const YamlNode& root = documents->front();
  if (documents->size() > 1) {
    problems.push_back(at(file, (*documents)[1], "a settings file is one document"));
  }
  if (root.kind != YamlNode::Kind::kMap) {
    problems.push_back(at(file, root, "a settings file is a map of `name: value`"));
    return assignments;
  }
  for (const YamlEntry& entry : root.entries) {
    const SettingInfo* info = find_setting(entry.key);
    if (info == nullptr || info->verbs != Verbs::kServer || info->name == "config") {
      problems.push_back({file, entry.line, entry.column, unknown_key(entry.key)});
      continue;
    }
    Assignment assignment{id_of(*info), {}, {}, {file, entry.value.line, entry.value.column, {}}};
    assignment.origin = {Layer::kFile, fmt::format("{}:{}:{}", file, entry.line, entry.column)};
    if (items_of(file, *info, entry.value, assignment.items, problems)) {
      assignments.push_back(std::move(assignment));
    }
  }
  return assignments;
}

}  // namespace infermesh::config

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/json_text.h"
#include "base/text.h"
#include "config/object_table.h"
#include "config/objects.h"

namespace infermesh::config {
namespace {

bool is_plain_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("._/@+-:").find(c) != std::string_view::npos;
}

// Whether YAML reads the bare text as that text, whatever its reader's version.
bool is_plain(std::string_view text) {
  constexpr std::array<std::string_view, 9> kWords{"true", "false", "yes", "no", "on",
                                                   "off",  "null",  "y",   "n"};
  const auto is_word = [&](std::string_view word) { return iequals(word, text); };
  const bool letter_first =
      (text[0] >= 'a' && text[0] <= 'z') || (text[0] >= 'A' && text[0] <= 'Z');
  return letter_first && std::all_of(text.begin(), text.end(), is_plain_char) &&
         !text.ends_with(':') && std::none_of(kWords.begin(), kWords.end(), is_word);
}

// JSON's texts are YAML's double-quoted ones.
std::string yaml_text(std::string_view text) {
  if (!text.empty() && is_plain(text)) return std::string(text);
  std::string quoted;
  append_json_string(quoted, text);
  return quoted;
}

std::string_view bare(FieldForm form, std::string_view item) {
  if (form == FieldForm::kSwitch) return item == "on" ? "true" : "false";
  return item;
}

bool is_bare(FieldForm form) {
  return form == FieldForm::kNumber || form == FieldForm::kSwitch;
}

template <typename Object>
std::string yaml_of(ObjectKind kind, const Object& object) {
  std::string out = fmt::format("kind: {}\nname: {}\n", to_string(kind), yaml_text(object.name));
  std::string spec;
  for (const FieldInfo<Object>& field : object_fields<Object>()) {
    const auto items = field.items(object, field.limits);
    if (items.empty()) continue;
    if (field.form == FieldForm::kList) {
      spec += fmt::format("  {}:\n", field.name);
      for (const std::string& item : items) spec += fmt::format("    - {}\n", yaml_text(item));
    } else if (is_bare(field.form)) {
      spec += fmt::format("  {}: {}\n", field.name, bare(field.form, items[0]));
    } else {
      spec += fmt::format("  {}: {}\n", field.name, yaml_text(items[0]));
    }
  }
  return spec.empty() ? out : out + "spec:\n" + spec;
}

void append_json_items(std::string& out, const std::vector<std::string>& items) {
  char separator = '[';
  for (const std::string& item : items) {
    out += separator;
    append_json_string(out, item);
    separator = ',';
  }
  out += ']';
}

template <typename Object>
std::string json_of(ObjectKind kind, const Object& object) {
  std::string out = fmt::format("{{\"kind\":\"{}\",\"name\":", to_string(kind));
  append_json_string(out, object.name);
  out += ",\"spec\":{";
  bool first = true;
  for (const FieldInfo<Object>& field : object_fields<Object>()) {
    const auto items = field.items(object, field.limits);
    if (items.empty()) continue;
    out += fmt::format("{}\"{}\":", first ? "" : ",", field.name);
    first = false;
    if (field.form == FieldForm::kList) {
      append_json_items(out, items);
    } else if (is_bare(field.form)) {
      out += bare(field.form, items[0]);
    } else {
      append_json_string(out, items[0]);
    }
  }
  return out + "}}";
}

template <typename Visit>
void for_each_object(const ObjectSet& set, Visit visit) {
  for (const auto& object : set.engines) visit(object);
  for (const auto& object : set.pools) visit(object);
  for (const auto& object : set.models) visit(object);
  for (const auto& object : set.policies) visit(object);
  for (const auto& object : set.runtimes) visit(object);
}

}  // namespace

std::string to_yaml(const EngineObject& object) {
  return yaml_of(ObjectKind::kEngine, object);
}
std::string to_yaml(const PoolObject& object) {
  return yaml_of(ObjectKind::kPool, object);
}
std::string to_yaml(const ModelObject& object) {
  return yaml_of(ObjectKind::kModel, object);
}
std::string to_yaml(const RoutingPolicyObject& object) {
  return yaml_of(ObjectKind::kRoutingPolicy, object);
}

std::string to_yaml(const RuntimeObject& object) {
  return yaml_of(ObjectKind::kRuntime, object);
}

std::string to_json(const EngineObject& object) {
  return json_of(ObjectKind::kEngine, object);
}
std::string to_json(const PoolObject& object) {
  return json_of(ObjectKind::kPool, object);
}
std::string to_json(const ModelObject& object) {
  return json_of(ObjectKind::kModel, object);
}
std::string to_json(const RoutingPolicyObject& object) {
  return json_of(ObjectKind::kRoutingPolicy, object);
}

std::string to_json(const RuntimeObject& object) {
  return json_of(ObjectKind::kRuntime, object);
}

std::string to_yaml(const ObjectSet& objects) {
  std::string out;
  for_each_object(objects, [&](const auto& object) {
    if (!out.empty()) out += "---\n";
    out += to_yaml(object);
  });
  return out;
}

std::string to_json(const ObjectSet& objects) {
  std::string out = "[";
  for_each_object(objects, [&](const auto& object) {
    if (out.size() > 1) out += ',';
    out += to_json(object);
  });
  return out + ']';
}

}  // namespace infermesh::config

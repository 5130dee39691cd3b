#include "config/objects.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "base/ids.h"
#include "config/object_table.h"
#include "config/yaml_tree.h"

namespace infermesh::config {
namespace {

constexpr std::array<std::string_view, kObjectKinds> kKindNames{"Engine", "Pool", "Model",
                                                                "RoutingPolicy", "Runtime"};

struct Place {
  std::string file;
  int line = 0;
  int column = 0;

  std::string text() const { return fmt::format("{}:{}:{}", file, line, column); }
};

// A text that names another object.
struct Reference {
  std::string owner;  // Pool "chat"
  std::string_view field;
  ObjectKind kind{};
  std::string name;
  Place place;
};

class SetReader {
 public:
  explicit SetReader(const PoolObject& pool_defaults) : pool_defaults_(pool_defaults) {}

  void read_file(const ObjectText& file) {
    file_ = file.name;
    auto documents = parse_yaml(file.name, file.text);
    if (!documents) {
      problems_.insert(problems_.end(), documents.error().begin(), documents.error().end());
      return;
    }
    for (const YamlNode& document : *documents) read_document(document);
  }

  std::expected<ObjectSet, Problems> finish() {
    check_references();
    check_addresses();
    check_tls();
    check_aliases();
    if (set_.engines.size() > kEndpointsMax) {
      problems_.push_back({{},
                           0,
                           0,
                           fmt::format("{} engines are described, the limit is {}",
                                       set_.engines.size(), kEndpointsMax)});
    }
    if (!problems_.empty()) return std::unexpected(std::move(problems_));
    return std::move(set_);
  }

 private:
  void complain(const Place& place, std::string message) {
    problems_.push_back({place.file, place.line, place.column, std::move(message)});
  }
  Place at(const YamlNode& node) const { return {file_, node.line, node.column}; }
  Place at(const YamlEntry& entry) const { return {file_, entry.line, entry.column}; }

  void read_document(const YamlNode& document) {
    if (document.kind != YamlNode::Kind::kMap) {
      return complain(at(document),
                      fmt::format("an object is a map with kind, name and spec, not {}",
                                  to_string(document.kind)));
    }
    const auto kind = read_kind(document);
    if (!kind) return;
    const auto name = read_name(document, *kind);
    const std::string owner =
        fmt::format("{} \"{}\"", kKindNames[static_cast<std::size_t>(*kind)], name.value_or("?"));
    for (const YamlEntry& entry : document.entries) {
      if (entry.key != "kind" && entry.key != "name" && entry.key != "spec") {
        complain(at(entry), unknown_part(entry.key, owner));
      }
    }
    switch (*kind) {
      case ObjectKind::kEngine:
        return read_spec(document, owner, name, EngineObject{}, set_.engines);
      case ObjectKind::kPool:
        return read_spec(document, owner, name, pool_defaults_, set_.pools);
      case ObjectKind::kModel:
        return read_spec(document, owner, name, ModelObject{}, set_.models);
      case ObjectKind::kRoutingPolicy:
        return read_spec(document, owner, name, RoutingPolicyObject{}, set_.policies);
      case ObjectKind::kRuntime:
        return read_spec(document, owner, name, RuntimeObject{}, set_.runtimes);
    }
  }

  static std::string unknown_part(const std::string& key, const std::string& owner) {
    if (key == "metadata" || key == "apiVersion") {
      return fmt::format("unknown key \"{}\" in {}; an object has only kind, name and spec", key,
                         owner);
    }
    return fmt::format("unknown key \"{}\" in {}{}", key, owner,
                       suggestion(key, {"kind", "name", "spec"}));
  }

  std::optional<ObjectKind> read_kind(const YamlNode& document) {
    const YamlEntry* entry = document.find("kind");
    if (entry == nullptr || entry->value.kind != YamlNode::Kind::kScalar) {
      complain(
          at(document),
          "the object has no kind; write `kind: Engine`, Pool, Model, RoutingPolicy or Runtime");
      return std::nullopt;
    }
    for (std::size_t i = 0; i < kObjectKinds; ++i) {
      if (kKindNames[i] == entry->value.text) return static_cast<ObjectKind>(i);
    }
    const std::vector<std::string> names(kKindNames.begin(), kKindNames.end());
    complain(at(entry->value), fmt::format("unknown kind \"{}\"{}", entry->value.text,
                                           suggestion(entry->value.text, names)));
    return std::nullopt;
  }

  std::optional<std::string> read_name(const YamlNode& document, ObjectKind kind) {
    const YamlEntry* entry = document.find("name");
    if (entry == nullptr || entry->value.kind != YamlNode::Kind::kScalar) {
      complain(at(document), fmt::format("the {} has no name", to_string(kind)));
      return std::nullopt;
    }
    std::string name;
    const Complaint complaint =
        read_value(entry->value.text, name, {0, kNoMaximum, {}, ValueKind::kName});
    if (!complaint.empty()) {
      complain(at(entry->value), complaint);
      return std::nullopt;
    }
    auto& names = names_[static_cast<std::size_t>(kind)];
    const auto [first, added] = names.emplace(name, at(entry->value));
    if (!added) {
      complain(at(entry->value), fmt::format("{} \"{}\" is defined twice, first at {}",
                                             to_string(kind), name, first->second.text()));
      return std::nullopt;
    }
    return name;
  }

  template <typename Object>
  void read_spec(const YamlNode& document, const std::string& owner,
                 const std::optional<std::string>& name, Object object,
                 std::vector<Object>& objects) {
    object.name = name.value_or("");
    const YamlEntry* spec = document.find("spec");
    static const YamlNode kNoSpec;
    const YamlNode& fields = spec == nullptr ? kNoSpec : spec->value;
    if (fields.kind != YamlNode::Kind::kMap && fields.kind != YamlNode::Kind::kNull) {
      return complain(at(fields), fmt::format("the spec of {} is a map, not {}", owner,
                                              to_string(fields.kind)));
    }
    const std::size_t before = problems_.size();
    for (const YamlEntry& entry : fields.entries) read_field(entry, owner, object);
    for (const FieldInfo<Object>& field : object_fields<Object>()) {
      if (field.required && fields.find(field.name) == nullptr) {
        complain(at(document), fmt::format("{} has no {}, which is required", owner, field.name));
      }
    }
    if constexpr (std::is_same_v<Object, RuntimeObject>) {
      if (problems_.size() == before) check_runtime(document, owner, object);
    }
    if (name) objects.push_back(std::move(object));
  }

  // What its fields together must satisfy, shown at the field where it does not.
  void check_runtime(const YamlNode& document, const std::string& owner,
                     const RuntimeObject& object) {
    if (parse_runtime(object.name)) {
      complain(at(document), fmt::format("{}: a built-in runtime has this name", owner));
    }
    const auto checked = check_runtime_object(object);
    if (checked) return;
    const YamlEntry* spec = document.find("spec");
    const YamlEntry* field = spec == nullptr ? nullptr : spec->value.find(checked.error().param);
    complain(field == nullptr ? at(document) : at(*field),
             fmt::format("{} in {}: {}", checked.error().param, owner, checked.error().detail));
  }

  template <typename Object>
  void read_field(const YamlEntry& entry, const std::string& owner, Object& object) {
    std::vector<std::string> names;
    for (const FieldInfo<Object>& field : object_fields<Object>()) {
      if (field.name == entry.key) return set_field(field, entry, owner, object);
      names.emplace_back(field.name);
    }
    complain(at(entry), fmt::format("unknown key \"{}\" in {}{}", entry.key, owner,
                                    suggestion(entry.key, names)));
  }

  template <typename Object>
  void set_field(const FieldInfo<Object>& field, const YamlEntry& entry, const std::string& owner,
                 Object& object) {
    const bool is_list = field.form == FieldForm::kList;
    std::vector<const YamlNode*> nodes;
    if (is_list && entry.value.kind == YamlNode::Kind::kSequence) {
      for (const YamlNode& item : entry.value.items) nodes.push_back(&item);
    } else {
      nodes.push_back(&entry.value);
    }
    std::vector<std::string> items;
    for (const YamlNode* node : nodes) {
      if (node->kind != YamlNode::Kind::kScalar) {
        return complain(at(*node), fmt::format("{} in {} takes {}, not {}", field.name, owner,
                                               is_list ? "a list of texts" : "one value",
                                               to_string(node->kind)));
      }
      if (const Complaint complaint = check_item(field, object, node->text); !complaint.empty()) {
        return complain(at(*node), fmt::format("{} in {}: {}", field.name, owner, complaint));
      }
      items.push_back(node->text);
      if (field.refers) {
        references_.push_back({owner, field.name, *field.refers, node->text, at(*node)});
      }
    }
    field.set(object, items, field.limits);
    if constexpr (std::is_same_v<Object, EngineObject>) {
      if (field.name == "url") addresses_.push_back({owner, object.url, at(entry.value)});
      if (field.name.starts_with("tls_")) {
        tls_fields_.push_back({object.name, std::string(field.name), at(entry)});
      }
    }
    if constexpr (std::is_same_v<Object, ModelObject>) {
      if (field.name == "aliases") add_aliases(object, nodes);
    }
  }

  // Each item alone, so that a mistake in a list is shown at the item.
  template <typename Object>
  static Complaint check_item(const FieldInfo<Object>& field, const Object& object,
                              const std::string& text) {
    Object scratch = object;
    return field.set(scratch, std::span(&text, 1), field.limits);
  }

  void add_aliases(const ModelObject& model, const std::vector<const YamlNode*>& nodes) {
    for (const YamlNode* node : nodes) aliases_.push_back({model.name, node->text, at(*node)});
  }

  void check_references() {
    for (const Reference& reference : references_) {
      const auto& known = names_[static_cast<std::size_t>(reference.kind)];
      if (known.contains(reference.name)) continue;
      std::vector<std::string> names;
      for (const auto& [name, place] : known) names.push_back(name);
      if (reference.kind == ObjectKind::kRoutingPolicy) {
        // The policies themselves can be named too; then with their defaults.
        if (parse_policy_kind(reference.name)) continue;
        for (std::size_t kind = 0; kind < kPolicyKinds; ++kind) {
          names.emplace_back(to_string(static_cast<PolicyKind>(kind)));
        }
      }
      if (reference.kind == ObjectKind::kRuntime) {
        if (parse_runtime(reference.name)) continue;
        for (std::size_t i = 0; i < kRuntimes; ++i) {
          const auto built_in = static_cast<Runtime>(i);
          if (built_in != Runtime::kDescribed) names.emplace_back(to_string(built_in));
        }
      }
      complain(reference.place, fmt::format("{} in {}: there is no {} \"{}\"{}", reference.field,
                                            reference.owner, to_string(reference.kind),
                                            reference.name, suggestion(reference.name, names)));
    }
  }

  void check_addresses() {
    std::map<std::string, const Claim*> first;
    for (const Claim& claim : addresses_) {
      const auto [entry, added] = first.emplace(claim.text, &claim);
      if (added) continue;
      complain(claim.place,
               fmt::format("url in {}: {} is {} already, at {}", claim.owner, claim.text,
                           entry->second->owner, entry->second->place.text()));
    }
  }

  // Which fields go together is known when the whole object has been read.
  void check_tls() {
    for (const Claim& field : tls_fields_) {
      const auto engine = std::find_if(set_.engines.begin(), set_.engines.end(),
                                       [&](const auto& one) { return one.name == field.owner; });
      const auto secure = [](const std::string& url) { return url.starts_with("https://"); };
      if (engine == set_.engines.end() || secure(engine->url) || secure(engine->grpc_url)) continue;
      complain(field.place,
               fmt::format("{} in Engine \"{}\" is for an https url, and its url is {}", field.text,
                           field.owner, engine->url));
    }
    for (const EngineObject& engine : set_.engines) {
      if (engine.tls_client_cert.empty() == engine.tls_client_key.empty()) continue;
      const auto& places = names_[static_cast<std::size_t>(ObjectKind::kEngine)];
      complain(places.at(engine.name),
               fmt::format("Engine \"{}\" has {}", engine.name,
                           engine.tls_client_key.empty()
                               ? "tls_client_cert without its key; add tls_client_key"
                               : "tls_client_key without its certificate; add tls_client_cert"));
    }
  }

  void check_aliases() {
    const auto& models = names_[static_cast<std::size_t>(ObjectKind::kModel)];
    std::map<std::string, const Claim*> first;
    for (const Claim& claim : aliases_) {
      if (models.contains(claim.text)) {
        complain(claim.place, fmt::format("aliases in Model \"{}\": \"{}\" is a Model itself",
                                          claim.owner, claim.text));
        continue;
      }
      const auto [entry, added] = first.emplace(claim.text, &claim);
      if (added) continue;
      complain(claim.place,
               fmt::format("aliases in Model \"{}\": \"{}\" is an alias of Model \"{}\" already",
                           claim.owner, claim.text, entry->second->owner));
    }
  }

  // A text that only one object may have.
  struct Claim {
    std::string owner;
    std::string text;
    Place place;
  };

  const PoolObject& pool_defaults_;
  std::string file_;
  ObjectSet set_;
  Problems problems_;
  std::array<std::map<std::string, Place>, kObjectKinds> names_;
  std::vector<Reference> references_;
  std::vector<Claim> addresses_;
  std::vector<Claim> tls_fields_;  // that were given
  std::vector<Claim> aliases_;
};

}  // namespace

std::string_view to_string(ObjectKind kind) {
  return kKindNames[static_cast<std::size_t>(kind)];
}

std::expected<ObjectSet, Problems> read_objects(std::span<const ObjectText> files,
                                                const PoolObject& pool_defaults) {
  SetReader reader(pool_defaults);
  for (const ObjectText& file : files) reader.read_file(file);
  return reader.finish();
}

}  // namespace infermesh::config

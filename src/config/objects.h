// Mesh objects: YAML documents <-> ObjectSet. A set is read and checked whole; with any mistake in
// it there is no set, and every mistake is reported with file, line and column.
#pragma once

#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/problem.h"
#include "core/model/objects.h"

namespace infermesh::config {

struct ObjectText {
  std::string name;  // of the file, for the problems
  std::string text;
};

// `pool_defaults` gives what a Pool leaves out (loader.h: default_pool). Checked: keys, types,
// bounds, names given twice, references to objects that are not there, two engines at one address,
// aliases that mean two models.
std::expected<ObjectSet, Problems> read_objects(std::span<const ObjectText> files,
                                                const PoolObject& pool_defaults = {});

constexpr std::size_t kObjectNameMax = 253;  // characters

// Documents that read_objects reads back; unset and empty fields are left out. No secret is in an
// object.
std::string to_yaml(const EngineObject& object);
std::string to_yaml(const PoolObject& object);
std::string to_yaml(const ModelObject& object);
std::string to_yaml(const RoutingPolicyObject& object);
std::string to_yaml(const RuntimeObject& object);
std::string to_yaml(const ObjectSet& objects);  // documents with --- between them

// {"kind":"Engine","name":"e1","spec":{...}}; a set is an array.
std::string to_json(const EngineObject& object);
std::string to_json(const PoolObject& object);
std::string to_json(const ModelObject& object);
std::string to_json(const RoutingPolicyObject& object);
std::string to_json(const RuntimeObject& object);
std::string to_json(const ObjectSet& objects);

}  // namespace infermesh::config

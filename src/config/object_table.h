// The fields of each kind of mesh object: one row for each entry of api/schema/objects (rows in
// objects.gen.cc). Reading, writing and the reference all follow it.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/values.h"
#include "core/model/objects.h"

namespace infermesh::config {

enum class ObjectKind : std::uint8_t { kEngine, kPool, kModel, kRoutingPolicy, kRuntime };
constexpr std::size_t kObjectKinds = 5;
std::string_view to_string(ObjectKind kind);  // "Engine", ...

enum class FieldForm : std::uint8_t { kText, kNumber, kSwitch, kList };  // how JSON spells it

template <typename Object>
struct FieldInfo {
  std::string_view name;
  FieldForm form = FieldForm::kText;
  bool required = false;
  std::optional<ObjectKind> refers;  // the text names an object of this kind
  std::string_view default_text;
  Limits limits;
  Complaint (*set)(Object&, std::span<const std::string> items, const Limits&);
  // The texts that `set` reads back; none when the field is unset or empty.
  std::vector<std::string> (*items)(const Object&, const Limits&);
};

template <typename Object>
std::span<const FieldInfo<Object>> object_fields();

template <>
std::span<const FieldInfo<EngineObject>> object_fields<EngineObject>();
template <>
std::span<const FieldInfo<PoolObject>> object_fields<PoolObject>();
template <>
std::span<const FieldInfo<ModelObject>> object_fields<ModelObject>();
template <>
std::span<const FieldInfo<RoutingPolicyObject>> object_fields<RoutingPolicyObject>();

template <>
std::span<const FieldInfo<RuntimeObject>> object_fields<RuntimeObject>();

template <typename T>
constexpr bool kIsOptional = false;
template <typename T>
constexpr bool kIsOptional<std::optional<T>> = true;

template <auto Member, typename Object>
Complaint set_member(Object& object, std::span<const std::string> items, const Limits& limits) {
  auto& field = object.*Member;
  using Field = std::remove_reference_t<decltype(field)>;
  if constexpr (requires { read_list(items, field, limits); }) {
    return read_list(items, field, limits);
  } else {
    if (items.size() != 1) return "one value is needed, not a list";
    if constexpr (kIsOptional<Field>) {
      return read_value(items[0], field.emplace(), limits);
    } else {
      return read_value(items[0], field, limits);
    }
  }
}

template <typename Field>
std::string show_scalar(const Field& field, const Limits& limits) {
  if constexpr (std::is_enum_v<Field>) {
    return std::string(limits.choices[static_cast<std::size_t>(field)]);
  } else {
    return show_value(field);
  }
}

template <auto Member, typename Object>
std::vector<std::string> items_of_member(const Object& object, const Limits& limits) {
  const auto& field = object.*Member;
  using Field = std::remove_cvref_t<decltype(field)>;
  if constexpr (std::is_same_v<Field, std::vector<std::string>>) {
    return field;
  } else if constexpr (kIsOptional<Field>) {
    if (!field) return {};
    return {show_scalar(*field, limits)};
  } else {
    std::string text = show_scalar(field, limits);
    if (text.empty()) return {};
    return {std::move(text)};
  }
}

}  // namespace infermesh::config

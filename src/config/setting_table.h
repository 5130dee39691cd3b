// The table of process settings: one row for each entry of api/schema/options.yaml (rows in
// settings.gen.cc). Command lines, help, completion and `config view` are written from it.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "config/settings.gen.h"
#include "config/values.h"

namespace infermesh::config {

enum class Verbs : std::uint8_t {
  kServer,  // infermesh up and run
  kClient,  // the commands that ask a running mesh
};

struct SettingInfo {
  std::string_view name;  // key of infermesh.yaml
  std::string_view flag;  // "--admin-listen"
  std::string_view env;   // "INFERMESH_ADMIN_LISTEN"
  std::string_view type;  // string bool u32 f64 duration size hostport url list ports enum
  std::string_view group;
  std::string_view placeholder;  // what help calls the value
  std::string_view default_text;
  std::string_view unit;  // may be empty
  std::string_view text;  // whole sentences
  bool restart = true;    // a change needs a restart
  Verbs verbs = Verbs::kServer;
  Limits limits;
  // Sets the field from text. A scalar takes exactly one item, a list any number.
  Complaint (*set)(Settings&, std::span<const std::string> items, const Limits&);
  std::string (*show)(const Settings&,
                      const Limits&);  // the text that `set` reads back; lists with commas

  bool is_list() const { return type == "list" || type == "ports"; }
};

std::span<const SettingInfo, kSettings> setting_table();
const SettingInfo& setting_info(SettingId id);
const SettingInfo* find_setting(std::string_view name);  // by key; nullptr when there is none

template <auto Member>
Complaint set_field(Settings& settings, std::span<const std::string> items, const Limits& limits) {
  auto& field = settings.*Member;
  if constexpr (requires { read_list(items, field, limits); }) {
    return read_list(items, field, limits);
  } else {
    if (items.size() != 1) return "one value is needed, not a list";
    return read_value(items[0], field, limits);
  }
}

template <auto Member>
std::string show_field(const Settings& settings, const Limits& limits) {
  const auto& field = settings.*Member;
  if constexpr (std::is_enum_v<std::remove_cvref_t<decltype(field)>>) {
    return std::string(limits.choices[static_cast<std::size_t>(field)]);
  } else {
    return show_value(field);
  }
}

}  // namespace infermesh::config

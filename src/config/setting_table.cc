#include "config/setting_table.h"

#include <fmt/format.h>

#include "base/text.h"
#include "config/loader.h"

namespace infermesh::config {
namespace {

constexpr std::size_t kHelpWidth = 80;
constexpr std::size_t kHelpIndent = 6;

// `text` in lines of at most kHelpWidth columns, each indented.
std::string wrapped(std::string_view text) {
  std::string lines;
  std::size_t column = 0;
  for (std::string_view word : split(text, ' ')) {
    if (column == 0 || column + 1 + word.size() > kHelpWidth) {
      if (column != 0) lines += '\n';
      lines += std::string(kHelpIndent, ' ');
      column = kHelpIndent;
    } else {
      lines += ' ';
      ++column;
    }
    lines += word;
    column += word.size();
  }
  return lines + '\n';
}

}  // namespace

const SettingInfo& setting_info(SettingId id) {
  return setting_table()[static_cast<std::size_t>(id)];
}

const SettingInfo* find_setting(std::string_view name) {
  for (const SettingInfo& info : setting_table()) {
    if (info.name == name) return &info;
  }
  return nullptr;
}

std::string flags_help(Verbs verbs) {
  std::string help;
  std::string_view group;
  for (const SettingInfo& info : setting_table()) {
    if (info.verbs != verbs) continue;
    if (info.group != group) {
      group = info.group;
      help += fmt::format("{}{}\n", help.empty() ? "" : "\n", group);
    }
    const std::string shown = info.default_text.empty()
                                  ? std::string{}
                                  : fmt::format("  (default {})", info.default_text);
    help += fmt::format("  {} {}{}\n", info.flag, info.placeholder, shown);
    help += wrapped(info.text);
  }
  return help;
}

}  // namespace infermesh::config

// Arguments -> a command, by the verb table. Flags and arguments may be mixed; --name value,
// --name=value, -o value, -ovalue; "--" ends the flags. Wrong names get the nearest right one.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/verb.h"

namespace infermesh::cli {

struct Command {
  const Verb* verb = nullptr;  // nullptr: no verb at all, or --help alone
  bool help = false;
  std::map<std::string, std::string>
      flags;  // by long name; a switch has "on"; the last one given wins
  std::vector<std::string> arguments;
  std::vector<std::string>
      settings;  // flags of More::kSettings and of verbs that app runs, untouched

  bool has(const std::string& flag) const { return flags.contains(flag); }
  std::string value(const std::string& flag) const {
    const auto found = flags.find(flag);
    return found == flags.end() ? std::string() : found->second;
  }
};

Outcome<Command> parse_command(std::span<const std::string> args);

}  // namespace infermesh::cli

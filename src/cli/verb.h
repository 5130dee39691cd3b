// The verb table: one row a verb. Parsing, help, shell completions and docs/reference/cli.md are
// all written from it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/fault.h"

namespace infermesh::cli {

class Session;

// Live names that an argument can be completed with.
enum class Names : std::uint8_t { kNone, kEngines, kModels, kRequests, kShells, kFiles, kFolders };

struct Flag {
  std::string_view name;   // "output": --output
  char letter = '\0';      // 'o': -o
  std::string_view value;  // what help calls the value; empty: a switch
  std::string_view text;
  std::span<const std::string_view> choices = {};
  Names names = Names::kNone;
};

enum class Arity : std::uint8_t { kNone, kOne, kOptional, kMany, kAny };  // kMany: one or more

struct Argument {
  std::string_view name;
  Arity arity = Arity::kNone;
  Names names = Names::kNone;
  std::string_view text;
};

struct Example {
  std::string_view command;
  std::string_view text;
};

enum class Group : std::uint8_t { kServe, kLook, kChange, kConfigure, kOther, kHidden };

// Which flags besides its own a verb takes.
enum class More : std::uint8_t {
  kNone,
  kAdmin,     // --admin, --timeout
  kShow,      // those, and --output, --watch
  kSettings,  // every process setting (config/setting_table.h)
  kOwn,       // reads its own flags and prints its own help
};

struct Verb {
  std::string_view name;     // "status", "route test"
  std::string_view summary;  // one clause, lower case, no full stop
  std::string_view details;  // further sentences, may be empty
  Group group = Group::kOther;
  Argument argument;
  std::span<const Flag> flags;
  std::span<const Example> examples;
  More more = More::kNone;
  std::span<const std::string_view> formats = {};  // of --output
  int (*run)(Session&) = nullptr;                  // nullptr: app runs it
};

std::span<const Verb> verb_table();
const Verb* find_verb(std::string_view name);
std::string_view to_string(Group group);  // heading in help

// Every flag of the verb, its own first, then those of `more` (settings apart), then --help.
std::vector<Flag> all_flags(const Verb& verb);
// "infermesh explain REQUEST_ID [flags]"
std::string synopsis(const Verb& verb);

}  // namespace infermesh::cli

#include "cli/help.h"

#include <fmt/format.h>

#include "cli/human.h"
#include "cli/table.h"
#include "config/loader.h"

namespace infermesh::cli {
namespace {

constexpr std::size_t kHelpWidth = 80;

constexpr std::string_view kExitCodes =
    "0 ok, 1 unhealthy, 2 usage, 3 not found, 4 permission, 5 conflict,\n"
    "6 unavailable, 7 only part of it was done, 130 interrupted";

std::string flag_names(const Flag& flag) {
  std::string out = flag.letter == '\0' ? "    " : fmt::format("-{}, ", flag.letter);
  out += fmt::format("--{}", flag.name);
  if (!flag.value.empty()) out += fmt::format(" {}", flag.value);
  return out;
}

std::string flag_text(const Flag& flag) {
  std::string out(flag.text);
  if (!flag.choices.empty()) {
    const std::vector<std::string> choices(flag.choices.begin(), flag.choices.end());
    out += fmt::format(" One of {}.", join(choices, ", "));
  }
  return out;
}

std::string flags_block(const Verb& verb) {
  constexpr std::size_t kTextColumn = 26;
  std::string out = "\nflags\n";
  for (const Flag& flag : all_flags(verb)) {
    const std::string names = flag_names(flag);
    out += fmt::format("  {:<{}}{}\n", names, kTextColumn - 2,
                       wrap(flag_text(flag), kHelpWidth - kTextColumn, kTextColumn));
  }
  if (verb.more == More::kSettings) {
    out += "\nsettings (each is also a key of the file and INFERMESH_NAME in the environment)\n";
    out += config::flags_help(config::Verbs::kServer);
  }
  return out;
}

std::string examples_block(const Verb& verb) {
  if (verb.examples.empty()) return {};
  std::string out = "examples\n";
  for (const Example& example : verb.examples) {
    out += fmt::format("  {}\n      {}\n", example.command, example.text);
  }
  return out + '\n';
}

std::string group_block(Group group) {
  std::string out = fmt::format("\n{}\n", to_string(group));
  for (const Verb& verb : verb_table()) {
    if (verb.group != group) continue;
    out += fmt::format("  {:<17}{}\n", verb.name, wrap(verb.summary, kHelpWidth - 19, 19));
  }
  return out;
}

constexpr std::array kShownGroups{Group::kServe, Group::kLook, Group::kChange, Group::kConfigure,
                                  Group::kOther};

std::string table_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

std::string reference_section(const Verb& verb) {
  std::string out = fmt::format("\n### infermesh {}\n\n", verb.name);
  std::string summary(verb.summary);
  summary[0] =
      static_cast<char>(summary[0] >= 'a' && summary[0] <= 'z' ? summary[0] - 32 : summary[0]);
  out += fmt::format("{}.{}\n\n```\n{}\n```\n", summary,
                     verb.details.empty() ? "" : fmt::format(" {}", verb.details), synopsis(verb));
  if (!verb.examples.empty()) {
    out += "\n```sh\n";
    for (const Example& example : verb.examples) {
      out += fmt::format("# {}\n{}\n", example.text, example.command);
    }
    out += "```\n";
  }
  if (verb.more == More::kOwn) {
    return out + fmt::format("\n`infermesh {} --help` lists its flags.\n", verb.name);
  }
  out += "\n| flag | meaning |\n| --- | --- |\n";
  for (const Flag& flag : all_flags(verb)) {
    if (flag.name == "help") continue;
    out += fmt::format(
        "| `{}` | {} |\n",
        table_text(fmt::format("--{}{}{}", flag.name, flag.value.empty() ? "" : " ", flag.value)),
        table_text(flag_text(flag)));
  }
  if (verb.more == More::kSettings) {
    out += "| every setting | see [settings](settings.md) |\n";
  }
  return out;
}

}  // namespace

std::string general_help(const std::string& version) {
  std::string out = fmt::format(
      "infermesh {}: each inference request to the engine that answers it soonest\n\n"
      "examples\n"
      "  infermesh up                find the engines on this machine and serve them\n"
      "  infermesh status            the mesh at a glance, problems first\n"
      "  infermesh explain req_7f3c  why a request went where it went\n",
      version);
  for (const Group group : kShownGroups) out += group_block(group);
  return out + fmt::format(
                   "\n`infermesh COMMAND --help` shows a command's examples and flags.\n"
                   "exit codes: {}\n",
                   kExitCodes);
}

std::string verb_help(const Verb& verb) {
  std::string out = fmt::format("{}: {}\n", verb.name, verb.summary);
  out += fmt::format("\n{}{}\n", examples_block(verb), synopsis(verb));
  if (!verb.argument.text.empty()) {
    out += fmt::format("  {}: {}\n", verb.argument.name,
                       wrap(verb.argument.text, kHelpWidth - 4 - verb.argument.name.size(), 4));
  }
  if (!verb.details.empty()) out += fmt::format("\n{}\n", wrap(verb.details, kHelpWidth, 0));
  return out + flags_block(verb);
}

std::string reference_page() {
  std::string out =
      "# Command line\n\n"
      "<!-- Generated from src/cli/verb_table.cc by `infermesh __docs`; do not edit. -->\n\n"
      "Data goes to stdout, messages to stderr. `-o table|wide|json|yaml|name` chooses the form; "
      "JSON keys are\n"
      "stable. `--watch` redraws on a terminal and prints a JSON line for each round elsewhere. "
      "Colour only on a\n"
      "terminal; `NO_COLOR`, `FORCE_COLOR` and `TERM=dumb` are honoured. The mesh is found by "
      "`--admin URL`,\n"
      "`INFERMESH_ADMIN`, or http://127.0.0.1:6401.\n\n"
      "An error says what happened, why, and the next step.\n\n"
      "| exit code | meaning |\n| --- | --- |\n"
      "| 0 | ok |\n| 1 | unhealthy: the command worked, and what it looked at is not well |\n"
      "| 2 | usage: a wrong flag, argument, file or object |\n| 3 | not found |\n| 4 | permission "
      "|\n"
      "| 5 | conflict |\n| 6 | unavailable: no answer, or not in time |\n"
      "| 7 | only part of it was done |\n| 130 | interrupted |\n";
  for (const Group group : kShownGroups) {
    out += fmt::format("\n## {}\n", to_string(group));
    for (const Verb& verb : verb_table()) {
      if (verb.group == group) out += reference_section(verb);
    }
  }
  return out;
}

}  // namespace infermesh::cli

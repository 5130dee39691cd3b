#include "cli/completion.h"

#include <fmt/format.h>

#include "cli/human.h"
#include "cli/verb.h"
#include "config/setting_table.h"

namespace infermesh::cli {
namespace {

// All flags that a verb can be completed with, settings among them.
std::vector<Flag> offered_flags(const Verb& verb) {
  std::vector<Flag> flags = all_flags(verb);
  if (verb.more != More::kSettings) return flags;
  for (const config::SettingInfo& info : config::setting_table()) {
    if (info.verbs != config::Verbs::kServer) continue;
    Flag flag{info.flag.substr(2), '\0', info.placeholder,
              info.text.substr(0, info.text.find(". ") + 1), info.limits.choices};
    if (info.text.find(". ") == std::string_view::npos) flag.text = info.text;
    if (info.name == "config") flag.names = Names::kFiles;
    if (info.name == "objects" || info.name == "data_dir") flag.names = Names::kFolders;
    flags.push_back(flag);
  }
  return flags;
}

struct TwoWords {
  std::string first;
  std::vector<std::string> second;
};

// {"route", {"test"}}, {"config", {"validate", "view"}}.
std::vector<TwoWords> two_word_verbs() {
  std::vector<TwoWords> out;
  for (const Verb& verb : verb_table()) {
    const auto space = verb.name.find(' ');
    if (space == std::string_view::npos) continue;
    const std::string first(verb.name.substr(0, space));
    if (out.empty() || out.back().first != first) out.push_back({first, {}});
    out.back().second.emplace_back(verb.name.substr(space + 1));
  }
  return out;
}

struct FirstWord {
  std::string word;
  std::string text;
};

std::vector<FirstWord> first_words() {
  std::vector<FirstWord> out;
  for (const Verb& verb : verb_table()) {
    if (verb.group == Group::kHidden) continue;
    const std::string word(verb.name.substr(0, verb.name.find(' ')));
    if (!out.empty() && out.back().word == word) continue;
    out.push_back({word, std::string(verb.summary)});
  }
  return out;
}

std::string words_of(std::span<const std::string_view> choices) {
  return join(std::vector<std::string>(choices.begin(), choices.end()), " ");
}

std::string all_first_words() {
  std::vector<std::string> words;
  for (const FirstWord& first : first_words()) words.push_back(first.word);
  return join(words, " ");
}

std::string_view live_kind(Names names) {
  switch (names) {
    case Names::kEngines:
      return "engines";
    case Names::kModels:
      return "models";
    case Names::kRequests:
      return "requests";
    default:
      return "";
  }
}

constexpr std::string_view kShells = "bash zsh fish";

// ---- bash

std::string bash_values(const Flag& flag) {
  if (!flag.choices.empty()) {
    return fmt::format("COMPREPLY=($(compgen -W \"{}\" -- \"$cur\"))", words_of(flag.choices));
  }
  if (flag.names == Names::kFiles) return "COMPREPLY=($(compgen -f -- \"$cur\"))";
  if (flag.names == Names::kFolders) return "COMPREPLY=($(compgen -d -- \"$cur\"))";
  return "COMPREPLY=()";
}

std::string bash_arguments(const Verb& verb) {
  const std::string_view live = live_kind(verb.argument.names);
  if (!live.empty()) {
    return fmt::format(
        "COMPREPLY=($(compgen -W \"$(infermesh __complete {} 2>/dev/null)\" -- \"$cur\"))", live);
  }
  if (verb.argument.names == Names::kShells) {
    return fmt::format("COMPREPLY=($(compgen -W \"{}\" -- \"$cur\"))", kShells);
  }
  if (verb.name == "help") {
    return fmt::format("COMPREPLY=($(compgen -W \"{}\" -- \"$cur\"))", all_first_words());
  }
  return "COMPREPLY=()";
}

std::string bash_case(const Verb& verb) {
  std::string out = fmt::format("    \"{}\")\n      case \"$prev\" in\n", verb.name);
  std::vector<std::string> names;
  for (const Flag& flag : offered_flags(verb)) {
    names.push_back(fmt::format("--{}", flag.name));
    if (flag.value.empty()) continue;
    const std::string letter = flag.letter == '\0' ? "" : fmt::format("-{}|", flag.letter);
    out += fmt::format("        {}--{}) {}; return ;;\n", letter, flag.name, bash_values(flag));
  }
  out += fmt::format(
      "      esac\n      if [[ $cur == -* ]]; then\n"
      "        COMPREPLY=($(compgen -W \"{}\" -- \"$cur\"))\n      else\n        {}\n      fi ;;\n",
      join(names, " "), bash_arguments(verb));
  return out;
}

// ---- zsh and fish quote descriptions with single quotes.

std::string single_quoted(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out;
}

std::string zsh_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':') out += '\\';
    out += c;
  }
  return single_quoted(out);
}

std::string zsh_action(const Flag& flag) {
  if (flag.value.empty()) return {};
  const std::string label = fmt::format(":{}:", zsh_text(flag.value));
  if (!flag.choices.empty()) return fmt::format("{}({})", label, words_of(flag.choices));
  if (flag.names == Names::kFiles) return label + "_files";
  if (flag.names == Names::kFolders) return label + "_files -/";
  return label + " ";
}

std::string zsh_case(const Verb& verb) {
  std::string out = fmt::format("    '{}')\n      _arguments \\\n", verb.name);
  for (const Flag& flag : offered_flags(verb)) {
    const std::string tail = fmt::format("[{}]{}'", zsh_text(flag.text), zsh_action(flag));
    const char sign = flag.value.empty() ? ' ' : '=';
    out += flag.letter == '\0'
               ? fmt::format("        '--{}{}{} \\\n", flag.name, sign == '=' ? "=" : "", tail)
               : fmt::format("        '(-{0} --{1})'{{-{0},--{1}}}'{2} \\\n", flag.letter,
                             flag.name, tail);
  }
  const std::string_view live = live_kind(verb.argument.names);
  if (!live.empty()) {
    out += fmt::format("        '*:{}:_infermesh_names {}' ;;\n", live, live);
  } else if (verb.argument.names == Names::kShells) {
    out += fmt::format("        '1:shell:({})' ;;\n", kShells);
  } else {
    out += "        ;;\n";
  }
  return out;
}

// ---- fish

std::string fish_condition(const Verb& verb) {
  const auto space = verb.name.find(' ');
  if (space == std::string_view::npos)
    return fmt::format("__fish_seen_subcommand_from {}", verb.name);
  return fmt::format("__fish_seen_subcommand_from {}; and __fish_seen_subcommand_from {}",
                     verb.name.substr(0, space), verb.name.substr(space + 1));
}

std::string fish_lines(const Verb& verb) {
  const std::string begin = fmt::format("complete -c infermesh -n '{}'", fish_condition(verb));
  std::string out;
  for (const Flag& flag : offered_flags(verb)) {
    out += begin;
    if (flag.letter != '\0') out += fmt::format(" -s {}", flag.letter);
    out += fmt::format(" -l {}", flag.name);
    if (!flag.choices.empty()) {
      out += fmt::format(" -x -a '{}'", words_of(flag.choices));
    } else if (flag.names == Names::kFiles || flag.names == Names::kFolders) {
      out += " -r -F";
    } else if (!flag.value.empty()) {
      out += " -x";
    }
    out += fmt::format(" -d '{}'\n", single_quoted(flag.text));
  }
  const std::string_view live = live_kind(verb.argument.names);
  if (!live.empty())
    out += fmt::format("{} -a '(infermesh __complete {} 2>/dev/null)'\n", begin, live);
  if (verb.argument.names == Names::kShells) out += fmt::format("{} -a '{}'\n", begin, kShells);
  return out;
}

}  // namespace

std::string bash_completion() {
  std::string out =
      "# bash completion for infermesh; generated by `infermesh completion bash`\n"
      "_infermesh() {\n"
      "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb= i\n"
      "  COMPREPLY=()\n"
      "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
      "    case \"$verb/${COMP_WORDS[i]}\" in\n"
      "      */-*) ;;\n"
      "      /*) verb=${COMP_WORDS[i]} ;;\n";
  for (const TwoWords& two : two_word_verbs()) {
    for (const std::string& second : two.second) {
      out += fmt::format("      {0}/{1}) verb=\"{0} {1}\" ;;\n", two.first, second);
    }
  }
  out += "    esac\n  done\n  case \"$verb\" in\n";
  out += fmt::format("    \"\") COMPREPLY=($(compgen -W \"{} --help --version\" -- \"$cur\")) ;;\n",
                     all_first_words());
  for (const TwoWords& two : two_word_verbs()) {
    out += fmt::format("    {}) COMPREPLY=($(compgen -W \"{}\" -- \"$cur\")) ;;\n", two.first,
                       join(two.second, " "));
  }
  for (const Verb& verb : verb_table()) {
    if (verb.group != Group::kHidden) out += bash_case(verb);
  }
  return out + "  esac\n}\ncomplete -F _infermesh infermesh\n";
}

std::string zsh_completion() {
  std::string out =
      "#compdef infermesh\n"
      "# zsh completion for infermesh; generated by `infermesh completion zsh`\n"
      "_infermesh_names() {\n"
      "  local -a names\n"
      "  names=(${(f)\"$(infermesh __complete $1 2>/dev/null)\"})\n"
      "  compadd -a names\n"
      "}\n"
      "_infermesh() {\n"
      "  local -a commands\n"
      "  commands=(\n";
  for (const FirstWord& first : first_words()) {
    out += fmt::format("    '{}:{}'\n", first.word, zsh_text(first.text));
  }
  out +=
      "  )\n"
      "  if (( CURRENT == 2 )); then _describe command commands; return; fi\n"
      "  local verb=${words[2]}\n"
      "  case $verb in\n";
  for (const TwoWords& two : two_word_verbs()) {
    out += fmt::format(
        "    {}) if (( CURRENT == 3 )); then compadd {}; return; fi\n"
        "      verb=\"$verb ${{words[3]}}\"; shift words; (( CURRENT-- )) ;;\n",
        two.first, join(two.second, " "));
  }
  out += "  esac\n  shift words; (( CURRENT-- ))\n  case $verb in\n";
  for (const Verb& verb : verb_table()) {
    if (verb.group != Group::kHidden) out += zsh_case(verb);
  }
  return out + "  esac\n}\n_infermesh \"$@\"\n";
}

std::string fish_completion() {
  std::string out =
      "# fish completion for infermesh; generated by `infermesh completion fish`\n"
      "complete -c infermesh -f\n";
  for (const FirstWord& first : first_words()) {
    out += fmt::format("complete -c infermesh -n __fish_use_subcommand -a {} -d '{}'\n", first.word,
                       single_quoted(first.text));
  }
  for (const TwoWords& two : two_word_verbs()) {
    out += fmt::format(
        "complete -c infermesh -n '__fish_seen_subcommand_from {0}; and not "
        "__fish_seen_subcommand_from {1}' -a '{1}'\n",
        two.first, join(two.second, " "));
  }
  for (const Verb& verb : verb_table()) {
    if (verb.group != Group::kHidden) out += fish_lines(verb);
  }
  return out;
}

}  // namespace infermesh::cli

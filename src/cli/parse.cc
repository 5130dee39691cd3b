#include "cli/parse.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/text.h"
#include "cli/human.h"

namespace infermesh::cli {
namespace {

std::vector<std::string> visible_names() {
  std::vector<std::string> names;
  for (const Verb& verb : verb_table()) {
    if (verb.group != Group::kHidden) names.emplace_back(verb.name);
  }
  return names;
}

// Verbs of two words that begin with this one: "route" -> {"route test"}.
std::vector<std::string> verbs_below(std::string_view word) {
  std::vector<std::string> names;
  for (const std::string& name : visible_names()) {
    if (name.starts_with(fmt::format("{} ", word))) names.push_back(name);
  }
  return names;
}

std::unexpected<Fault> unknown_verb(std::string_view word, std::string_view second) {
  const auto below = verbs_below(word);
  if (!below.empty()) {
    return fault(Exit::kUsage,
                 second.empty() ? fmt::format("{} needs one more word", word)
                                : fmt::format("unknown command \"{} {}\"", word, second),
                 "", fmt::format("infermesh {}", join(below, "  or  infermesh ")));
  }
  std::vector<std::string> words = visible_names();
  for (const std::string& name : visible_names()) {
    const auto space = name.find(' ');
    if (space != std::string::npos) words.push_back(name.substr(0, space));
  }
  const auto near = nearest(word, words, 1);
  return fault(Exit::kUsage, fmt::format("unknown command \"{}\"", word), "",
               near.empty() ? "infermesh help lists the commands"
                            : fmt::format("did you mean \"infermesh {}\"?", near[0]));
}

bool is_flag(std::string_view word) {
  return word.size() > 1 && word.front() == '-';
}

// Reads one verb's words.
class Reader {
 public:
  Reader(Command& command, std::span<const std::string> words)
      : command_(command), words_(words), flags_(all_flags(*command.verb)) {}

  std::optional<Fault> read() {
    for (; at_ < words_.size(); ++at_) {
      const std::string& word = words_[at_];
      if (word == "--") {
        command_.arguments.insert(command_.arguments.end(), words_.begin() + at_ + 1, words_.end());
        break;
      }
      if (!is_flag(word)) {
        command_.arguments.push_back(word);
        continue;
      }
      if (auto failed = read_flag(word)) return failed;
    }
    return std::nullopt;
  }

 private:
  const Flag* find_flag(std::string_view name) const {
    for (const Flag& flag : flags_) {
      if (flag.name == name) return &flag;
    }
    return nullptr;
  }

  std::optional<Fault> read_flag(const std::string& word) {
    const bool is_long = word.starts_with("--");
    const auto equals = word.find('=');
    std::optional<std::string> value;
    const Flag* flag = nullptr;
    if (is_long) {
      flag = find_flag(
          std::string_view(word).substr(2, equals == std::string::npos ? equals : equals - 2));
      if (equals != std::string::npos) value = word.substr(equals + 1);
    } else {
      const auto found = std::find_if(flags_.begin(), flags_.end(), [&](const Flag& known) {
        return known.letter != '\0' && known.letter == word[1];
      });
      flag = found == flags_.end() ? nullptr : &*found;
      if (word.size() > 2) value = word.substr(word[2] == '=' ? 3 : 2);
    }
    if (flag == nullptr) return foreign_flag(word);
    if (flag->value.empty()) return take_switch(*flag, value);
    if (!value) {
      if (at_ + 1 == words_.size()) {
        return Fault{Exit::kUsage, fmt::format("--{} needs a value", flag->name), "", help_line()};
      }
      value = words_[++at_];
    }
    return take_value(*flag, *value);
  }

  std::optional<Fault> take_switch(const Flag& flag, const std::optional<std::string>& value) {
    if (value) {
      return Fault{Exit::kUsage, fmt::format("--{} takes no value", flag.name), "", help_line()};
    }
    if (flag.name == "help") command_.help = true;
    command_.flags[std::string(flag.name)] = "on";
    return std::nullopt;
  }

  std::optional<Fault> take_value(const Flag& flag, const std::string& value) {
    const auto& choices = flag.choices;
    if (!choices.empty() && std::find(choices.begin(), choices.end(), value) == choices.end()) {
      const std::vector<std::string> names(choices.begin(), choices.end());
      const auto near = nearest(value, names, 1);
      return Fault{Exit::kUsage, fmt::format("--{} cannot be \"{}\"", flag.name, value),
                   fmt::format("it is one of {}", join(names, ", ")),
                   near.empty() ? help_line() : fmt::format("did you mean {}?", near[0])};
    }
    command_.flags[std::string(flag.name)] = value;
    return std::nullopt;
  }

  // Settings are read by config, which knows their names and types.
  std::optional<Fault> foreign_flag(const std::string& word) {
    if (command_.verb->more == More::kSettings && word.starts_with("--")) {
      command_.settings.push_back(word);
      if (word.find('=') == std::string::npos && at_ + 1 < words_.size() &&
          !is_flag(words_[at_ + 1])) {
        command_.settings.push_back(words_[++at_]);
      }
      return std::nullopt;
    }
    std::vector<std::string> names;
    for (const Flag& flag : flags_) names.push_back(fmt::format("--{}", flag.name));
    const auto near = nearest(word.substr(0, word.find('=')), names, 1);
    return Fault{Exit::kUsage, fmt::format("{} has no flag {}", command_.verb->name, word), "",
                 near.empty() ? help_line() : fmt::format("did you mean {}?", near[0])};
  }

  std::string help_line() const { return fmt::format("infermesh {} --help", command_.verb->name); }

  Command& command_;
  std::span<const std::string> words_;
  std::vector<Flag> flags_;
  std::size_t at_ = 0;
};

std::optional<Fault> check_arity(const Command& command) {
  const Argument& argument = command.verb->argument;
  const std::size_t given = command.arguments.size();
  const bool needs = argument.arity == Arity::kOne || argument.arity == Arity::kMany;
  const std::string example = command.verb->examples.empty()
                                  ? std::string()
                                  : std::string(command.verb->examples[0].command);
  if (needs && given == 0) {
    return Fault{Exit::kUsage, fmt::format("{} needs {}", command.verb->name, argument.name), "",
                 example};
  }
  const std::size_t most = argument.arity == Arity::kNone ? 0
                           : argument.arity == Arity::kOne || argument.arity == Arity::kOptional
                               ? 1
                               : given;
  if (given > most) {
    return Fault{
        Exit::kUsage,
        fmt::format("{} does not take \"{}\"", command.verb->name, command.arguments[most]), "",
        fmt::format("infermesh {} --help", command.verb->name)};
  }
  return std::nullopt;
}

// Verbs that app runs read their own flags; only help is ours, where it is made of settings.
void take_whole(Command& command, std::span<const std::string> words) {
  command.settings.assign(words.begin(), words.end());
  if (command.verb->more == More::kOwn) return;
  for (const std::string& word : words) {
    if (word == "--") return;
    if (word == "--help" || word == "-h") command.help = true;
  }
}

}  // namespace

Outcome<Command> parse_command(std::span<const std::string> args) {
  Command command;
  if (args.empty()) return command;
  if (args[0] == "--help" || args[0] == "-h") {
    command.help = true;
    return command;
  }
  if (args[0] == "--version" || args[0] == "-V") {
    command.verb = find_verb("version");
    return command;
  }
  std::size_t used = 1;
  command.verb = find_verb(args[0]);
  if (command.verb == nullptr && args.size() > 1) {
    command.verb = find_verb(args[0] + " " + args[1]);
    used = 2;
  }
  if (command.verb == nullptr) return unknown_verb(args[0], args.size() > 1 ? args[1] : "");
  const auto words = args.subspan(used);
  if (command.verb->run == nullptr) {
    take_whole(command, words);
    return command;
  }
  if (auto failed = Reader(command, words).read()) return std::unexpected(*failed);
  if (command.help) return command;
  if (auto failed = check_arity(command)) return std::unexpected(*failed);
  return command;
}

}  // namespace infermesh::cli

#include "lab/shared/flags.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "base/text.h"

namespace infermesh::lab {

std::unexpected<Error> bad_value(std::string_view name, std::string_view text,
                                 std::string_view expected) {
  return fail(ErrorCode::kInvalidField, fmt::format("--{}: \"{}\" is not {}", name, text, expected),
              std::string(name));
}

std::optional<double> parse_real(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

std::optional<HostPort> parse_host_port(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto port = parse_u64(text.substr(colon + 1));
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (!port || *port > 65535 || host.empty()) return std::nullopt;
  return HostPort{std::string(host), static_cast<std::uint16_t>(*port)};
}

void Flags::add(std::string name, std::string value, std::string help, Setter setter) {
  flags_.push_back({std::move(name), std::move(value), std::move(help), std::move(setter)});
}

void Flags::text(std::string name, std::string value, std::string help, std::string& into) {
  add(std::move(name), std::move(value), std::move(help), [&into](std::string_view given) {
    into = given;
    return Result<void>{};
  });
}

void Flags::number(std::string name, std::string help, std::uint32_t& into, std::uint32_t min,
                   std::uint32_t max) {
  auto set = [name, &into, min, max](std::string_view given) -> Result<void> {
    const auto parsed = parse_u64(given);
    if (!parsed || *parsed < min || *parsed > max) {
      return bad_value(name, given, fmt::format("a whole number from {} to {}", min, max));
    }
    into = static_cast<std::uint32_t>(*parsed);
    return {};
  };
  add(name, "N", std::move(help), std::move(set));
}

void Flags::real(std::string name, std::string help, double& into, double min, double max) {
  auto set = [name, &into, min, max](std::string_view given) -> Result<void> {
    const auto parsed = parse_real(given);
    if (!parsed || *parsed < min || *parsed > max) {
      return bad_value(name, given, fmt::format("a number from {:g} to {:g}", min, max));
    }
    into = *parsed;
    return {};
  };
  add(name, "X", std::move(help), std::move(set));
}

void Flags::duration(std::string name, std::string help, Duration& into) {
  auto set = [name, &into](std::string_view given) -> Result<void> {
    const auto parsed = parse_duration(given);
    if (!parsed) return bad_value(name, given, "a duration, such as 250ms or 30s");
    into = *parsed;
    return {};
  };
  add(name, "TIME", std::move(help), std::move(set));
}

void Flags::toggle(std::string name, std::string help, bool& into) {
  add(std::move(name), "", std::move(help), [&into](std::string_view) {
    into = true;
    return Result<void>{};
  });
}

const Flags::Flag* Flags::find(std::string_view name) const {
  for (const auto& flag : flags_) {
    if (flag.name == name) return &flag;
  }
  return nullptr;
}

Error Flags::unknown(std::string_view name) const {
  std::vector<std::string> names;
  for (const auto& flag : flags_) names.push_back(flag.name);
  std::string detail = fmt::format("unknown flag \"--{}\"", name);
  const auto close = nearest(name, names, 1);
  detail +=
      close.empty() ? "; --help lists them" : fmt::format("; did you mean \"--{}\"?", close[0]);
  return {ErrorCode::kInvalidField, detail, std::string(name)};
}

Result<void> Flags::parse(std::span<const std::string> args) const {
  for (std::size_t i = 0; i < args.size(); ++i) {
    std::string_view word = args[i];
    if (word == "-o") word = "--output";
    if (!word.starts_with("--")) {
      if (!words_) {
        return fail(ErrorCode::kInvalidField,
                    fmt::format("\"{}\" is not expected here; flags begin with --", word));
      }
      IM_TRY(words_->set(word));
      continue;
    }
    word.remove_prefix(2);
    const auto equals = word.find('=');
    const auto name = word.substr(0, equals);
    const Flag* flag = find(name);
    if (flag == nullptr) return std::unexpected(unknown(name));
    std::string_view value;
    if (equals != std::string_view::npos) {
      if (flag->value.empty()) {
        return fail(ErrorCode::kInvalidField, fmt::format("--{} takes no value", name));
      }
      value = word.substr(equals + 1);
    } else if (!flag->value.empty()) {
      if (i + 1 == args.size()) {
        return fail(ErrorCode::kInvalidField,
                    fmt::format("--{} needs a value: --{} {}", name, name, flag->value));
      }
      value = args[++i];
    }
    IM_TRY(flag->set(value));
  }
  return {};
}

std::string Flags::help() const {
  std::string text;
  for (const auto& flag : flags_) {
    const std::string left = flag.value.empty() ? fmt::format("--{}", flag.name)
                                                : fmt::format("--{} {}", flag.name, flag.value);
    text += fmt::format("  {:<26} {}\n", left, flag.help);
  }
  return text;
}

}  // namespace infermesh::lab

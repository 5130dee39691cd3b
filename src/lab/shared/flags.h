// Flags: the flags of one lab command as a table: name, what its value is, help, and where it goes.
// Parses
// `--name value`, `--name=value`, switches and positional words; each mistake is one sentence that
// names the nearest right flag. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace infermesh::lab {

class Flags {
 public:
  using Setter = std::function<Result<void>(std::string_view)>;

  // `value` is the placeholder in the help, such as "N"; empty makes it a switch, whose setter gets
  // "".
  void add(std::string name, std::string value, std::string help, Setter setter);
  // Common kinds; the bounds are inclusive.
  void text(std::string name, std::string value, std::string help, std::string& into);
  void number(std::string name, std::string help, std::uint32_t& into, std::uint32_t min,
              std::uint32_t max);
  void real(std::string name, std::string help, double& into, double min, double max);
  void duration(std::string name, std::string help, Duration& into);
  void toggle(std::string name, std::string help, bool& into);
  void positional(std::string name, Setter setter) {
    words_ = {std::move(name), std::move(setter)};
  }

  Result<void> parse(std::span<const std::string> args) const;
  std::string help() const;  // one line a flag

 private:
  struct Flag {
    std::string name, value, help;
    Setter set;
  };
  struct Words {
    std::string name;
    Setter set;
  };
  const Flag* find(std::string_view name) const;
  Error unknown(std::string_view name) const;

  std::vector<Flag> flags_;
  std::optional<Words> words_;
};

// The setter's complaint: `--name: "text" is not ...`.
std::unexpected<Error> bad_value(std::string_view name, std::string_view text,
                                 std::string_view expected);

struct HostPort {
  std::string host;
  std::uint16_t port = 0;
};
// "127.0.0.1:8000", "[::1]:8000".
std::optional<HostPort> parse_host_port(std::string_view text);
std::optional<double> parse_real(std::string_view text);

}  // namespace infermesh::lab

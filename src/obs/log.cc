#include "obs/log.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "base/json_text.h"

namespace infermesh::obs {
namespace {

bool needs_quotes(std::string_view text) {
  return text.empty() || text.find_first_of(" \"=\\") != std::string_view::npos ||
         std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<signed char>(c) < 0x20; });
}

void append_value(std::string& out, const LogField& field, LogFormat format) {
  if (const auto* text = std::get_if<std::string_view>(&field.value)) {
    if (format == LogFormat::kJson || needs_quotes(*text)) {
      append_json_string(out, *text);
    } else {
      out += *text;
    }
  } else if (const auto* whole = std::get_if<std::int64_t>(&field.value)) {
    fmt::format_to(std::back_inserter(out), "{}", *whole);
  } else if (const auto* number = std::get_if<double>(&field.value)) {
    append_json_number(out, *number);
  } else {
    out += std::get<bool>(field.value) ? "true" : "false";
  }
}

std::string json_line(WallTime now, LogLevel level, std::string_view message, LogFields fields) {
  std::string line = fmt::format(
      "{{\"time\":\"{}\",\"level\":\"{}\",\"message\":", format_wall_time(now), to_string(level));
  append_json_string(line, message);
  for (const LogField& field : fields) {
    line += ',';
    append_json_string(line, field.name);
    line += ':';
    append_value(line, field, LogFormat::kJson);
  }
  return line + '}';
}

// A message may carry bytes from outside: no line break or control byte of theirs reaches a
// terminal.
void append_message(std::string& out, std::string_view message) {
  for (char c : message) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
}

}  // namespace

std::string_view to_string(LogLevel level) {
  constexpr std::array<std::string_view, 4> kNames{"error", "warn", "info", "debug"};
  return kNames[static_cast<std::size_t>(level)];
}

std::string format_log_line(LogFormat format, WallTime now, LogLevel level,
                            std::string_view message, LogFields fields) {
  if (format == LogFormat::kJson) return json_line(now, level, message, fields);
  std::string line = fmt::format("{} {:<5} ", format_wall_time(now), to_string(level));
  append_message(line, message);
  const char* separator = "  ";
  for (const LogField& field : fields) {
    line += separator;
    line += field.name;
    line += '=';
    append_value(line, field, LogFormat::kText);
    separator = " ";
  }
  return line;
}

void LineWriter::write(std::string& line) {
  if (line.size() >= kLogLineMax) line.resize(kLogLineMax - 1);
  line += '\n';
  // A descriptor that takes kLogLineMax bytes now takes this line whole. Sharing O_NONBLOCK with
  // whoever else has the descriptor open would be rude, hence the question first.
  pollfd ready{descriptor_, POLLOUT, 0};
  const bool room = ::poll(&ready, 1, 0) == 1 && (ready.revents & POLLOUT) != 0;
  if (!room || ::write(descriptor_, line.data(), line.size()) < 0) {
    dropped_.fetch_add(1, std::memory_order_relaxed);
  }
}

void Log::write(WallTime now, LogLevel level, std::string_view message, LogFields fields) {
  if (!enabled(level)) return;
  std::string line = format_log_line(format_, now, level, message, fields);
  writer_.write(line);
}

bool LogLimit::allow(Instant now) {
  if (now < next_) {
    ++suppressed_;
    return false;
  }
  next_ = now + interval_;
  return true;
}

std::uint64_t LogLimit::take_suppressed() {
  return std::exchange(suppressed_, 0);
}

}  // namespace infermesh::obs

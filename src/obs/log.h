// Log: what operators read, one line a message, as text or JSON, written to a descriptor that the
// caller owns. Any thread. A line is one write; when the reader is too slow to take it (a full
// pipe) it is dropped and counted, so that a loop never waits for its log. Lines are cut to
// kLogLineMax. Clocks are the caller's.
#pragma once

#include <atomic>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

#include "base/time.h"

namespace infermesh::obs {

constexpr std::size_t kLogLineMax = 4096;  // what a pipe takes in one piece

enum class LogLevel : std::uint8_t { kError, kWarn, kInfo, kDebug };
enum class LogFormat : std::uint8_t { kText, kJson };
std::string_view to_string(LogLevel level);

// A name with a value: {"engine", name}, {"attempts", 3}.
struct LogField {
  std::string_view name;
  std::variant<std::string_view, std::int64_t, double, bool> value;

  LogField(std::string_view n, std::string_view v) : name(n), value(v) {}
  LogField(std::string_view n, const char* v) : name(n), value(std::string_view(v)) {}
  LogField(std::string_view n, const std::string& v) : name(n), value(std::string_view(v)) {}
  LogField(std::string_view n, bool v) : name(n), value(v) {}
  LogField(std::string_view n, double v) : name(n), value(v) {}
  template <std::integral T>
  LogField(std::string_view n, T v) : name(n), value(static_cast<std::int64_t>(v)) {}
};
using LogFields = std::initializer_list<LogField>;

// Writes whole lines to a descriptor without waiting; counts those it had to drop.
class LineWriter {
 public:
  explicit LineWriter(int descriptor) : descriptor_(descriptor) {}
  void write(std::string& line);  // adds the newline; cuts to kLogLineMax
  std::uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  int descriptor_;
  std::atomic<std::uint64_t> dropped_{0};
};

class Log {
 public:
  Log(int descriptor, LogLevel level, LogFormat format)
      : writer_(descriptor), level_(level), format_(format) {}

  bool enabled(LogLevel level) const { return level <= level_; }
  void write(WallTime now, LogLevel level, std::string_view message, LogFields fields = {});
  void error(WallTime now, std::string_view message, LogFields fields = {}) {
    write(now, LogLevel::kError, message, fields);
  }
  void warn(WallTime now, std::string_view message, LogFields fields = {}) {
    write(now, LogLevel::kWarn, message, fields);
  }
  void info(WallTime now, std::string_view message, LogFields fields = {}) {
    write(now, LogLevel::kInfo, message, fields);
  }
  void debug(WallTime now, std::string_view message, LogFields fields = {}) {
    write(now, LogLevel::kDebug, message, fields);
  }
  std::uint64_t dropped() const { return writer_.dropped(); }

 private:
  LineWriter writer_;
  LogLevel level_;
  LogFormat format_;
};

// "2026-11-24T08:15:32.123Z warn  engine is down  engine=e1 attempts=3", or one JSON object. No
// newline.
std::string format_log_line(LogFormat format, WallTime now, LogLevel level,
                            std::string_view message, LogFields fields);

// At most one message in each interval from one place: if (limit.allow(now)) log.warn(...). One
// thread.
class LogLimit {
 public:
  explicit LogLimit(Duration interval) : interval_(interval) {}
  bool allow(Instant now);
  std::uint64_t take_suppressed();  // since the last one allowed

 private:
  Duration interval_;
  Instant next_ = Instant::min();
  std::uint64_t suppressed_ = 0;
};

}  // namespace infermesh::obs

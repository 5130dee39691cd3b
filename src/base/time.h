// Time as values. Nothing here reads a clock: the present is always an argument called `now`.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace infermesh {

// Tag of the monotonic time line that the loop's clock reads (or a simulation makes). It has no
// now() on purpose.
struct MeshClock {
  using rep = std::int64_t;
  using period = std::nano;
  using duration = std::chrono::nanoseconds;
  using time_point = std::chrono::time_point<MeshClock>;
  static constexpr bool is_steady = true;
};

using Duration = std::chrono::nanoseconds;
using Instant = std::chrono::time_point<MeshClock, Duration>;

// Wall time, for timestamps that people and other machines read; never for measuring.
using WallTime = std::chrono::sys_time<Duration>;

using namespace std::chrono_literals;  // 5s, 100ms

constexpr Instant kNever = Instant::max();

constexpr double to_seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}
constexpr double to_millis(Duration duration) {
  return to_seconds(duration) * 1e3;
}
constexpr Duration from_seconds(double seconds) {
  return Duration(static_cast<std::int64_t>(seconds * 1e9));
}

// "250ms", "5s", "1m30s", "2h"; "0" is zero. No spaces, no negative values. nullopt when it is not
// a duration.
std::optional<Duration> parse_duration(std::string_view text);
// The shortest exact form that parse_duration reads back: "1m30s", "250ms", "0s".
std::string format_duration(Duration duration);
// For people, two significant figures: "18 ms", "6.1 s", "2 min", "3 h".
std::string human_duration(Duration duration);
// RFC 3339 in UTC with milliseconds: "2026-11-24T08:15:32.123Z".
std::string format_wall_time(WallTime time);

}  // namespace infermesh

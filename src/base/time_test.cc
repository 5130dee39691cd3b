#include "base/time.h"

#include <gtest/gtest.h>

namespace infermesh {
namespace {

TEST(Duration, ReadsWhatItWrites) {
  for (const Duration duration : {Duration(0), Duration(1ns), Duration(250ms), Duration(5s),
                                  Duration(90s), Duration(2h + 3min + 4s), Duration(1ms + 500us)}) {
    const std::string text = format_duration(duration);
    EXPECT_EQ(parse_duration(text), duration) << text;
  }
  EXPECT_EQ(format_duration(90s), "1m30s");
  EXPECT_EQ(parse_duration("1.5s"), Duration(1500ms));
}

TEST(Duration, RefusesWhatIsNone) {
  for (const char* text :
       {"", "5", "s", "-1s", "5 s", "5x", "1s-", "1e3s", "99999999999h", "1sm"}) {
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
  }
}

TEST(Duration, ReadsWellForPeople) {
  EXPECT_EQ(human_duration(420us), "420 us");
  EXPECT_EQ(human_duration(4200us), "4.2 ms");
  EXPECT_EQ(human_duration(18ms), "18 ms");
  EXPECT_EQ(human_duration(6100ms), "6.1 s");
  EXPECT_EQ(human_duration(48s), "48 s");
  EXPECT_EQ(human_duration(2min), "2 min");
  EXPECT_EQ(human_duration(3h), "3 h");
  EXPECT_EQ(human_duration(72h), "3 d");
}

TEST(WallTime, IsRfc3339InUtc) {
  EXPECT_EQ(format_wall_time(WallTime(Duration(1795508132123ms))), "2026-11-24T08:15:32.123Z");
}

}  // namespace
}  // namespace infermesh

#include "core/engine/profile.h"

#include <gtest/gtest.h>

namespace infermesh::engine {
namespace {

EngineProfile round_numbers() {
  EngineProfile profile;
  profile.step_base = 10ms;
  profile.prefill_ns_per_token = 1'000;
  profile.decode_ns_per_sequence = 100'000;
  profile.context_ns_per_token = 10;
  return profile;
}

TEST(Profile, StepTimeAddsItsFourParts) {
  const auto profile = round_numbers();
  EXPECT_EQ(step_time(profile, {0, 0, 0}), 10ms);
  EXPECT_EQ(step_time(profile, {500, 0, 0}), 10ms + 500us);
  EXPECT_EQ(step_time(profile, {0, 8, 0}), 10ms + 800us);
  EXPECT_EQ(step_time(profile, {0, 0, 100'000}), 11ms);
  EXPECT_EQ(step_time(profile, {500, 8, 100'000}), 10ms + 500us + 800us + 1ms);
}

TEST(Profile, HalfSpeedTakesTwiceAsLong) {
  auto profile = round_numbers();
  profile.speed = 0.5;
  EXPECT_EQ(step_time(profile, {500, 8, 100'000}), 2 * (10ms + 500us + 800us + 1ms));
}

TEST(Profile, AStepIsNeverInstant) {
  auto profile = round_numbers();
  profile.step_base = 0ms;
  profile.prefill_ns_per_token = 0;
  EXPECT_EQ(step_time(profile, {1, 0, 0}), 1us);
}

TEST(Profile, EveryNamedProfileIsFoundAndValid) {
  ASSERT_FALSE(profile_names().empty());
  for (const auto& name : profile_names()) {
    const auto profile = find_profile(name);
    ASSERT_TRUE(profile.has_value()) << name;
    EXPECT_EQ(profile->name, name);
    EXPECT_TRUE(validate(*profile).has_value()) << name;
    EXPECT_DOUBLE_EQ(profile->speed, 1.0);
  }
  EXPECT_EQ(find_profile("h200-8b"), std::nullopt);
}

// The order of the figures, not their size: a bigger model is slower, a smaller card is slower and
// holds less.
TEST(Profile, NamedProfilesAreOrderedAsTheirHardwareIs) {
  const StepLoad decode{0, 32, 32 * 1000};
  const StepLoad prefill{2048, 0, 0};
  const auto small = *find_profile("h100-8b");
  const auto large = *find_profile("h100-70b-tp4");
  const auto old = *find_profile("a10-8b");
  EXPECT_LT(step_time(small, decode), step_time(large, decode));
  EXPECT_LT(step_time(large, decode), step_time(old, decode));
  EXPECT_LT(step_time(small, prefill), step_time(large, prefill));
  EXPECT_LT(step_time(large, prefill), step_time(old, prefill));
  EXPECT_LT(old.kv_blocks, small.kv_blocks);
}

TEST(Profile, ValidationNamesTheLimit) {
  EngineProfile profile;
  profile.kv_blocks = 0;
  const auto result = validate(profile);
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, ErrorCode::kInvalidField);
  EXPECT_EQ(result.error().param, "kv_blocks");

  for (const double speed : {0.0, -1.0, 1e9}) {
    EngineProfile odd;
    odd.speed = speed;
    EXPECT_EQ(validate(odd).error().param, "speed") << speed;
  }
}

}  // namespace
}  // namespace infermesh::engine

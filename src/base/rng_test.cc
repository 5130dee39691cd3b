#include "base/rng.h"

#include <gtest/gtest.h>

#include <array>

namespace infermesh {
namespace {

TEST(Rng, TheSameSeedGivesTheSameDraws) {
  Rng a(7), b(7), c(8);
  bool differs = false;
  for (int i = 0; i < 100; ++i) {
    const std::uint64_t draw = a.next();
    EXPECT_EQ(draw, b.next());
    differs = differs || draw != c.next();
  }
  EXPECT_TRUE(differs);
}

TEST(Rng, DrawsBelowABoundAreEven) {
  Rng rng(1);
  std::array<int, 10> counts{};
  for (int i = 0; i < 100'000; ++i) ++counts[rng.below(counts.size())];
  for (const int count : counts) EXPECT_NEAR(count, 10'000, 500);
}

TEST(Rng, UnitDrawsStayBelowOne) {
  Rng rng(3);
  double sum = 0;
  for (int i = 0; i < 10'000; ++i) {
    const double draw = rng.unit();
    ASSERT_GE(draw, 0.0);
    ASSERT_LT(draw, 1.0);
    sum += draw;
  }
  EXPECT_NEAR(sum / 10'000, 0.5, 0.02);
}

}  // namespace
}  // namespace infermesh

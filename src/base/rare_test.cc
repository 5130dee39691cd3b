#include "base/rare.h"

#include <gtest/gtest.h>

#include <string>

namespace infermesh {
namespace {

TEST(Rare, IsAPointerWideAndEmptyUnlessGivenAValue) {
  static_assert(sizeof(Rare<std::string>) == sizeof(void*));
  EXPECT_FALSE(Rare<std::string>());
  EXPECT_FALSE(Rare<std::string>(std::nullopt));
  const Rare<std::string> text(std::string("x"));
  ASSERT_TRUE(text);
  EXPECT_EQ(*text, "x");
}

TEST(Rare, CopiesAreApart) {
  Rare<std::string> first(std::string("a"));
  Rare<std::string> second = first;
  *second += "b";
  EXPECT_EQ(*first, "a");
  first = second;
  EXPECT_EQ(*first, "ab");
  first = Rare<std::string>();
  EXPECT_FALSE(first);
  EXPECT_TRUE(second);
}

}  // namespace
}  // namespace infermesh

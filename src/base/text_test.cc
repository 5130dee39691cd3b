#include "base/text.h"

#include <gtest/gtest.h>

namespace infermesh {
namespace {

TEST(Text, NearestPutsTheSmallestEditFirst) {
  const std::vector<std::string> names{"engine", "engines", "url", "pool", "weight"};
  EXPECT_EQ(nearest("enigne", names, 2), (std::vector<std::string>{"engine", "engines"}));
  EXPECT_EQ(nearest("engines", names, 1), (std::vector<std::string>{"engines"}));
  EXPECT_TRUE(nearest("something-else", names, 3).empty());
}

TEST(Text, NearestNeverGoesFurtherThanAThirdOfTheWord) {
  const std::vector<std::string> names{"abcdef"};
  EXPECT_EQ(nearest("abcdxy", names, 1).size(), 1u);
  EXPECT_TRUE(nearest("abcxyz", names, 1).empty());
}

TEST(Text, SizesReadWhatTheyWrite) {
  for (const std::uint64_t size : {0ULL, 512ULL, 1024ULL, 64ULL << 20, 3ULL << 30, 1500ULL}) {
    EXPECT_EQ(parse_size(format_size(size)), size);
  }
  EXPECT_EQ(format_size(64 << 20), "64MiB");
  EXPECT_EQ(parse_size("64MB"), std::nullopt);
  EXPECT_EQ(parse_size("99999999999TiB"), std::nullopt);
}

TEST(Text, NumbersAreWholeOrNothing) {
  EXPECT_EQ(parse_u64("18446744073709551615"), UINT64_MAX);
  for (const char* text : {"", "-1", "+1", "1 ", "0x1", "18446744073709551616"}) {
    EXPECT_EQ(parse_u64(text), std::nullopt) << text;
  }
}

TEST(Text, ThousandsAreGrouped) {
  EXPECT_EQ(group_thousands(7), "7");
  EXPECT_EQ(group_thousands(999), "999");
  EXPECT_EQ(group_thousands(8120), "8,120");
  EXPECT_EQ(group_thousands(12345678), "12,345,678");
}

TEST(Text, SplitKeepsEmptyParts) {
  EXPECT_EQ(split("a,,b,", ','), (std::vector<std::string_view>{"a", "", "b", ""}));
  EXPECT_EQ(trim("  a b\r\n"), "a b");
  EXPECT_TRUE(iequals("Content-Length", "content-length"));
  EXPECT_FALSE(iequals("a", "ab"));
}

}  // namespace
}  // namespace infermesh

#include "wire/json/find_special.h"

#include <gtest/gtest.h>

#include <string>

namespace infermesh::json {
namespace {

TEST(FindSpecial, FindsTheFirstOneWhereverItIsInTextOfAnyLength) {
  for (const std::size_t size : {0U, 1U, 15U, 16U, 31U, 255U, 256U, 287U, 300U, 1000U}) {
    std::string text(size, 'x');
    const char* const end = text.data() + size;
    EXPECT_EQ(find_special(text.data(), end), end) << size;
    for (std::size_t at = 0; at < size; ++at) {
      for (const char special : {'"', '\\', '\n', '\0', '\x1f'}) {
        text[at] = special;
        ASSERT_EQ(find_special(text.data(), end) - text.data(), static_cast<std::ptrdiff_t>(at))
            << size << ' ' << static_cast<int>(special);
      }
      text[at] = static_cast<char>(at % 2 == 0 ? 0x20 : 0xff);  // neighbours of what is looked for
    }
  }
}

TEST(FindClosingQuote, PassesOverTextAndShortEscapesOnly) {
  const auto at = [](std::string_view text) {
    const char* const quote = find_closing_quote(text.data(), text.data() + text.size());
    return quote == nullptr ? -1 : quote - text.data();
  };
  EXPECT_EQ(at("\""), 0);
  EXPECT_EQ(at(R"(ab\n\\\"c")"), 9);
  for (const std::string_view text :
       {"", "ab", R"(ab\)", R"(\u0041")", R"(\x")", "a\nb\"", R"(\")"}) {
    EXPECT_EQ(at(text), -1) << text;
  }
}

}  // namespace
}  // namespace infermesh::json

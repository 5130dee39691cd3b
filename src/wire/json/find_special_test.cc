#include "wire/json/find_special.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/rng.h"

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

// Every mixture of the bytes that matter, at every place of a step, against a reading byte by byte.
TEST(SkipText, StopsWhereAReadingByteByByteDoesOrBefore) {
  Rng rng(7);
  constexpr std::string_view kBytes = "\\\\\\\\\"/bfnrtux \x01\x1f\x20\x7f\x80\xdc\xff";
  for (int round = 0; round < 20'000; ++round) {
    std::string text(rng.below(300), 'a');
    for (std::size_t marks = rng.below(12); marks > 0 && !text.empty(); --marks) {
      text[rng.below(text.size())] = kBytes[rng.below(kBytes.size())];
    }
    const char* const begin = text.data();
    const char* const end = begin + text.size();
    const char* slow = begin;
    std::vector<const char*> whole{begin};  // where no escape is under way
    while (slow != end) {
      if (*slow == '\\') {
        if (end - slow < 2 || !is_simple_escape(slow[1])) break;
        slow += 2;
      } else if (is_special(*slow)) {
        break;
      } else {
        ++slow;
      }
      whole.push_back(slow);
    }
    const char* const fast = skip_text(begin, end);
    ASSERT_TRUE(std::ranges::find(whole, fast) != whole.end()) << round;
    ASSERT_TRUE(fast == slow || end - fast < 64 || !kHasAvx2) << round << ' ' << fast - begin;
  }
}

}  // namespace
}  // namespace infermesh::json

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

}  // namespace
}  // namespace infermesh::json

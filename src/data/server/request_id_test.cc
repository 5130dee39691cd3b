#include "data/server/request_id.h"

#include <gtest/gtest.h>

namespace infermesh::data {
namespace {

TEST(RequestId, TakesPlainOnesOnly) {
  EXPECT_TRUE(is_usable_request_id("req_01.A:b-c"));
  EXPECT_TRUE(is_usable_request_id(std::string(128, 'a')));
  EXPECT_FALSE(is_usable_request_id(std::string(129, 'a')));
  for (const char* bad : {"", "a b", "a\"b", "a/b", "\xc3\xa9"}) {
    EXPECT_FALSE(is_usable_request_id(bad)) << bad;
  }
}

TEST(RequestId, MintsUuidsThatSortByTime) {
  Rng rng(1);
  const WallTime time(1'767'225'600s);
  const std::string id = mint_request_id(time, rng);
  ASSERT_EQ(id.size(), 36u);
  EXPECT_EQ(id.substr(0, 13), "019b76da-a800");
  EXPECT_EQ(id[14], '7');
  EXPECT_NE(std::string("89ab").find(id[19]), std::string::npos);
  EXPECT_NE(mint_request_id(time, rng), id);
  EXPECT_LT(id, mint_request_id(time + 1ms, rng));
  EXPECT_TRUE(is_usable_request_id(id));
}

}  // namespace
}  // namespace infermesh::data

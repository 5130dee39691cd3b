#include "wire/http/percent.h"

#include <gtest/gtest.h>

namespace infermesh::http {
namespace {

TEST(Percent, DecodesOnceAndLeavesWhatIsNoEscape) {
  EXPECT_EQ(percent_decoded("a%2Fb%20c"), "a/b c");
  EXPECT_EQ(percent_decoded("%2541"), "%41");
  EXPECT_EQ(percent_decoded("50%"), "50%");
  EXPECT_EQ(percent_decoded("%zz%4"), "%zz%4");
}

TEST(Percent, EncodesAllButUnreserved) {
  EXPECT_EQ(percent_encoded("a-b.c_d~9"), "a-b.c_d~9");
  EXPECT_EQ(percent_encoded("a/b c\xc3\xa4"), "a%2Fb%20c%C3%A4");
}

TEST(Percent, FindsAndReplacesAMemberOfAQuery) {
  EXPECT_EQ(query_value("a=1&model=x%2Fy", "model"), "x%2Fy");
  EXPECT_EQ(query_value("model", "model"), "");
  EXPECT_EQ(query_value("models=x", "model"), std::nullopt);
  EXPECT_EQ(with_query_value("a=1&model=x&b", "model", "n/1"), "a=1&model=n%2F1&b");
}

}  // namespace
}  // namespace infermesh::http

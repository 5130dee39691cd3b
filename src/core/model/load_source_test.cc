#include "core/model/load_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace infermesh {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

std::string mistake(std::string_view text) {
  const auto source = parse_load_source(text);
  return source ? "" : source.error().detail;
}

TEST(LoadSource, IsAMetricWithOrWithoutLabels) {
  const auto bare = parse_load_source(" queue_total ");
  ASSERT_TRUE(bare);
  EXPECT_EQ(bare->left.kind, LoadOperand::Kind::kMetric);
  EXPECT_EQ(bare->left.text, "queue") << "as names are compared";
  EXPECT_THAT(bare->left.labels, IsEmpty());
  EXPECT_EQ(bare->op, LoadOperator::kNone);
  EXPECT_FALSE(bare->reads_json());
  const auto labelled = parse_load_source(R"(a:b{ x = "1 / 2" , y="" })");
  ASSERT_TRUE(labelled);
  EXPECT_EQ(labelled->left.text, "a:b");
  EXPECT_THAT(labelled->left.labels, ElementsAre(Pair("x", "1 / 2"), Pair("y", "")));
}

TEST(LoadSource, IsAPointer) {
  const auto source = parse_load_source("/loads/*/a~1b");
  ASSERT_TRUE(source);
  EXPECT_TRUE(source->reads_json());
  EXPECT_EQ(source->left.text, "/loads/*/a~1b");
}

TEST(LoadSource, ReckonsWithTwo) {
  const auto over = parse_load_source(R"(used{r="0"} / 100)");
  ASSERT_TRUE(over);
  EXPECT_EQ(over->op, LoadOperator::kOver);
  EXPECT_EQ(over->right.number, 100);
  const auto times = parse_load_source("/blocks * /block/size");
  ASSERT_TRUE(times);
  EXPECT_EQ(times->op, LoadOperator::kTimes);
  EXPECT_EQ(times->right.text, "/block/size");
  EXPECT_EQ(parse_load_source("a + b")->op, LoadOperator::kPlus);
}

TEST(LoadSource, SaysWhatIsWrong) {
  EXPECT_THAT(mistake(""), HasSubstr("is needed"));
  EXPECT_THAT(mistake("a b"), HasSubstr("neither a metric name"));
  EXPECT_THAT(mistake(std::string(64, 'a')), HasSubstr("at most 63 characters"));
  EXPECT_THAT(mistake("7"), HasSubstr("begin with a metric"));
  EXPECT_THAT(mistake("a / 0"), HasSubstr("over 0"));
  EXPECT_THAT(mistake("a + 1"), HasSubstr("no engine has told"));
  EXPECT_THAT(mistake("a / /b"), HasSubstr("cannot be on one page"));
  EXPECT_THAT(mistake("a{x=1}"), HasSubstr("must stand in quotes"));
  EXPECT_THAT(mistake("a{x=\"1\""), HasSubstr("not closed"));
  EXPECT_THAT(mistake("a{x=\"1\" y=\"2\"}"), HasSubstr("comma"));
  EXPECT_THAT(mistake("a{1=\"2\"}"), HasSubstr("is not a label"));
  EXPECT_THAT(mistake("/a~2"), HasSubstr("not a JSON pointer"));
  EXPECT_THAT(mistake(std::string(600, '/')), HasSubstr("over 512 characters"));
}

}  // namespace
}  // namespace infermesh

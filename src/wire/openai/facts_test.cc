#include "wire/openai/facts.h"

#include <gtest/gtest.h>

namespace infermesh::openai {
namespace {

TEST(Facts, Smoke) {
  FactsReader reader(Api::kChat, {});
  ASSERT_TRUE(
      reader.feed(R"({"model":"m","messages":[{"role":"user","content":"hello"}],"stream":true})"));
  ASSERT_TRUE(reader.finish());
  EXPECT_EQ(reader.facts().model, "m");
  EXPECT_TRUE(reader.facts().stream);
  EXPECT_EQ(reader.facts().prompt_tokens.value, 2);
}

}  // namespace
}  // namespace infermesh::openai

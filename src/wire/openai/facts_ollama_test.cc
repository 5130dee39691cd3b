// What is read of Ollama's own bodies.
#include <gtest/gtest.h>

#include "wire/openai/facts.h"

namespace infermesh::openai {
namespace {

RequestFacts read(Api api, std::string_view body, std::size_t size = 1'000'000) {
  FactsReader reader(api, {.block_bytes = 8, .session_body_keys = {}});
  for (std::size_t at = 0; at < body.size(); at += size) {
    const std::string piece(body.substr(at, size));
    EXPECT_TRUE(reader.feed(piece)) << body;
  }
  EXPECT_TRUE(reader.finish()) << body;
  return reader.facts();
}

TEST(OllamaFacts, ABodyStreamsUnlessItSaysOtherwise) {
  for (const Api api : {Api::kOllamaChat, Api::kOllamaGenerate}) {
    EXPECT_TRUE(read(api, R"({"model":"m"})").stream);
    EXPECT_TRUE(read(api, R"({"model":"m","stream":null})").stream);
    EXPECT_TRUE(read(api, R"({"model":"m","stream":true})").stream);
    EXPECT_FALSE(read(api, R"({"model":"m","stream":false})").stream);
  }
  EXPECT_FALSE(read(Api::kOllamaEmbed, R"({"model":"m","input":"x"})").stream);
  EXPECT_FALSE(read(Api::kOllamaShow, R"({"model":"m"})").stream);
  EXPECT_FALSE(read(Api::kChat, R"({"model":"m"})").stream);
}

TEST(OllamaFacts, TheOutputsLimitIsAmongTheOptions) {
  const auto cap = [](std::string_view options) {
    return read(Api::kOllamaChat, R"({"model":"m","options":)" + std::string(options) + "}")
        .output_tokens_max;
  };
  EXPECT_EQ(cap(R"({"temperature":0,"num_predict":12,"stop":["a"]})"), Tokens(12));
  EXPECT_EQ(cap(R"({"num_predict":-1})"), std::nullopt);  // no limit
  EXPECT_EQ(cap(R"({"nested":{"num_predict":3}})"), std::nullopt);
  EXPECT_EQ(cap("null"), std::nullopt);
}

TEST(OllamaFacts, PromptsAreCounted) {
  EXPECT_EQ(read(Api::kOllamaGenerate, R"({"model":"m","system":"abcd","prompt":"efghijkl"})")
                .prompt_tokens,
            Tokens(3));
  EXPECT_EQ(read(Api::kOllamaChat, R"({"model":"m","messages":[{"role":"user","content":"abcd"}]})")
                .prompt_tokens,
            Tokens(2));
  const RequestFacts embed = read(Api::kOllamaEmbed, R"({"model":"m","input":["abcd","efgh"]})");
  EXPECT_EQ(embed.choices, 2U);
  EXPECT_EQ(embed.prompt_tokens, Tokens(2));
  EXPECT_EQ(read(Api::kOllamaEmbed, R"({"model":"m","prompt":"abcd"})").prompt_tokens, Tokens(1));
}

TEST(OllamaFacts, EachImageCountsAndStandsForItself) {
  const auto with = [](std::string_view images) {
    return read(Api::kOllamaChat, R"({"model":"m","messages":[{"role":"user","images":[)" +
                                      std::string(images) +
                                      R"(],"content":"What is to be seen there?"}]})");
  };
  const RequestFacts one = with(R"("AAAA")");
  const RequestFacts two = with(R"("AAAA","BBBB")");
  EXPECT_GT(one.prompt_tokens, Tokens(kMediaTokens - 1));
  EXPECT_EQ(two.prompt_tokens, one.prompt_tokens + Tokens(kMediaTokens));
  EXPECT_EQ(with(R"("AAAA")").blocks, one.blocks);
  EXPECT_NE(with(R"("AAAB")").blocks, one.blocks);
  EXPECT_EQ(read(Api::kOllamaGenerate, R"({"model":"m","images":["AAAA"],"prompt":"abcd"})")
                .prompt_tokens,
            Tokens(kMediaTokens + 1));
}

TEST(OllamaFacts, WhatChangesTheTemplateKeepsPromptsApart) {
  const auto blocks = [](std::string_view member) {
    return read(Api::kOllamaGenerate, R"({"model":"m",)" + std::string(member) +
                                          R"("prompt":"The same words each time."})")
        .blocks;
  };
  const auto plain = blocks("");
  EXPECT_FALSE(plain.empty());
  EXPECT_EQ(blocks(R"("keep_alive":"5m","options":{"seed":1},)"), plain);
  EXPECT_EQ(blocks(R"("think":false,"raw":false,)"), plain);
  EXPECT_NE(blocks(R"("think":true,)"), plain);
  EXPECT_NE(blocks(R"("think":"high",)"), plain);
  EXPECT_NE(blocks(R"("raw":true,)"), plain);
  EXPECT_NE(blocks(R"("template":"{{ .Prompt }}",)"), plain);
}

TEST(OllamaFacts, ShowTakesTheOlderNameOfTheModelToo) {
  EXPECT_EQ(read(Api::kOllamaShow, R"({"name":"llama3"})").model, "llama3");
  EXPECT_EQ(read(Api::kOllamaShow, R"({"model":"llama3","verbose":true})").model, "llama3");
}

TEST(OllamaFacts, CutsChangeNothing) {
  const std::string body =
      R"({"options":{"num_predict":12},"model":"m","think":true,"messages":[{"role":"user",)"
      R"("content":"What is this?","images":["AAAA","BBBB"]},{"role":"tool","tool_name":"f",)"
      R"("content":"x"}],"stream":false})";
  const RequestFacts whole = read(Api::kOllamaChat, body);
  for (std::size_t size = 1; size < body.size(); ++size) {
    const RequestFacts cut = read(Api::kOllamaChat, body, size);
    EXPECT_EQ(cut.blocks, whole.blocks) << size;
    EXPECT_EQ(cut.prompt_tokens, whole.prompt_tokens) << size;
    EXPECT_EQ(cut.output_tokens_max, Tokens(12)) << size;
    EXPECT_FALSE(cut.stream) << size;
  }
}

}  // namespace
}  // namespace infermesh::openai

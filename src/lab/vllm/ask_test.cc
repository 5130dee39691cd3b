#include "lab/vllm/ask.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

namespace infermesh::lab {
namespace {

Ask ask(Api api, std::string_view body) {
  auto read = read_ask(api, body);
  EXPECT_TRUE(read.has_value()) << body << ": " << (read ? "" : read.error().message);
  return read.value_or(Ask{});
}

Refusal refusal(Api api, std::string_view body) {
  auto read = read_ask(api, body);
  EXPECT_FALSE(read.has_value()) << body;
  return read ? Refusal{} : read.error();
}

TEST(Ask, ReadsWhatChangesTheAnswer) {
  const Ask read =
      ask(Api::kChat, R"({"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true,
      "stream_options":{"include_usage":true,"continuous_usage_stats":true},"max_tokens":7,"min_tokens":3,
      "n":2,"ignore_eos":true,"temperature":0.5,"some_new_field":{"a":1}})");
  EXPECT_EQ(read.model, "m");
  EXPECT_TRUE(read.stream);
  EXPECT_TRUE(read.usage);
  EXPECT_TRUE(read.continuous_usage);
  EXPECT_TRUE(read.ignore_eos);
  EXPECT_EQ(read.output_tokens_max, 7u);
  EXPECT_EQ(read.output_tokens_min, 3u);
  EXPECT_EQ(read.choices, 2u);
  EXPECT_EQ(read.prompts.size(), 1u);
}

TEST(Ask, NullsAreAsGoodAsAbsent) {
  const Ask read =
      ask(Api::kChat,
          R"({"messages":[],"stream":null,"max_tokens":null,"stream_options":null,"n":null})");
  EXPECT_FALSE(read.stream);
  EXPECT_EQ(read.output_tokens_max, std::nullopt);
  EXPECT_EQ(read.choices, 1u);
}

TEST(Ask, TheNewerNameOfTheOutputCapWins) {
  EXPECT_EQ(ask(Api::kChat, R"({"messages":[],"max_tokens":7,"max_completion_tokens":5})")
                .output_tokens_max,
            5u);
  EXPECT_EQ(ask(Api::kResponses, R"({"input":"x","max_output_tokens":4})").output_tokens_max, 4u);
}

TEST(Ask, TheNextTurnBeginsWithTheLastOneAndItsAnswer) {
  const std::string question(200, 'q');
  const std::string answer(300, 'a');
  const Ask first = ask(
      Api::kChat, fmt::format(R"({{"messages":[{{"role":"user","content":"{}"}}]}})", question));
  const Ask second = ask(
      Api::kChat,
      fmt::format(
          R"({{"messages":[{{"role":"user","content":"{}"}},{{"role":"assistant","content":"{}"}},
          {{"role":"user","content":"and then?"}}]}})",
          question, answer));
  BlockChain so_far = first.prompts[0];
  so_far.add(answer);
  const auto& blocks = second.prompts[0].blocks();
  ASSERT_GE(blocks.size(), so_far.blocks().size());
  for (std::size_t i = 0; i < so_far.blocks().size(); ++i)
    EXPECT_EQ(blocks[i], so_far.blocks()[i]) << i;
}

TEST(Ask, PartsOfAContentCountAsTheirText) {
  const Ask plain = ask(Api::kChat, R"({"messages":[{"role":"user","content":"one two"}]})");
  const Ask parts =
      ask(Api::kChat, R"({"messages":[{"role":"user","content":[{"type":"text","text":"one "},
      {"type":"text","text":"two"}]}]})");
  EXPECT_EQ(plain.prompts[0].hash(), parts.prompts[0].hash());
}

TEST(Ask, ABillingHeaderDoesNotChangeThePrompt) {
  const auto body = [](std::string_view call) {
    return fmt::format(
        R"({{"max_tokens":5,"system":[{{"type":"text","text":"x-anthropic-billing-header: {}"}},
        {{"type":"text","text":"be brief"}}],"messages":[]}})",
        call);
  };
  EXPECT_EQ(ask(Api::kMessages, body("1")).prompts[0].hash(),
            ask(Api::kMessages, body("2")).prompts[0].hash());
}

TEST(Ask, ModelsAndCacheSaltsDoNotSharePrefixes) {
  const std::string long_text(200, 'x');
  const auto blocks = [&](std::string_view extra) {
    return ask(Api::kCompletions, fmt::format(R"({{"prompt":"{}"{}}})", long_text, extra))
        .prompts[0]
        .blocks();
  };
  EXPECT_NE(blocks(""), blocks(R"(,"model":"m")"));
  EXPECT_NE(blocks(""), blocks(R"(,"cache_salt":"s")"));
  EXPECT_EQ(blocks(R"(,"cache_salt":"s")"), blocks(R"(,"cache_salt":"s")"));
}

TEST(Ask, ACompletionTakesTextsAndTokens) {
  EXPECT_EQ(ask(Api::kCompletions, R"({"prompt":"abc"})").prompts.size(), 1u);
  EXPECT_EQ(ask(Api::kCompletions, R"({"prompt":["a","b","c"]})").prompts.size(), 3u);
  const Ask tokens = ask(Api::kCompletions, R"({"prompt":[1,2,3,4,5]})");
  ASSERT_EQ(tokens.prompts.size(), 1u);
  EXPECT_EQ(tokens.prompts[0].tokens(), Tokens(5));
  EXPECT_EQ(ask(Api::kCompletions, R"({"prompt":[[1,2],[3]]})").prompts.size(), 2u);
}

TEST(Ask, RerankReadsTheQueryBeforeEachDocument) {
  const Ask read =
      ask(Api::kRerank, R"({"query":"which one","documents":["first",{"text":"second"}]})");
  ASSERT_EQ(read.prompts.size(), 2u);
  EXPECT_EQ(read.prompts[0].bytes(), std::string_view("which onefirst").size());
  EXPECT_EQ(read.prompts[1].bytes(), std::string_view("which onesecond").size());
}

TEST(Ask, ScoreTakesItsTextsUnderAnyOfTheirNames) {
  EXPECT_EQ(ask(Api::kScore, R"({"text_1":"a","text_2":["x","y"]})").prompts.size(), 2u);
  EXPECT_EQ(ask(Api::kScore, R"({"queries":"a","documents":["x"]})").prompts.size(), 1u);
}

// The forms of vLLM's refusals: status, type and the place at fault.
TEST(Ask, RefusesAsVllmDoes) {
  EXPECT_EQ(refusal(Api::kChat, "").param, "body");
  EXPECT_EQ(refusal(Api::kChat, "{\"model\":").type, "Bad Request");
  EXPECT_EQ(refusal(Api::kChat, "[1]").status, 400);
  EXPECT_EQ(refusal(Api::kChat, "{} trailing").status, 400);
  EXPECT_EQ(refusal(Api::kChat, R"({"model":"m"})").param, "body.messages");
  EXPECT_EQ(refusal(Api::kCompletions, R"({"model":"m"})").param, "body.prompt");
  EXPECT_EQ(refusal(Api::kEmbeddings, R"({"input":[]})").param, "body.input");
  const Refusal type = refusal(Api::kChat, R"({"messages":[],"max_tokens":"many"})");
  EXPECT_EQ(type.param, "body.max_tokens");
  EXPECT_EQ(type.type, "Bad Request");
  const Refusal range = refusal(Api::kChat, R"({"messages":[],"temperature":-3})");
  EXPECT_EQ(range.type, "BadRequestError");
  EXPECT_EQ(range.message,
            "temperature must be non-negative, got -3.0. (parameter=temperature, value=-3.0)");
  EXPECT_EQ(refusal(Api::kChat, R"({"messages":[],"n":0})").param, "n");
  EXPECT_EQ(refusal(Api::kChat, R"({"messages":[],"stream":"yes"})").param, "body.stream");
}

TEST(Ask, BoundsTheNumberOfPrompts) {
  std::string list;
  for (std::size_t i = 0; i <= kPromptsMax; ++i) list += i == 0 ? "\"a\"" : ",\"a\"";
  EXPECT_EQ(refusal(Api::kEmbeddings, "{\"input\":[" + list + "]}").param, "input");
}

}  // namespace
}  // namespace infermesh::lab

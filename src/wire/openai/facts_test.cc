#include "wire/openai/facts.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace infermesh::openai {
namespace {

void feed(FactsReader& reader, std::string_view body, std::size_t size) {
  for (std::size_t at = 0; at < body.size(); at += size) {
    const std::string piece(body.substr(at, size));  // its own memory
    ASSERT_TRUE(reader.feed(piece)) << reader.feed("").error().detail;
  }
  ASSERT_TRUE(reader.finish()) << reader.finish().error().detail;
}

FactsOptions small_blocks() {
  return {.block_bytes = 8, .session_body_keys = {"user", "id"}};
}

// The facts of a body; checks that the way it is cut does not matter.
RequestFacts read(Api api, std::string_view body) {
  FactsReader whole(api, small_blocks());
  feed(whole, body, body.size() + 1);
  RequestFacts facts = whole.facts();
  facts.session_key = whole.body_session("user");  // as a policy asks for it
  EXPECT_TRUE(facts.complete);
  for (const std::size_t size : {1, 2, 3, 7, 16, 61}) {
    FactsReader pieces(api, small_blocks());
    feed(pieces, body, size);
    const RequestFacts other = pieces.facts();
    EXPECT_EQ(other.model, facts.model) << size;
    EXPECT_EQ(other.stream, facts.stream) << size;
    EXPECT_EQ(other.usage_wanted, facts.usage_wanted) << size;
    EXPECT_EQ(other.choices, facts.choices) << size;
    EXPECT_EQ(other.output_tokens_max, facts.output_tokens_max) << size;
    EXPECT_EQ(other.prompt_tokens, facts.prompt_tokens) << size;
    EXPECT_EQ(other.blocks, facts.blocks) << size;
    EXPECT_EQ(pieces.body_session("user"), facts.session_key) << size;
    EXPECT_TRUE(std::ranges::equal(pieces.edit_points(), whole.edit_points())) << size;
    EXPECT_EQ(pieces.prompt_bytes(), whole.prompt_bytes()) << size;
  }
  return facts;
}

Error error_of(Api api, std::string_view body) {
  FactsReader reader(api, {});
  auto result = reader.feed(body);
  if (result) result = reader.finish();
  EXPECT_FALSE(result.has_value()) << body;
  FactsReader bytewise(api, {});
  Result<void> by_byte;
  for (const char c : body) {
    by_byte = bytewise.feed({&c, 1});
    if (!by_byte) break;
  }
  if (by_byte) by_byte = bytewise.finish();
  EXPECT_EQ(by_byte.error(), result.error()) << body;
  return result.error();
}

std::string chat(std::string_view messages, std::string_view rest = "") {
  return R"({"model":"m","messages":)" + std::string(messages) + std::string(rest) + "}";
}

TEST(Facts, OfAChatRequest) {
  const RequestFacts facts = read(
      Api::kChat,
      R"({"model":"qwen","messages":[{"role":"system","content":"You are a router."},)"
      R"({"role":"user","content":[{"type":"text","text":"Hello"},{"type":"text","text":" there"}]}],)"
      R"("stream":true,"stream_options":{"include_usage":true},"n":3,"max_tokens":50,)"
      R"("max_completion_tokens":40,"user":"ann","service_tier":"priority","unknown":{"model":"x"}})");
  EXPECT_EQ(facts.api, Api::kChat);
  EXPECT_EQ(facts.model, "qwen");
  EXPECT_TRUE(facts.stream);
  EXPECT_TRUE(facts.usage_wanted);
  EXPECT_EQ(facts.choices, 3U);
  EXPECT_EQ(facts.output_tokens_max, Tokens(40));
  // system, 17, user, 5, 6
  EXPECT_EQ(facts.prompt_tokens, Tokens((6 + 17 + 4 + 5 + 6) / 4));
  EXPECT_EQ(facts.blocks.size(), (38U + 5U) / 8U);  // a separator before each text
  EXPECT_EQ(facts.session_key, session_key("ann")) << "of the body";
  EXPECT_EQ(facts.priority, Priority::kHigh);
}

TEST(Facts, OfACompletionRequest) {
  EXPECT_EQ(read(Api::kCompletions, R"({"prompt":"12345678","model":"m"})").prompt_tokens,
            Tokens(2));
  const RequestFacts list =
      read(Api::kCompletions,
           R"({"prompt":["abcd","efgh","ijkl"],"n":2,"best_of":4,"max_tokens":16,"stream":null})");
  EXPECT_EQ(list.choices, 12U);
  EXPECT_EQ(list.prompt_tokens, Tokens(3));
  EXPECT_EQ(list.output_tokens_max, Tokens(16));
  EXPECT_FALSE(list.stream);
  const RequestFacts tokens =
      read(Api::kCompletions, R"({"prompt":[1,22,333, 4444 ],"model":"m"})");
  EXPECT_EQ(tokens.prompt_tokens, Tokens(4));
  EXPECT_EQ(tokens.choices, 1U);
}

TEST(Facts, TokenArraysCountExactly) {
  const auto tokens = [](std::string_view prompt) {
    return read(Api::kCompletions, R"({"model":"m","prompt":)" + std::string(prompt) + "}");
  };
  EXPECT_EQ(tokens("[1,2,3,4,5]").prompt_tokens, Tokens(5));
  EXPECT_EQ(tokens("[[1,2,3],[4,5]]").prompt_tokens, Tokens(5));
  EXPECT_EQ(tokens("[[1,2,3],[4,5]]").choices, 2U);
  EXPECT_EQ(tokens("[123456,123456,123456]").blocks.size(), 2U);
  EXPECT_EQ(tokens("[]").prompt_tokens, Tokens(0));
  EXPECT_EQ(tokens("[]").choices, 1U);
  EXPECT_EQ(tokens("[100001,100002,3]").blocks[0], tokens("[100001,100002,4]").blocks[0]);
  EXPECT_NE(tokens("[100001,100002,3]").blocks[1], tokens("[100001,200002,3]").blocks[1]);
}

TEST(Facts, OfEmbeddingsClassifyTokenizeAndDetokenize) {
  EXPECT_EQ(read(Api::kEmbeddings, R"({"input":["abcd","efgh"],"model":"m"})").choices, 2U);
  EXPECT_EQ(read(Api::kEmbeddings, R"({"input":"abcdefgh","model":"m"})").prompt_tokens, Tokens(2));
  EXPECT_EQ(read(Api::kEmbeddings, R"({"input":[[1,2],[3]],"model":"m"})").prompt_tokens,
            Tokens(3));
  EXPECT_EQ(read(Api::kClassify, R"({"input":["abcd","efgh","x"],"model":"m"})").choices, 3U);
  EXPECT_EQ(read(Api::kTokenize, R"({"prompt":"abcdefgh","model":"m"})").prompt_tokens, Tokens(2));
  EXPECT_EQ(read(Api::kTokenize, R"({"content":"abcdefgh"})").prompt_tokens, Tokens(2));
  EXPECT_EQ(read(Api::kTokenize, chat(R"([{"role":"user","content":"abcdefgh"}])")).prompt_tokens,
            Tokens(3));
  EXPECT_EQ(read(Api::kDetokenize, R"({"tokens":[1,2,3],"model":"m"})").prompt_tokens, Tokens(3));
}

TEST(Facts, OfRerankAndScore) {
  const RequestFacts rerank =
      read(Api::kRerank,
           R"({"documents":["aaaa",{"text":"bbbb"},{"content":"cccc"}],"query":"qqqqqqqq",)"
           R"("model":"r","top_n":2})");
  EXPECT_EQ(rerank.choices, 3U);
  EXPECT_EQ(rerank.prompt_tokens, Tokens((3 * 8 + 12) / 4));
  const RequestFacts score =
      read(Api::kScore, R"({"model":"s","text_1":"aaaa","text_2":["bbbb","cccc"]})");
  EXPECT_EQ(score.choices, 2U);
  EXPECT_EQ(score.prompt_tokens, Tokens(4));
  EXPECT_EQ(
      read(Api::kScore, R"({"queries":["aaaa","bbbb"],"items":["cccc","dddd"]})").prompt_tokens,
      Tokens(4));
}

TEST(Facts, OfAResponsesRequest) {
  const RequestFacts text = read(
      Api::kResponses,
      R"({"model":"m","instructions":"Be kind.","input":"Hello you","max_output_tokens":9,"stream":true})");
  EXPECT_EQ(text.prompt_tokens, Tokens((8 + 9) / 4));
  EXPECT_EQ(text.output_tokens_max, Tokens(9));
  const RequestFacts items = read(
      Api::kResponses,
      R"({"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"abcd"}]},)"
      R"({"type":"function_call","call_id":"c1","name":"f","arguments":"{}"},)"
      R"({"type":"function_call_output","call_id":"c1","output":"done"}]})");
  EXPECT_EQ(items.prompt_tokens, Tokens((4 + 4 + 2 + 1 + 2 + 2 + 4) / 4));
}

TEST(Facts, NamesStoredStateOfAResponsesRequest) {
  const auto field = [](std::string_view member) {
    FactsReader reader(Api::kResponses, {});
    EXPECT_TRUE(reader.feed(R"({"model":"m","input":"x",)" + std::string(member) + "}"));
    return std::string(reader.previous_response()) + "/" + std::string(reader.stored_state_field());
  };
  EXPECT_EQ(field(R"("previous_response_id":"r\u0031")"), "r1/");
  EXPECT_EQ(field(R"("conversation":{"id":"c"})"), "/conversation");
  EXPECT_EQ(field(R"("prompt":{"id":"p"})"), "/prompt");
  EXPECT_EQ(field(R"("background":true)"), "/");  // makes state, refers to none
  EXPECT_EQ(field(R"("previous_response_id":"r1","previous_response_id":null)"), "/");
}

TEST(Facts, TheIdOfAnEarlierResponseIsAString) {
  FactsReader reader(Api::kResponses, {});
  const auto read = reader.feed(R"({"model":"m","previous_response_id":7})");
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().param, "previous_response_id");
}

TEST(Facts, AStoredResponseNeedsNoBody) {
  FactsReader reader(Api::kStoredResponse, {});
  EXPECT_TRUE(reader.finish());
  EXPECT_TRUE(reader.facts().complete);
  EXPECT_FALSE(FactsReader(Api::kResponses, {}).finish());
}

TEST(Facts, OfAMessagesRequest) {
  const RequestFacts facts = read(
      Api::kMessages,
      R"({"model":"m","max_tokens":100,"system":[{"type":"text","text":"abcd"}],"messages":[)"
      R"({"role":"user","content":"efgh"},{"role":"assistant","content":[{"type":"tool_use","name":"f","input":{"a":1}}]},)"
      R"({"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"ijkl"}]}]}]})");
  EXPECT_EQ(facts.output_tokens_max, Tokens(100));
  // abcd user efgh assistant f {"a":1} user t ijkl
  EXPECT_EQ(facts.prompt_tokens, Tokens((4 + 4 + 4 + 9 + 1 + 7 + 4 + 1 + 4) / 4));
}

TEST(Facts, BillingHeadersDoNotReachTheHash) {
  const auto blocks = [](std::string_view system) {
    return read(Api::kMessages,
                R"({"model":"m","system":[)" + std::string(system) +
                    R"(],"messages":[{"role":"user","content":"a question of some length"}]})")
        .blocks;
  };
  const std::string rules = R"({"type":"text","text":"The rules of the house."})";
  const auto plain = blocks(rules);
  EXPECT_EQ(blocks(R"({"type":"text","text":"x-anthropic-billing-header: cch=1f3;"},)" + rules),
            plain);
  EXPECT_EQ(blocks(R"({"type":"text","text":"x-anthropic-billing-header"},)" + rules), plain);
  EXPECT_NE(blocks(R"({"type":"text","text":"x-anthropic-billing"},)" + rules), plain);
  EXPECT_NE(blocks(R"({"type":"text","text":"x-anthropic-other: 1"},)" + rules), plain);
}

TEST(Facts, AnUndecidedBillingTextCountsWhole) {
  const auto tokens = [](std::string_view text) {
    return read(Api::kMessages,
                R"({"system":[{"text":")" + std::string(text) + R"("}],"messages":[]})")
        .prompt_tokens;
  };
  EXPECT_EQ(tokens("x-anthropic-"), Tokens(3));
  EXPECT_EQ(tokens("x-anthropic-abcd"), Tokens(4));
  EXPECT_EQ(tokens("abcd"), Tokens(1));
}

TEST(Facts, SharedBeginningsShareBlocks) {
  const std::string begin =
      R"([{"role":"system","content":"A long text that two prompts have in common."},)";
  const auto a =
      read(Api::kChat, chat(begin + R"({"role":"user","content":"first question"}])")).blocks;
  const auto b =
      read(Api::kChat, chat(begin + R"({"role":"user","content":"other question"}])")).blocks;
  ASSERT_EQ(a.size(), b.size());
  EXPECT_EQ(a[5], b[5]);
  EXPECT_NE(a.back(), b.back());
}

TEST(Facts, ToolsBelongToThePrompt) {
  const auto tools = [](std::string_view name) {
    return read(Api::kChat, R"({"tools":[{"type":"function","function":{"name":")" +
                                std::string(name) +
                                R"("}}],"messages":[{"role":"user","content":"hello there"}]})")
        .blocks;
  };
  EXPECT_EQ(tools("f"), tools("f"));
  EXPECT_NE(tools("f").back(), tools("g").back());
}

TEST(Facts, SaltsKeepPromptsApart) {
  const auto first = [](std::string_view salt) {
    return read(Api::kChat, "{" + std::string(salt) +
                                R"("messages":[{"role":"user","content":"hello there"}]})")
        .blocks.at(0);
  };
  const BlockHash plain = first("");
  EXPECT_NE(first(R"("cache_salt":"t1",)"), plain);
  EXPECT_NE(first(R"("cache_salt":"t1",)"), first(R"("cache_salt":"t2",)"));
  EXPECT_NE(first(R"("chat_template_kwargs":{"enable_thinking":false},)"), plain);
  EXPECT_NE(first(R"("reasoning_effort":"high",)"), plain);
  EXPECT_EQ(first(R"("cache_salt":null,)"), plain);
  EXPECT_EQ(first(R"("temperature":1,)"), plain);
}

TEST(Facts, MediaCountsByEstimateAndHashesByValue) {
  const auto image = [](std::string_view data) {
    return read(Api::kChat,
                chat(R"([{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:)" +
                     std::string(data) + R"("}},{"type":"text","text":"what is it"}]}])"));
  };
  const RequestFacts a = image(std::string(5000, 'A'));
  EXPECT_EQ(a.prompt_tokens, Tokens((4 + 10) / 4 + kMediaTokens));
  EXPECT_EQ(a.blocks, image(std::string(5000, 'A')).blocks);
  EXPECT_NE(a.blocks.back(), image(std::string(5000, 'A') + "B").blocks.back());
}

TEST(Facts, TheModelMayComeLast) {
  std::string body =
      R"({"messages":[{"role":"user","content":")" + std::string(2'000'000, 'x') + R"("}],"n":1)";
  FactsReader reader(Api::kChat, {});
  for (std::size_t at = 0; at < body.size(); at += 16384) {
    ASSERT_TRUE(reader.feed(std::string_view(body).substr(at, 16384)));
    EXPECT_FALSE(reader.model_known());
    EXPECT_FALSE(reader.ready_to_route(0));
  }
  ASSERT_TRUE(reader.feed(R"(,"model":"last")"));
  EXPECT_TRUE(reader.ready_to_route(1'000'000'000));
  ASSERT_TRUE(reader.feed("}"));
  ASSERT_TRUE(reader.finish());
  EXPECT_EQ(reader.facts().model, "last");
  EXPECT_EQ(reader.facts().prompt_tokens, Tokens(500'001));
  EXPECT_EQ(reader.facts().blocks.size(), kPromptBlocksMax);
}

TEST(Facts, ReadyWhenTheModelAndEnoughOfThePromptAreThere) {
  FactsReader reader(Api::kChat, {});
  ASSERT_TRUE(reader.feed(R"({"model":"m")"));
  EXPECT_TRUE(reader.ready_to_route(0));
  EXPECT_FALSE(reader.ready_to_route(100));
  ASSERT_TRUE(reader.feed(R"(,"messages":[{"role":"user","content":")" + std::string(90, 'x')));
  EXPECT_FALSE(reader.ready_to_route(100));
  ASSERT_TRUE(reader.feed(std::string(10, 'x')));
  EXPECT_TRUE(reader.ready_to_route(100));
  EXPECT_FALSE(reader.ready_to_route(1000));
  ASSERT_TRUE(reader.feed(R"("}])"));
  EXPECT_TRUE(reader.ready_to_route(1000));  // there is no more of the prompt
  EXPECT_FALSE(reader.facts().complete);
  EXPECT_FALSE(reader.stream_known());
  ASSERT_TRUE(reader.feed(R"(,"stream":false)"));
  EXPECT_TRUE(reader.stream_known());
}

TEST(Facts, WithoutHashingThePromptIsNotWaitedFor) {
  FactsReader reader(Api::kChat, {.session_body_keys = {}, .hash_prompt = HashPrompt::kNo});
  ASSERT_TRUE(reader.feed(R"({"model":"m","messages":[{"content":"abcdefgh)"));
  EXPECT_TRUE(reader.ready_to_route(1'000'000));
  EXPECT_TRUE(reader.facts().blocks.empty());
  EXPECT_EQ(reader.facts().prompt_tokens, Tokens(2));
}

TEST(Facts, OfDuplicatesTheLastCounts) {
  const RequestFacts facts =
      read(Api::kChat,
           R"({"stream":true,"model":"a","n":5,"messages":[{"content":"01234567890123456789"}],)"
           R"("stream":false,"model":"b","n":2,"messages":[{"content":"abcd"}],)"
           R"("stream_options":{"include_usage":true},"stream_options":{}})");
  EXPECT_EQ(facts.model, "b");
  EXPECT_FALSE(facts.stream);
  EXPECT_EQ(facts.choices, 2U);
  EXPECT_EQ(facts.prompt_tokens, Tokens(1));
  EXPECT_TRUE(facts.blocks.empty());
  EXPECT_FALSE(facts.usage_wanted);
}

TEST(Facts, ADifferentSecondModelIsAConflict) {
  FactsReader reader(Api::kChat, {});
  ASSERT_TRUE(reader.feed(R"({"model":"a","model":"\u0061")"));
  EXPECT_FALSE(reader.model_conflict());
  ASSERT_TRUE(reader.feed(R"(,"model":"b"})"));
  EXPECT_TRUE(reader.model_conflict());
  FactsReader null(Api::kChat, {});
  ASSERT_TRUE(null.feed(R"({"model":"a","model":null})"));
  EXPECT_TRUE(null.model_conflict());
  EXPECT_EQ(null.facts().model, "");
}

TEST(Facts, TooManyDuplicatesAreRefused) {
  std::string body = "{";
  for (int i = 0; i < 100; ++i) body += R"("model":"a",)";
  const Error error = error_of(Api::kChat, body + R"("n":1})");
  EXPECT_EQ(error.code, ErrorCode::kInvalidField);
  EXPECT_EQ(error.param, "model");
}

TEST(Facts, KeysAndNamesAreUnescaped) {
  const RequestFacts facts =
      read(Api::kChat, R"({"mo\u0064el":"\u0066oo\/bar","\u0073tream":true,"us\u0065r":"\u00e9"})");
  EXPECT_EQ(facts.model, "foo/bar");
  EXPECT_TRUE(facts.stream);
  EXPECT_EQ(facts.session_key, session_key("é"));
}

TEST(Facts, SessionKeysAreReadByName) {
  FactsReader reader(Api::kChat, small_blocks());
  feed(reader, R"({"id":"7","model":"m","user":"ann","metadata":{"user":"bob"}})", 5);
  EXPECT_EQ(reader.body_session("user"), session_key("ann"));
  EXPECT_EQ(reader.body_session("id"), session_key("7"));
  EXPECT_EQ(reader.body_session("model"), 0U) << "nobody asked for it";
}

TEST(Facts, OddButAllowedValuesAreTakenAsAbsent) {
  const RequestFacts facts =
      read(Api::kChat,
           R"({"model":null,"stream":null,"n":null,"max_tokens":-1,"max_completion_tokens":null,)"
           R"("messages":null,"stream_options":null,"service_tier":7,"user":{"a":1}})");
  EXPECT_EQ(facts.model, "");
  EXPECT_FALSE(facts.stream);
  EXPECT_EQ(facts.choices, 1U);
  EXPECT_FALSE(facts.output_tokens_max.has_value());
  EXPECT_EQ(facts.session_key, 0U);
  EXPECT_EQ(read(Api::kChat, "{}").prompt_tokens, Tokens(0));
  EXPECT_EQ(
      read(Api::kChat, R"({"max_completion_tokens":null,"max_tokens":7e1})").output_tokens_max,
      Tokens(70));
}

TEST(Facts, DeepNestingIsPassedOver) {
  std::string deep;
  std::string close;
  for (int i = 0; i < 30; ++i) {
    deep += R"({"content":[)";
    close.insert(0, "]}");
  }
  EXPECT_EQ(read(Api::kChat, chat("[" + deep + close + "]", R"(,"n":2)")).choices, 2U);
}

TEST(Facts, NotOneJsonObjectIsRefusedWithTheByte) {
  EXPECT_EQ(error_of(Api::kChat, "").code, ErrorCode::kInvalidJson);
  EXPECT_EQ(error_of(Api::kChat, R"({"model": )").detail,
            "The body is not valid JSON: the bytes end too early at byte 10.");
  EXPECT_EQ(error_of(Api::kChat, R"({"model":"m"} x)").detail,
            "The body is not valid JSON: unexpected bytes after the end of the value at byte 14.");
  EXPECT_EQ(error_of(Api::kChat, "[1]").detail, "The body is not a JSON object but an array.");
  EXPECT_EQ(error_of(Api::kChat, "12").code, ErrorCode::kInvalidJson);
  EXPECT_EQ(error_of(Api::kChat, "\"x\"").code, ErrorCode::kInvalidJson);
}

TEST(Facts, WrongTypesAreRefusedWithTheField) {
  const Error model = error_of(Api::kChat, R"({"model":7})");
  EXPECT_EQ(model.code, ErrorCode::kInvalidField);
  EXPECT_EQ(model.param, "model");
  EXPECT_EQ(model.detail, "model must be a string, but is a number at byte 9.");
  EXPECT_EQ(error_of(Api::kChat, R"({"model":["a"]})").param, "model");
  EXPECT_EQ(error_of(Api::kChat, R"({"stream":"true"})").param, "stream");
  EXPECT_EQ(error_of(Api::kChat, R"({"stream":1})").param, "stream");
  EXPECT_EQ(error_of(Api::kChat, R"({"model":")" + std::string(5000, 'x') + "\"}").param, "model");
}

TEST(Facts, AnErrorStays) {
  FactsReader reader(Api::kChat, {});
  ASSERT_FALSE(reader.feed("{]"));
  EXPECT_FALSE(reader.feed("{}").has_value());
  EXPECT_FALSE(reader.finish().has_value());
  EXPECT_FALSE(reader.ready_to_route(0));
}

}  // namespace
}  // namespace infermesh::openai

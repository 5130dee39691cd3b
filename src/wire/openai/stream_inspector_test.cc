#include "wire/openai/stream_inspector.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "wire/http/sse.h"
#include "wire/openai/answer.h"

namespace infermesh::openai {
namespace {

using enum StreamAction;

std::string body_of(std::string_view name) {
  const std::string path =
      INFERMESH_SOURCE_DIR "/test/fixtures/engines/" + std::string(name) + ".http";
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  std::stringstream text;
  text << file.rdbuf();
  const std::string all = text.str();
  return all.substr(all.find("\r\n\r\n") + 4);
}

struct Relay {
  StreamInspector inspector;
  std::vector<StreamAction> actions;
  std::string relayed;  // what a client gets
};

Relay relay(Api api, UsageEvents usage, std::string_view stream) {
  Relay result{StreamInspector(api, usage), {}, {}};
  http::SseSplitter splitter;
  splitter.push(stream);
  while (true) {
    const auto event = splitter.next();
    if (!event || !*event) break;
    const StreamVerdict verdict = result.inspector.on_event((*event)->event, (*event)->data);
    result.actions.push_back(verdict.action);
    if (verdict.action == kRelay || verdict.action == kEnd) result.relayed += (*event)->raw;
  }
  return result;
}

std::size_t count(const Relay& relayed, StreamAction action) {
  return static_cast<std::size_t>(std::ranges::count(relayed.actions, action));
}

// Whether an event is known by the one before it must make no difference.
void expect_same_as_alone(Api api, const std::vector<std::string>& events) {
  StreamInspector inspector(api, UsageEvents::kStrip);
  std::uint64_t content = 0;
  for (const std::string& data : events) {
    StreamInspector alone(api, UsageEvents::kStrip);
    const StreamVerdict expected = alone.on_event("", data);
    const StreamVerdict got = inspector.on_event("", data);
    EXPECT_EQ(got, expected) << data;
    EXPECT_TRUE(std::ranges::equal(inspector.models(), alone.models())) << data;
    if (!alone.finish_reason().empty()) {
      EXPECT_EQ(inspector.finish_reason(), alone.finish_reason());
    }
    content += alone.content_events();
    EXPECT_EQ(inspector.content_events(), content) << data;
    if (inspector.failed() || inspector.ended()) break;
  }
}

TEST(StreamInspector, AnEventLikeTheLastIsJudgedAsIfItCameAlone) {
  const auto chunk = [](std::string_view text, std::string_view rest = "") {
    return R"({"id":"c","model":"m","choices":[{"index":0,"delta":{"content":")" +
           std::string(text) + "\"}" + std::string(rest) + "}]}";
  };
  const auto model_last = [](std::string_view text) {
    return R"({"choices":[{"delta":{"content":")" + std::string(text) + R"("}}],"model":"m"})";
  };
  const std::string kStop = R"(,"finish_reason":"stop")";
  const std::vector<std::string> same{chunk("a"), chunk("bc"), chunk("d\\n"), chunk("e")};
  expect_same_as_alone(Api::kChat, same);
  for (const std::string& odd :
       {chunk(""), chunk("\\u0041"), chunk(R"(x"},"y":{"z":"w)"), chunk("a\"}]}"),
        chunk("f", kStop), chunk("a", R"(,"usage":null)"), chunk("\\"), model_last("a"),
        std::string("[DONE]"), chunk("a") + " ", chunk("a\tb"), chunk("x").substr(1)}) {
    std::vector<std::string> events = same;
    events.insert(events.end(), {odd, chunk("g"), odd, odd, chunk("h"), chunk("i")});
    expect_same_as_alone(Api::kChat, events);
  }
  expect_same_as_alone(Api::kChat, {model_last("a"), model_last("bcd"), model_last("e")});
  expect_same_as_alone(Api::kChat, {chunk("a", kStop), chunk("b", kStop), chunk("c", kStop)});
  const auto delta = [](std::string_view text) {
    return R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":")" +
           std::string(text) + R"("}})";
  };
  expect_same_as_alone(Api::kMessages, {delta("a"), delta("b"), R"({"type":"ping"})", delta("c")});
}

TEST(StreamInspector, CountsEachFinishReason) {
  StreamInspector inspector(Api::kChat, UsageEvents::kKeep);
  for (int i = 0; i < 3; ++i) {
    inspector.on_event("", R"({"choices":[{"text":"a","finish_reason":"stop"}]})");
  }
  EXPECT_EQ(inspector.finish_reasons(), 3U);
}

struct Fixture {
  std::string name;
  Api api;
  std::int64_t prompt;
  std::int64_t output;
  std::uint64_t content_events;
};

class EngineStreams : public testing::TestWithParam<Fixture> {};

TEST_P(EngineStreams, AreReadToTheirEnd) {
  const Fixture& fixture = GetParam();
  const std::string stream = body_of(fixture.name);
  const Relay kept = relay(fixture.api, UsageEvents::kKeep, stream);
  EXPECT_TRUE(kept.inspector.ended());
  EXPECT_FALSE(kept.inspector.failed());
  EXPECT_EQ(kept.actions.back(), kEnd);
  EXPECT_EQ(count(kept, kDrop), 0U);
  EXPECT_EQ(kept.relayed, stream);
  EXPECT_EQ(kept.inspector.usage().prompt, Tokens(fixture.prompt));
  EXPECT_EQ(kept.inspector.usage().output, Tokens(fixture.output));
  EXPECT_EQ(kept.inspector.content_events(), fixture.content_events);
  EXPECT_EQ(kept.inspector.finish_reason(), "length");
  EXPECT_EQ(kept.inspector.finish_reasons(), 1U);
}

TEST_P(EngineStreams, LoseOnlyTheUsageEventWhenItIsStripped) {
  const std::string stream = body_of(GetParam().name);
  const Relay stripped = relay(GetParam().api, UsageEvents::kStrip, stream);
  EXPECT_TRUE(stripped.inspector.ended());
  EXPECT_FALSE(stripped.relayed.contains("\"choices\":[]"));
  EXPECT_TRUE(stripped.relayed.ends_with("data: [DONE]\n\n"));
  EXPECT_EQ(stripped.inspector.usage().output, Tokens(GetParam().output));
  const bool has_usage_event = stream.contains("\"choices\":[]");
  EXPECT_EQ(count(stripped, kDrop), has_usage_event ? 1U : 0U);
}

TEST_P(EngineStreams, CutAnywhereBeforeTheEndDoNotCountAsEnded) {
  const std::string stream = body_of(GetParam().name);
  for (std::size_t cut = 0; cut + 2 < stream.size(); cut += 7) {
    const Relay result =
        relay(GetParam().api, UsageEvents::kKeep, std::string_view(stream).substr(0, cut));
    EXPECT_FALSE(result.inspector.ended()) << cut;
    EXPECT_FALSE(result.inspector.failed()) << cut;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Captured, EngineStreams,
    testing::Values(Fixture{"vllm/chat-stream-usage", Api::kChat, 45, 8, 8},
                    Fixture{"vllm/chat-stream-continuous-usage", Api::kChat, 19, 4, 4},
                    Fixture{"vllm/completion-stream-usage", Api::kCompletions, 2, 4, 4},
                    Fixture{"sglang/chat-stream-usage", Api::kChat, 45, 8, 8},
                    Fixture{"sglang/completion-stream-usage", Api::kCompletions, 2, 4, 4},
                    Fixture{"llama.cpp/chat-stream-usage", Api::kChat, 45, 8, 8},
                    Fixture{"llama.cpp/completion-stream-usage", Api::kCompletions, 2, 4, 4}),
    [](const auto& param_info) {
      std::string name = param_info.param.name;
      for (char& c : name) {
        if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
      }
      return name;
    });

TEST(StreamInspector, WithoutUsageContentEventsAreCounted) {
  const Relay vllm = relay(Api::kChat, UsageEvents::kKeep, body_of("vllm/chat-stream"));
  EXPECT_FALSE(vllm.inspector.usage().known());
  EXPECT_EQ(vllm.inspector.output_tokens(), Tokens(8));
  // llama.cpp tells its timings unasked.
  const Relay llamacpp = relay(Api::kChat, UsageEvents::kKeep, body_of("llama.cpp/chat-stream"));
  EXPECT_EQ(llamacpp.inspector.usage().prompt, Tokens(45));
  EXPECT_EQ(llamacpp.inspector.usage().cached, Tokens(44));
  EXPECT_EQ(llamacpp.inspector.usage().output, Tokens(8));
}

TEST(StreamInspector, ReadsCachedTokens) {
  const Relay result =
      relay(Api::kChat, UsageEvents::kKeep, body_of("llama.cpp/chat-stream-usage"));
  EXPECT_EQ(result.inspector.usage().cached, Tokens(44));
}

TEST(StreamInspector, AnErrorFrameEndsTheStreamAndTheDoneAfterItIsDropped) {
  const Relay result = relay(Api::kChat, UsageEvents::kKeep,
                             "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"
                             "data: {\"error\":{\"message\":\"engine "
                             "died\",\"type\":\"InternalServerError\",\"code\":500}}\n\n"
                             "data: [DONE]\n\n");
  EXPECT_EQ(result.actions, (std::vector{kRelay, kError, kDrop}));
  EXPECT_FALSE(result.inspector.ended());
  EXPECT_TRUE(result.inspector.failed());
  EXPECT_EQ(result.inspector.error()->message, "engine died");
  EXPECT_EQ(result.inspector.error()->status, 500);
}

TEST(StreamInspector, KnowsEveryFormOfErrorFrame) {
  const auto action = [](Api api, std::string_view event, std::string_view data) {
    return StreamInspector(api, UsageEvents::kKeep).on_event(event, data).action;
  };
  EXPECT_EQ(action(Api::kChat, "", R"({"error":"text"})"), kError);
  EXPECT_EQ(action(Api::kChat, "", R"({"object":"error","message":"m","code":400})"), kError);
  EXPECT_EQ(action(Api::kChat, "error", R"({"message":"m"})"), kError);
  EXPECT_EQ(action(Api::kChat, "", R"({"error":null,"choices":[]})"), kRelay);
  EXPECT_EQ(action(Api::kResponses, "error", R"({"type":"error","code":"x","message":"m"})"),
            kError);
  EXPECT_EQ(action(Api::kMessages, "error",
                   R"({"type":"error","error":{"type":"overloaded_error","message":"m"}})"),
            kError);
}

TEST(StreamInspector, TextThatLooksLikeAFieldConfusesNothing) {
  StreamInspector inspector(Api::kChat, UsageEvents::kStrip);
  const StreamVerdict verdict = inspector.on_event(
      "",
      R"({"choices":[{"delta":{"content":"\"usage\":{\"prompt_tokens\":1},\"choices\":[],\"error\":{} [DONE]"}}]})");
  EXPECT_EQ(verdict, (StreamVerdict{kRelay, true}));
  EXPECT_EQ(
      inspector.on_event(
          "",
          R"({"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"","usage":{},"error":"x"}}]}}],"x":{"error":1,"usage":{"prompt_tokens":9}}})"),
      (StreamVerdict{kRelay, true}));
  EXPECT_FALSE(inspector.usage().known());
}

TEST(StreamInspector, BadFramesAreSeen) {
  for (const std::string_view data :
       {"{\"choices\":[", "hello", "[1]", "\"x\"", "{} {}", "[DONE] x", "12"}) {
    StreamInspector inspector(Api::kChat, UsageEvents::kKeep);
    EXPECT_EQ(inspector.on_event("", data).action, kBad) << data;
    EXPECT_TRUE(inspector.failed());
    EXPECT_EQ(inspector.on_event("", "[DONE]").action, kDrop);
  }
}

TEST(StreamInspector, UsageEventsWithAnEmptyIdAreUsageEvents) {
  StreamInspector inspector(Api::kChat, UsageEvents::kStrip);
  EXPECT_EQ(
      inspector
          .on_event(
              "",
              R"({"id":"","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}})")
          .action,
      kDrop);
  EXPECT_EQ(inspector.usage().prompt, Tokens(3));
}

TEST(StreamInspector, EmptyChoicesWithoutUsageAreRelayed) {
  StreamInspector inspector(Api::kChat, UsageEvents::kStrip);
  EXPECT_EQ(inspector.on_event("", R"({"choices":[],"prompt_filter_results":[]})").action, kRelay);
  EXPECT_EQ(inspector.on_event("", R"({"choices":[],"usage":null})").action, kRelay);
}

TEST(StreamInspector, WhatIsContent) {
  const auto content = [](std::string_view delta) {
    StreamInspector inspector(Api::kChat, UsageEvents::kKeep);
    return inspector.on_event("", R"({"choices":[{"delta":)" + std::string(delta) + "}]}").content;
  };
  EXPECT_TRUE(content(R"({"content":"a"})"));
  EXPECT_TRUE(content(R"({"reasoning_content":"a","content":null})"));
  EXPECT_TRUE(content(R"({"reasoning":"a"})"));
  EXPECT_TRUE(content(R"({"tool_calls":[{"index":0}]})"));
  EXPECT_FALSE(content(R"({"role":"assistant","content":""})"));
  EXPECT_FALSE(content(R"({"role":"assistant","content":null,"tool_calls":[]})"));
  EXPECT_FALSE(content(R"({})"));
}

TEST(StreamInspector, ResponsesEndWithTheirOwnEvents) {
  const std::string head =
      "event: response.created\ndata: "
      "{\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"model\":\"m\","
      "\"error\":null,\"usage\":null}}\n\n"
      "event: response.output_text.delta\ndata: "
      "{\"type\":\"response.output_text.delta\",\"sequence_number\":1,\"delta\":\"Hi\"}\n\n";
  const Relay done =
      relay(Api::kResponses, UsageEvents::kStrip,
            head +
                "event: response.completed\ndata: "
                "{\"type\":\"response.completed\",\"sequence_number\":2,\"response\":"
                "{\"usage\":{\"input_tokens\":19,\"input_tokens_details\":{\"cached_"
                "tokens\":18},\"output_tokens\":4,"
                "\"output_tokens_details\":{\"reasoning_tokens\":1},\"total_tokens\":23}"
                "}}\n\ndata: [DONE]\n\n");
  EXPECT_EQ(done.actions, (std::vector{kRelay, kRelay, kEnd, kDrop}));
  EXPECT_TRUE(done.inspector.ended());
  EXPECT_FALSE(done.inspector.failed());
  EXPECT_EQ(done.inspector.usage(), (Usage{Tokens(19), Tokens(18), {}, Tokens(4), Tokens(1)}));
  EXPECT_EQ(done.inspector.content_events(), 1U);
  EXPECT_EQ(done.inspector.next_sequence_number(), 3U);
  const Relay failed = relay(
      Api::kResponses, UsageEvents::kStrip,
      head + "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{}}\n\n");
  EXPECT_TRUE(failed.inspector.ended());
  EXPECT_TRUE(failed.inspector.failed());
  EXPECT_FALSE(relay(Api::kResponses, UsageEvents::kStrip, head).inspector.ended());
  EXPECT_FALSE(
      relay(Api::kResponses, UsageEvents::kStrip, head + "data: [DONE]\n\n").inspector.ended());
}

TEST(StreamInspector, MessagesEndWithMessageStop) {
  const Relay result = relay(
      Api::kMessages, UsageEvents::kStrip,
      "event: message_start\ndata: "
      "{\"type\":\"message_start\",\"message\":{\"model\":\"m\",\"usage\":{\"input_tokens\":10,"
      "\"cache_read_input_tokens\":5,\"cache_creation_input_tokens\":2,\"output_tokens\":1}}}\n\n"
      "event: ping\ndata: {\"type\":\"ping\"}\n\n"
      "event: content_block_start\ndata: "
      "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":"
      "\"\"}}\n\n"
      "event: content_block_delta\ndata: "
      "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":"
      "\"Hi\"}}\n\n"
      "event: content_block_delta\ndata: "
      "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\","
      "\"thinking\":\"x\"}}\n\n"
      "event: message_delta\ndata: "
      "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_"
      "tokens\":7}}\n\n"
      "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
  EXPECT_EQ(result.actions.back(), kEnd);
  EXPECT_EQ(count(result, kRelay), 6U);
  EXPECT_TRUE(result.inspector.ended());
  EXPECT_EQ(result.inspector.usage(), (Usage{Tokens(17), Tokens(5), Tokens(2), Tokens(7), {}}));
  EXPECT_EQ(result.inspector.content_events(), 2U);
  EXPECT_EQ(result.inspector.finish_reason(), "end_turn");
}

TEST(StreamInspector, GivesTheModelsOfAnEvent) {
  StreamInspector chat(Api::kChat, UsageEvents::kKeep);
  const std::string chunk =
      R"({"id":"1","model":"served","choices":[{"delta":{"model":"inner"}}]})";
  chat.on_event("", chunk);
  EXPECT_EQ(with_model(chunk, chat.models(), "ali\"as"),
            R"({"id":"1","model":"ali\"as","choices":[{"delta":{"model":"inner"}}]})");
  StreamInspector responses(Api::kResponses, UsageEvents::kKeep);
  const std::string created =
      R"({"type":"response.created","response":{"model":"served","id":"r"}})";
  responses.on_event("response.created", created);
  EXPECT_EQ(with_model(created, responses.models(), "a"),
            R"({"type":"response.created","response":{"model":"a","id":"r"}})");
  StreamInspector messages(Api::kMessages, UsageEvents::kKeep);
  const std::string start = R"({"type":"message_start","message":{"model":"served"}})";
  messages.on_event("message_start", start);
  EXPECT_EQ(with_model(start, messages.models(), "a"),
            R"({"type":"message_start","message":{"model":"a"}})");
  messages.on_event("message_stop", "");
  EXPECT_TRUE(messages.models().empty());
}

ResponseReader read_answer(Api api, std::string_view body, std::size_t size) {
  ResponseReader reader(api);
  for (std::size_t at = 0; at < body.size(); at += size) reader.feed(body.substr(at, size));
  return reader;
}

TEST(ResponseReader, ReadsUsageOfEveryCapturedForm) {
  const std::vector<std::tuple<std::string_view, Api, Usage>> cases{
      {"vllm/chat", Api::kChat, {Tokens(45), {}, {}, Tokens(16), {}}},
      {"vllm/chat-cached-tokens", Api::kChat, {Tokens(68), Tokens(64), Tokens(0), Tokens(4), {}}},
      {"vllm/completion", Api::kCompletions, {Tokens(2), {}, {}, Tokens(8), {}}},
      {"vllm/responses", Api::kResponses, {Tokens(19), Tokens(0), Tokens(0), Tokens(4), Tokens(0)}},
      {"vllm/messages", Api::kMessages, {Tokens(19), {}, {}, Tokens(4), {}}},
      {"sglang/chat-cached-tokens", Api::kChat, {Tokens(68), Tokens(64), {}, Tokens(8), Tokens(0)}},
      {"llama.cpp/v1-messages", Api::kMessages, {Tokens(19), Tokens(0), {}, Tokens(4), {}}},
      {"llama.cpp/v1-responses", Api::kResponses, {Tokens(19), Tokens(18), {}, Tokens(4), {}}}};
  for (const auto& [name, api, usage] : cases) {
    const std::string body = body_of(name);
    for (const std::size_t size : {std::size_t{1}, std::size_t{10}, body.size()}) {
      const ResponseReader reader = read_answer(api, body, size);
      EXPECT_TRUE(reader.complete()) << name;
      EXPECT_EQ(reader.usage(), usage) << name << " " << size;
    }
  }
}

TEST(ResponseReader, PutsTheClientsModelNameBack) {
  const std::string body = R"({"id":"x","model":"served","choices":[{"message":{"model":"no"}}]})";
  const std::string expected =
      R"({"id":"x","model":"alias","choices":[{"message":{"model":"no"}}]})";
  for (std::size_t size = 1; size <= body.size(); ++size) {
    ResponseReader reader(Api::kChat);
    BodySplicer splicer(reader, {.model = "alias", .usage = false});
    std::string sent;
    for (std::size_t at = 0; at < body.size(); at += size) {
      const std::string piece = body.substr(at, size);
      reader.feed(piece);
      std::vector<std::string_view> out;
      splicer.push(piece, out);
      for (const auto view : out) sent += view;
    }
    EXPECT_EQ(sent, expected) << size;
  }
}

TEST(ResponseReader, PassesWhatIsNotJson) {
  const std::string body = "WEBVTT {\"model\":\"m\"} and so on";
  ResponseReader reader(Api::kChat);
  BodySplicer splicer(reader, {.model = "alias", .usage = false});
  std::string sent;
  for (const char& c : body) {
    reader.feed({&c, 1});
    std::vector<std::string_view> out;
    splicer.push({&c, 1}, out);
    for (const auto view : out) sent += view;
  }
  EXPECT_EQ(sent, body);
  EXPECT_FALSE(reader.valid());
  EXPECT_FALSE(reader.usage().known());
}

}  // namespace
}  // namespace infermesh::openai

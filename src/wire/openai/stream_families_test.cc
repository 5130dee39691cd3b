// Streams of Responses, Anthropic and Ollama, written from their documented forms: every kind of
// event in its order, cut after every byte.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "wire/http/json_lines.h"
#include "wire/http/sse.h"
#include "wire/openai/answer.h"
#include "wire/openai/stream_inspector.h"

namespace infermesh::openai {
namespace {

using enum StreamAction;

std::string event(std::string_view type, std::string_view members) {
  return "event: " + std::string(type) + "\ndata: {\"type\":\"" + std::string(type) + "\"" +
         std::string(members) + "}\n\n";
}

// The events of a Responses stream, numbered in their order.
std::string responses(const std::vector<std::pair<std::string_view, std::string_view>>& events) {
  std::string text;
  int number = 0;
  for (const auto& [type, members] : events) {
    text += event(type, ",\"sequence_number\":" + std::to_string(number++) + std::string(members));
  }
  return text;
}

constexpr std::string_view kDone =
    R"(,"response":{"id":"resp_1","object":"response","status":"completed","model":"m","error":null,)"
    R"("usage":{"input_tokens":19,"input_tokens_details":{"cached_tokens":16},"output_tokens":8,)"
    R"("output_tokens_details":{"reasoning_tokens":3},"total_tokens":27}})";

std::string whole_response(std::string_view terminal = "response.completed") {
  const std::string_view begun =
      R"(,"response":{"id":"resp_1","object":"response","status":"in_progress","model":"m","error":null,"usage":null})";
  return responses(
      {{"response.created", begun},
       {"response.queued", begun},
       {"response.in_progress", begun},
       {"response.output_item.added",
        R"(,"output_index":0,"item":{"id":"rs_1","type":"reasoning"})"},
       {"response.reasoning_text.delta", R"(,"item_id":"rs_1","delta":"Hm")"},
       {"response.reasoning_text.done", R"(,"item_id":"rs_1","text":"Hm")"},
       {"response.reasoning_summary_part.added", R"(,"part":{"type":"summary_text","text":""})"},
       {"response.reasoning_summary_text.delta", R"(,"delta":"short")"},
       {"response.reasoning_summary_text.done", R"(,"text":"short")"},
       {"response.output_item.done", R"(,"output_index":0,"item":{"id":"rs_1"})"},
       {"response.output_item.added",
        R"(,"output_index":1,"item":{"id":"msg_1","type":"message"})"},
       {"response.content_part.added", R"(,"part":{"type":"output_text","text":""})"},
       {"response.output_text.delta", R"(,"item_id":"msg_1","delta":"Hi")"},
       {"response.output_text.delta", R"(,"item_id":"msg_1","delta":"")"},
       {"response.output_text.done", R"(,"item_id":"msg_1","text":"Hi")"},
       {"response.refusal.delta", R"(,"delta":"No")"},
       {"response.refusal.done", R"(,"refusal":"No")"},
       {"response.content_part.done", R"(,"part":{"type":"output_text","text":"Hi"})"},
       {"response.function_call_arguments.delta", R"(,"delta":"{\"a\":")"},
       {"response.function_call_arguments.done", R"(,"arguments":"{}")"},
       {"response.a_kind_of_the_future", R"(,"error":null,"message":"choices")"},
       {"response.output_item.done", R"(,"output_index":1,"item":{"id":"msg_1"})"},
       {terminal, kDone}});
}

struct Read {
  StreamInspector inspector;
  std::string relayed;
  std::string id;
};

// Reads a stream in pieces of `size` bytes through the splitter of its kind.
Read read(Api api, std::string_view stream, std::size_t size) {
  Read result{StreamInspector(api, UsageEvents::kStrip), {}, {}};
  const auto take = [&](std::string_view kind, std::string_view data, std::string_view raw) {
    const StreamVerdict verdict = result.inspector.on_event(kind, data);
    if (verdict.action == kRelay || verdict.action == kEnd) result.relayed += raw;
    if (!result.inspector.response_id().empty()) result.id = result.inspector.response_id();
  };
  http::SseSplitter events;
  http::LineSplitter lines;
  for (std::size_t at = 0; at < stream.size(); at += size) {
    const std::string piece(stream.substr(at, size));
    if (is_ollama(api)) {
      lines.push(piece);
      for (auto line = lines.next(); line && *line; line = lines.next())
        take("", (*line)->text, (*line)->raw);
    } else {
      events.push(piece);
      for (auto one = events.next(); one && *one; one = events.next())
        take((*one)->event, (*one)->data, (*one)->raw);
    }
  }
  return result;
}

void must_pass_unchanged(Api api, const std::string& stream, const Usage& usage,
                         std::uint64_t content_events) {
  for (std::size_t size = 1; size <= stream.size(); size += size < 40 ? 1 : 37) {
    const Read got = read(api, stream, size);
    ASSERT_TRUE(got.inspector.ended()) << size;
    ASSERT_FALSE(got.inspector.failed()) << size;
    ASSERT_EQ(got.relayed, stream) << size;
    ASSERT_EQ(got.inspector.usage(), usage) << size;
    ASSERT_EQ(got.inspector.content_events(), content_events) << size;
  }
  // Without its last event it has not ended, wherever it is cut.
  for (std::size_t cut = 0; cut + 1 < stream.size(); cut += 11) {
    const Read got = read(api, std::string_view(stream).substr(0, cut), stream.size());
    ASSERT_FALSE(got.inspector.ended()) << cut;
    ASSERT_FALSE(got.inspector.failed()) << cut;
  }
}

TEST(ResponsesStream, EveryEventPassesAndTheLastOneHasTheUsage) {
  const Usage usage{Tokens(19), Tokens(16), {}, Tokens(8), Tokens(3)};
  const std::string stream = whole_response();
  must_pass_unchanged(Api::kResponses, stream, usage, 5);
  const Read got = read(Api::kResponses, stream, stream.size());
  EXPECT_EQ(got.id, "resp_1");
  EXPECT_EQ(got.inspector.next_sequence_number(), 23U);
}

TEST(ResponsesStream, EndsWithEachOfItsTerminalEvents) {
  for (const std::string_view type :
       {"response.completed", "response.incomplete", "response.failed", "response.cancelled"}) {
    const std::string stream = whole_response(type);
    const Read got = read(Api::kResponses, stream, stream.size());
    EXPECT_TRUE(got.inspector.ended()) << type;
    EXPECT_EQ(got.inspector.failed(), type == "response.failed") << type;
    EXPECT_EQ(got.relayed, stream) << type;
    EXPECT_EQ(got.inspector.output_tokens(), Tokens(8)) << type;
  }
}

TEST(ResponsesStream, AStreamThatIsLeftCostsWhatItHasShown) {
  const std::string stream = whole_response();
  const std::size_t cut = stream.find("event: response.refusal.delta");
  const Read got = read(Api::kResponses, std::string_view(stream).substr(0, cut), stream.size());
  EXPECT_EQ(got.inspector.output_tokens(), Tokens(3));
}

TEST(ResponsesStream, ABareErrorEventHasItsWordsAndCode) {
  StreamInspector inspector(Api::kResponses, UsageEvents::kStrip);
  const StreamVerdict verdict = inspector.on_event(
      "error",
      R"({"type":"error","code":"server_error","message":"It broke","sequence_number":4})");
  EXPECT_EQ(verdict.action, kError);
  ASSERT_TRUE(inspector.error());
  EXPECT_EQ(inspector.error()->message, "It broke");
  EXPECT_EQ(inspector.error()->code, "server_error");
  EXPECT_EQ(inspector.next_sequence_number(), 5U);
}

TEST(ResponsesStream, TheIdOfAPlainAnswerIsKnown) {
  const std::string body =
      R"({"id":"resp_9","output":[{"id":"msg_1","content":[]}],"model":"m","usage":{"input_tokens":1}})";
  for (std::size_t size = 1; size <= body.size(); ++size) {
    ResponseReader reader(Api::kResponses);
    for (std::size_t at = 0; at < body.size(); at += size) reader.feed(body.substr(at, size));
    EXPECT_EQ(reader.response_id(), "resp_9") << size;
  }
  ResponseReader chat(Api::kChat);
  chat.feed(R"({"id":"chatcmpl-1"})");
  EXPECT_EQ(chat.response_id(), "");
  ResponseReader odd(Api::kResponses);
  odd.feed("{\"id\":\"" + std::string(kResponseIdMax + 1, 'x') + "\"}");
  EXPECT_EQ(odd.response_id(), "");
}

std::string whole_message() {
  return event(
             "message_start",
             R"(,"message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],)"
             R"("stop_reason":null,"usage":{"input_tokens":10,"cache_read_input_tokens":5,)"
             R"("cache_creation_input_tokens":2,"output_tokens":1}})") +
         event("content_block_start",
               R"(,"index":0,"content_block":{"type":"thinking","thinking":""})") +
         event("ping", "") +
         event("content_block_delta",
               R"(,"index":0,"delta":{"type":"thinking_delta","thinking":"Hm"})") +
         event("content_block_delta",
               R"(,"index":0,"delta":{"type":"signature_delta","signature":"x"})") +
         event("content_block_stop", R"(,"index":0)") +
         event("content_block_start", R"(,"index":1,"content_block":{"type":"text","text":""})") +
         event("content_block_delta", R"(,"index":1,"delta":{"type":"text_delta","text":"Hi"})") +
         event("content_block_delta",
               R"(,"index":1,"delta":{"type":"citations_delta","citation":{}})") +
         event("content_block_stop", R"(,"index":1)") +
         event("content_block_delta",
               R"(,"index":2,"delta":{"type":"input_json_delta","partial_json":"{\"a\""})") +
         event("a_kind_of_the_future", R"(,"index":2)") +
         event(
             "message_delta",
             R"(,"delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":7})") +
         event("message_stop", "");
}

TEST(MessagesStream, EveryEventPassesAndUsageHasItsCacheBuckets) {
  const Usage usage{Tokens(17), Tokens(5), Tokens(2), Tokens(7), {}};
  must_pass_unchanged(Api::kMessages, whole_message(), usage, 3);
}

TEST(MessagesStream, AStreamThatIsLeftCostsMoreThanItsBeginningSaid) {
  const std::string stream = whole_message();
  const std::size_t cut = stream.find("event: message_delta");
  const Read got = read(Api::kMessages, std::string_view(stream).substr(0, cut), stream.size());
  EXPECT_EQ(got.inspector.output_tokens(), Tokens(3));  // message_start said 1
}

std::string whole_chat() {
  return R"({"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"","thinking":"Hm"},"done":false})"
         "\n"
         R"({"model":"m","message":{"role":"assistant","content":"Hi \n"},"done":false})"
         "\n"
         R"({"model":"m","message":{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{"done":true}}}]},"done":false})"
         "\n"
         R"({"model":"m","message":{"role":"assistant","content":""},"done_reason":"stop","done":true,)"
         R"("total_duration":5,"load_duration":1,"prompt_eval_count":26,"prompt_eval_duration":1,"eval_count":9,"eval_duration":2})"
         "\n";
}

TEST(OllamaStream, EveryLinePassesAndTheLastOneHasTheUsage) {
  const Usage usage{Tokens(26), {}, {}, Tokens(9), {}};
  must_pass_unchanged(Api::kOllamaChat, whole_chat(), usage, 3);
  const std::string generated =
      R"({"model":"m","response":"Hi","done":false})"
      "\r\n"
      R"({"model":"m","response":"","thinking":"Hm","done":false})"
      "\n"
      R"({"model":"m","response":"","done":true,"done_reason":"length","context":[1,2],"prompt_eval_count":3,"eval_count":2})"
      "\n";
  must_pass_unchanged(Api::kOllamaGenerate, generated, {Tokens(3), {}, {}, Tokens(2), {}}, 2);
  EXPECT_EQ(read(Api::kOllamaGenerate, generated, 5).inspector.finish_reason(), "length");
}

TEST(OllamaStream, AnErrorLineEndsItAndWhatFollowsIsDropped) {
  const Read got = read(Api::kOllamaChat,
                        R"({"model":"m","message":{"content":"a"},"done":false})"
                        "\n"
                        R"({"error":"out of memory"})"
                        "\n" +
                            whole_chat(),
                        7);
  EXPECT_TRUE(got.inspector.failed());
  EXPECT_FALSE(got.inspector.ended());
  ASSERT_TRUE(got.inspector.error());
  EXPECT_EQ(got.inspector.error()->message, "out of memory");
  EXPECT_FALSE(got.relayed.contains("error"));
}

TEST(OllamaStream, ALineThatIsNoObjectIsBad) {
  StreamInspector inspector(Api::kOllamaChat, UsageEvents::kStrip);
  EXPECT_EQ(inspector.on_event("", "[1]").action, kBad);
}

TEST(OllamaStream, AWholeAnswerHasItsUsage) {
  ResponseReader reader(Api::kOllamaEmbed);
  reader.feed(R"({"model":"m","embeddings":[[0.1,0.2]],"prompt_eval_count":8})");
  EXPECT_EQ(reader.usage().prompt, Tokens(8));
}

TEST(OllamaStream, TheModelsNameCanBePutBack) {
  StreamInspector inspector(Api::kOllamaChat, UsageEvents::kStrip);
  const std::string line = R"({"model":"served:latest","message":{"model":"no"},"done":false})";
  inspector.on_event("", line);
  EXPECT_EQ(with_model(line, inspector.models(), "asked"),
            R"({"model":"asked","message":{"model":"no"},"done":false})");
}

}  // namespace
}  // namespace infermesh::openai

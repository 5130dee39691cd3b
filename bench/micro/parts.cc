// The parts of a request that src/wire and src/core do, one by one, for parts.py to count their
// instructions with callgrind: only what part_...() calls is counted.
//
//   parts NAME ROUNDS
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>

#include "base/assert.h"
#include "core/route/test_mesh.h"
#include "wire/http/head.h"
#include "wire/http/sse.h"
#include "wire/openai/answer.h"
#include "wire/openai/facts.h"
#include "wire/openai/stream_inspector.h"

namespace infermesh {
namespace {

// As the load of bench/proxy is: a shared beginning, then text of its own.
std::string chat_body(std::size_t bytes) {
  std::string shared, own;
  while (shared.size() < bytes / 2) shared += "shared words of prefix 3 and so on, ";
  while (own.size() < bytes / 2 - 120) own += "some words of a prompt that is not repeated, ";
  return R"({"model":"m","messages":[{"role":"system","content":")" + shared +
         R"("},{"role":"user","content":"12345 )" + own + R"("}],"max_tokens":32})";
}

const std::string kSmallBody = chat_body(1000);
const std::string kLargeBody = chat_body(200'000);
const std::string kAnswer =
    R"({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "choices": )"
    R"([{"index": 0, "message": {"role": "assistant", "content": ")" +
    std::string(180, 'x') +
    R"("}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 100, "completion_tokens": 32, )"
    R"("total_tokens": 132}})";
const std::string kEvent =
    R"(data: {"id":"chatcmpl-9c5400162770f4d2","object":"chat.completion.chunk",)"
    R"("created":1795501108,"model":"m","choices":[{"index":0,"delta":{"content":" agent"},)"
    R"("logprobs":null,"finish_reason":null}]})"
    "\n\n";
const std::string kRequestHead =
    "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:34567\r\ncontent-type: "
    "application/json\r\nContent-Length: 1012\r\n\r\n";
const std::string kResponseHead =
    "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Tue, 24 Nov 2026 15:00:00 "
    "GMT\r\nContent-Type: "
    "application/json\r\nContent-Length: 412\r\nConnection: keep-alive\r\n\r\n";

}  // namespace

[[gnu::noinline]] void part_facts(const std::string& body) {
  openai::FactsReader reader(Api::kChat, {});
  IM_ASSERT(reader.feed(body) && reader.finish());
  IM_ASSERT(reader.facts().model == "m");
}

[[gnu::noinline]] void part_answer(const std::string& body) {
  openai::ResponseReader reader(Api::kChat);
  reader.feed(body);
  IM_ASSERT(reader.usage().known());
}

[[gnu::noinline]] void part_event(http::SseSplitter& splitter, openai::StreamInspector& inspector) {
  splitter.push(kEvent);
  for (auto event = splitter.next(); event && *event; event = splitter.next()) {
    IM_ASSERT(inspector.on_event((*event)->event, (*event)->data).content);
  }
}

template <typename Parser>
[[gnu::noinline]] void part_head(Parser& parser, const std::string& head) {
  const auto progress = parser.feed(head);
  IM_ASSERT(progress && progress->state == http::HeadState::kDone);
}

[[gnu::noinline]] void part_decide(route::TestMesh& mesh, const RequestFacts& facts,
                                   Decision& decision) {
  route::decide({mesh.view, *mesh.load, mesh.index.get(), mesh.view.models[0], facts, {}},
                mesh.state, mesh.rng, mesh.now, decision);
}

[[gnu::noinline]] void part_sent(route::TestMesh& mesh, const RequestFacts& facts,
                                 const Decision& decision) {
  mesh.send(decision, facts).finish(mesh.now);
}

namespace {

using Part = std::function<void(int)>;

Part decisions(bool sent, std::size_t engines, std::int64_t blocks) {
  return [=](int rounds) {
    route::TestMesh mesh(engines);
    const RequestFacts facts = route::chat(blocks * 32);
    Decision decision;
    for (int i = 0; i < rounds; ++i) {
      mesh.now += 1ms;
      if (sent) {
        route::decide({mesh.view, *mesh.load, mesh.index.get(), mesh.view.models[0], facts, {}},
                      mesh.state, mesh.rng, mesh.now, decision);
        part_sent(mesh, facts, decision);
      } else {
        part_decide(mesh, facts, decision);
      }
    }
  };
}

template <typename Once>
Part times(Once once) {
  return [once](int rounds) {
    for (int i = 0; i < rounds; ++i) once();
  };
}

const std::map<std::string, Part>& parts() {
  static const std::map<std::string, Part> kParts{
      {"facts-1k", times([] { part_facts(kSmallBody); })},
      {"facts-200k", times([] { part_facts(kLargeBody); })},
      {"answer", times([] { part_answer(kAnswer); })},
      {"event",
       [](int rounds) {
         http::SseSplitter splitter;
         openai::StreamInspector inspector(Api::kChat, openai::UsageEvents::kStrip);
         for (int i = 0; i < rounds; ++i) part_event(splitter, inspector);
       }},
      {"request-head",
       [](int rounds) {
         http::RequestHeadParser parser;
         for (int i = 0; i < rounds; ++i, parser.reset()) part_head(parser, kRequestHead);
       }},
      {"response-head",
       [](int rounds) {
         http::ResponseHeadParser parser;
         for (int i = 0; i < rounds; ++i, parser.reset(http::ResponseTo::kOther)) {
           part_head(parser, kResponseHead);
         }
       }},
      {"decide-4", decisions(false, 4, 4)},
      {"decide-1000", decisions(false, 1000, 1600)},
      {"sent-1k", decisions(true, 4, 4)},
      {"sent-200k", decisions(true, 4, 780)}};
  return kParts;
}

}  // namespace
}  // namespace infermesh

int main(int count, char** words) {
  const auto& parts = infermesh::parts();
  const auto found = count == 3 ? parts.find(words[1]) : parts.end();
  if (found == parts.end()) {
    for (const auto& [name, part] : parts) std::puts(name.c_str());
    return count == 1 ? 0 : 2;
  }
  found->second(std::atoi(words[2]));
  return 0;
}

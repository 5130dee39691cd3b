// What reading a request body and a stream event costs. Bytes per second are of the body; the
// argument is its size in KiB, the second one the size of the pieces it is fed in.
#include <benchmark/benchmark.h>

#include <string>

#include "wire/json/scanner.h"
#include "wire/openai/facts.h"
#include "wire/openai/stream_inspector.h"

namespace infermesh::openai {
namespace {

// A chat of paragraphs with the escapes that prose and code bring: one in about eighty bytes.
std::string chat_body(std::size_t bytes) {
  std::string body = R"({"model":"qwen3-14b","messages":[)";
  for (int message = 0; body.size() < bytes; ++message) {
    body += message == 0 ? R"({"role":"system","content":")" : R"(,{"role":"user","content":")";
    for (int line = 0; line < 50; ++line) {
      body +=
          R"(The router reads the request, picks a node and relays what the engine \"says\".\n)";
    }
    body += "\"}";
  }
  return body + R"(],"temperature":0.7,"max_tokens":256,"stream":true})";
}

void feed(FactsReader& reader, std::string_view body, std::size_t piece) {
  for (std::size_t at = 0; at < body.size(); at += piece) {
    benchmark::DoNotOptimize(reader.feed(body.substr(at, piece)));
  }
}

void facts(benchmark::State& state, HashPrompt hash) {
  const std::string body = chat_body(static_cast<std::size_t>(state.range(0)) * 1024);
  for (auto _ : state) {
    FactsReader reader(Api::kChat, {.session_body_keys = {}, .hash_prompt = hash});
    feed(reader, body, static_cast<std::size_t>(state.range(1)));
    benchmark::DoNotOptimize(reader.model());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(body.size()));
}

void facts_without_hashes(benchmark::State& state) {
  facts(state, HashPrompt::kNo);
}
void facts_with_hashes(benchmark::State& state) {
  facts(state, HashPrompt::kYes);
}
BENCHMARK(facts_without_hashes)->Args({200, 16384})->Args({1024, 16384})->Args({1024, 1 << 30});
BENCHMARK(facts_with_hashes)
    ->Args({200, 16384})
    ->Args({1024, 16384})
    ->Args({1024, 1 << 30})
    ->Args({1, 16384});

void scan_one_string(benchmark::State& state) {
  const std::string body = "\"" + std::string(1 << 20, 'x') + "\"";
  for (auto _ : state) {
    json::Scanner scanner;
    scanner.feed(body);
    benchmark::DoNotOptimize(scanner.next());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(body.size()));
}
BENCHMARK(scan_one_string);

void facts_token_array(benchmark::State& state) {
  std::string body = R"({"model":"m","prompt":[1)";
  for (int i = 0; i < 50000; ++i) body += "," + std::to_string(10000 + i);
  body += "]}";
  for (auto _ : state) {
    FactsReader reader(Api::kCompletions, {});
    feed(reader, body, 16384);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(body.size()));
}
BENCHMARK(facts_token_array);

void stream_event(benchmark::State& state) {
  constexpr std::string_view kEvent =
      R"({"id":"chatcmpl-9c5400162770f4d2","object":"chat.completion.chunk","created":1795501108,)"
      R"("model":"tiny-llama","choices":[{"index":0,"delta":{"content":" agent"},"logprobs":null,)"
      R"("finish_reason":null,"token_ids":null}]})";
  StreamInspector inspector(Api::kChat, UsageEvents::kStrip);
  for (auto _ : state) benchmark::DoNotOptimize(inspector.on_event("", kEvent));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kEvent.size()));
}
BENCHMARK(stream_event);

}  // namespace
}  // namespace infermesh::openai

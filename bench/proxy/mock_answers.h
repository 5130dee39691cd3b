// What mock_engine is asked and what it says: texts made once, bytes ready to send.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace infermesh::bench {

constexpr std::size_t kBodyLooked = 4096;  // larger bodies are not looked into

struct Texts {
  std::string completion, stream_head, event, usage, end;
  std::string models, info, version, load, healthy, nothing, metrics;
};
// `metrics`: the page of /metrics; a small one of vLLM's kind when empty.
Texts make_texts(std::string_view metrics);

// What a request asks for, as far as it matters here.
struct Ask {
  bool stream = false;
  bool usage = false;
  std::uint64_t events = 32;
  std::int64_t pause_ns = 0;
};

Ask read_ask(std::string_view body);

// What vLLM's render answers: the prompt's tokens. One for five bytes, the same for the same bytes.
std::string rendered(std::string_view body);

}  // namespace infermesh::bench

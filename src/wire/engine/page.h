// A page that an engine tells something on, and the answer to asking for it. Values, no I/O.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace infermesh::engines {

// One answer to asking for a page. Borrowed views.
struct Answer {
  std::uint16_t status = 0;          // 0: none came (refused, reset, timed out, not HTTP)
  std::string_view server{};         // header Server
  std::string_view via{};            // header Via
  std::string_view process_start{};  // header Process-Start-Time-Unix (llama.cpp)
  std::string_view body{};
};

// Which of an engine's addresses: some servers have their metrics or their management on ports of
// their own.
enum class Port : std::uint8_t { kMain, kMetrics, kManagement };

struct Page {
  std::string path;  // empty: there is none. "{model}" in it stands for each model's name
  Port port = Port::kMain;
  std::string post{};  // the body of a POST that only reads; empty: it is a GET

  bool per_model() const { return path.find("{model}") != std::string::npos; }
};

// `page` for one model: its name percent-encoded, as one path segment.
std::string path_for(const Page& page, std::string_view model);

// Where the other ports are by default, on the engine's own host.
struct DefaultPorts {
  std::uint16_t main = 0;  // only for an engine that listens here; 0: wherever it does
  std::uint16_t metrics = 0;
  std::uint16_t management = 0;
};

}  // namespace infermesh::engines

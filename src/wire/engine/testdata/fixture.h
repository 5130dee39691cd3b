// Captured answers of real engines (test/fixtures/engines) for tests.
#pragma once

#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "base/text.h"
#include "wire/engine/adapter.h"

namespace infermesh::engines {

// A file that `curl -i` made: status line, headers, blank line, body.
class Fixture {
 public:
  explicit Fixture(std::string_view name) {
    std::ifstream file(std::string(INFERMESH_SOURCE_DIR "/test/fixtures/engines/") +
                       std::string(name));
    IM_ASSERT(file.good());
    text_.assign(std::istreambuf_iterator<char>(file), {});
    const std::size_t end = text_.find("\r\n\r\n");
    IM_ASSERT(end != std::string::npos);
    head_ = std::string_view(text_).substr(0, end);
    body_ = std::string_view(text_).substr(end + 4);
  }
  Fixture(const Fixture&) = delete;
  Fixture& operator=(const Fixture&) = delete;

  std::string_view text() const { return text_; }
  std::string_view body() const { return body_; }
  Answer answer() const {
    Answer answer;
    answer.status = static_cast<std::uint16_t>(parse_u64(head_.substr(9, 3)).value_or(0));
    answer.server = header("server");
    answer.via = header("via");
    answer.process_start = header("process-start-time-unix");
    answer.body = body_;
    return answer;
  }
  std::string_view header(std::string_view name) const {
    for (const std::string_view line : split(head_, '\n')) {
      const std::size_t colon = line.find(':');
      if (colon != std::string_view::npos && iequals(line.substr(0, colon), name)) {
        return trim(line.substr(colon + 1));
      }
    }
    return {};
  }

 private:
  std::string text_;
  std::string_view head_;
  std::string_view body_;
};

}  // namespace infermesh::engines

#include "obs/access_log.h"

#include <fmt/format.h>

#include <iterator>

#include "base/json_text.h"

namespace infermesh::obs {
namespace {

// A client chooses these; whole they could fill a line on their own.
constexpr std::size_t kTextMax = 256;

class LineBuilder {
 public:
  explicit LineBuilder(WallTime time)
      : line_(fmt::format("{{\"time\":\"{}\"", format_wall_time(time))) {}

  void text(std::string_view name, std::string_view value) {
    if (value.empty()) return;
    key(name);
    append_json_string(line_, value.substr(0, kTextMax));
  }
  template <typename Number>
  void number(std::string_view name, Number value) {
    key(name);
    fmt::format_to(std::back_inserter(line_), "{}", value);
  }
  template <typename Number>
  void number(std::string_view name, const std::optional<Number>& value) {
    if (value) number(name, *value);
  }
  void millis(std::string_view name, const std::optional<Duration>& value) {
    if (!value) return;
    key(name);
    fmt::format_to(std::back_inserter(line_), "{:.3f}", to_millis(*value));
  }
  std::string take() { return std::move(line_) + '}'; }

 private:
  void key(std::string_view name) { fmt::format_to(std::back_inserter(line_), ",\"{}\":", name); }
  std::string line_;
};

}  // namespace

std::string format_access_line(const AccessRecord& record) {
  LineBuilder line(record.time);
  line.text("request_id", record.request_id);
  line.text("client", record.client);
  line.text("method", record.method);
  line.text("path", record.path);
  line.text("api", record.api);
  line.text("model", record.model);
  line.text("engine", record.engine);
  line.number("attempts", record.attempts);
  line.number("status", record.status);
  line.number("bytes_in", record.bytes_in);
  line.number("bytes_out", record.bytes_out);
  line.millis("ttft_ms", record.ttft);
  line.millis("total_ms", record.total);
  line.millis("queued_ms", record.queued);
  line.number("prompt_tokens", record.prompt_tokens);
  line.number("cached_tokens", record.cached_tokens);
  line.number("output_tokens", record.output_tokens);
  line.number("stream", record.stream);
  line.text("reason", record.reason);
  line.text("error", record.error);
  return line.take();
}

void AccessLog::write(const AccessRecord& record) {
  std::string line = format_access_line(record);
  writer_.write(line);
}

}  // namespace infermesh::obs

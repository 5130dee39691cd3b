// StreamInspector: looks at each event of an engine's stream and says what the relay does with it.
// Every event is scanned whole, so text that only looks like a field confuses nothing and a broken
// frame is seen. Most events are those before them but for the text of one string: such are known
// by comparing the bytes around it.
//
// Ends: chat and completions with `data: [DONE]`, responses with response.completed / .incomplete /
// .failed, messages with message_stop, Ollama's lines with `"done": true`. A stream that ends
// otherwise was truncated: ended() is false. Streams of KServe have no last event, those of audio
// and images have one of several names: ends_with_body() says whether the body may end where it is.
// An error frame ends it too, what follows (vLLM's [DONE]) is dropped.
//
// Owned by one exchange, fixed memory but for a bounded error text.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/rare.h"
#include "core/model/api.h"
#include "wire/openai/answer_scan.h"
#include "wire/openai/error_body.h"

namespace infermesh::openai {

enum class StreamAction : std::uint8_t {
  kRelay,
  kDrop,   // send nothing: usage that the client did not ask for, or bytes after the end
  kEnd,    // relay, then the stream is complete
  kError,  // the engine's error: error() has it in our words; the stream ends in failure
  kBad,    // not an event of this API (data is not a JSON object): the stream ends in failure
};

// Whether the one event that carries only usage reaches the client.
enum class UsageEvents : std::uint8_t { kKeep, kStrip };

struct StreamVerdict {
  StreamAction action = StreamAction::kRelay;
  bool content = false;  // carries a part of the answer: text, reasoning, tool call
  bool operator==(const StreamVerdict&) const = default;
};

class StreamInspector {
 public:
  StreamInspector(Api api, UsageEvents usage_events);

  // `event` is the event's name, empty without one; `data` the joined data lines.
  StreamVerdict on_event(std::string_view event, std::string_view data);

  bool ended() const { return ended_; }  // complete; says nothing of failed()
  // The end of the body here is the end of the stream.
  bool ends_with_body() const { return may_end_ && !failed_; }
  // An error frame, a bad frame, or response.failed.
  bool failed() const { return failed_; }
  const Rare<UpstreamError>& error() const { return error_; }

  Usage usage() const { return scan_.usage(); }
  std::uint64_t content_events() const { return content_events_; }
  // As usage says, else the events with content; of a stream that has not ended, the larger.
  Tokens output_tokens() const;
  std::string_view response_id() const { return scan_.response_id(); }  // in the last event
  std::string_view finish_reason() const { return finish_reason_; }     // the last one given
  std::uint32_t finish_reasons() const { return finish_reasons_; }
  // Responses: what the next event of the stream must have.
  std::uint64_t next_sequence_number() const { return next_sequence_; }
  // The model values in the last event's data (top level, response.model, message.model).
  std::span<const EditPoint> models() const { return scan_.models(); }

 private:
  StreamVerdict scan(std::string_view event, std::string_view data);
  StreamVerdict judge(std::string_view type);
  void learn(std::string_view event, std::string_view data);
  bool is_like_last(std::string_view event, std::string_view data) const;
  StreamVerdict done_mark();

  Api api_;
  UsageEvents usage_events_;
  AnswerScan scan_;
  Rare<UpstreamError> error_;
  std::string finish_reason_;
  std::uint32_t finish_reasons_ = 0;
  std::uint64_t content_events_ = 0;
  std::uint64_t next_sequence_ = 0;
  bool ended_ = false;
  bool may_end_ = false;
  bool failed_ = false;
  // The last event scanned, when it was relayed for the text of one string: its name and data, and
  // where that text stands.
  std::string last_;
  std::size_t last_name_ = 0;  // bytes of the name; 0 bytes of last_: no such event
  std::size_t last_text_ = 0;
  std::size_t last_after_ = 0;
};

// Text with the values at `models` replaced by this name.
std::string with_model(std::string_view text, std::span<const EditPoint> models,
                       std::string_view model);

}  // namespace infermesh::openai

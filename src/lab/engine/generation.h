// Generation: one inference request on a simulated engine, from submission to its last byte: the
// sequences it needs (n choices of each prompt), their tokens, and the answer, streamed or whole.
// Lives in the coroutine of its connection; going away cancels what still runs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lab/engine/fault.h"
#include "lab/engine/http_message.h"
#include "lab/engine/journal.h"
#include "lab/engine/simulated_engine.h"
#include "lab/shared/connection.h"
#include "lab/vllm/answers.h"
#include "lab/vllm/stream_frames.h"

namespace infermesh::lab {

enum class Ending : std::uint8_t {
  kComplete,  // the connection can carry another request
  kClose,     // close it
  kReset,     // reset it
};

struct GenerationContext {
  port::Loop& loop;
  Connection& connection;
  SimulatedEngine& engine;
  const Fault& fault;
  AnswerId id;
  std::string request_id;
  std::uint64_t output_tokens_mean = 128;
  const JournalFn& journal;  // may be empty
};

class Generation final : public TokenSink {
 public:
  Generation(GenerationContext context, Ask ask);
  ~Generation() override;

  // Submits every sequence; a refusal submits none.
  std::optional<Refusal> start();
  port::Task<Ending> answer();  // after start()

  void on_event(const engine::EngineEvent& event) override;

 private:
  struct Sequence {
    engine::RequestId id;
    std::uint64_t hash = 0;  // of the prompt and the choice
    std::uint64_t length = 0;
    std::uint64_t produced = 0;
    FinishReason reason = FinishReason::kLength;
    bool finished = false;
    std::string text;  // whole answers only
  };
  class Frames;

  GenerationSpec plan(BlockChain prompt, std::uint32_t choice, Sequence& sequence);
  void take_token(Sequence& sequence);
  bool all_finished() const { return unfinished_ == 0; }
  std::string body() const;
  port::Task<Ending> answer_whole();
  port::Task<Ending> answer_stream();
  void add_frames(const engine::EngineEvent& event, StreamFrames& frames, Frames& out);
  port::Task<Ending> hold();          // until the client leaves
  void note(std::string_view event);  // in the journal; each once

  GenerationContext context_;
  Ask ask_;
  std::vector<Sequence> sequences_;
  std::vector<engine::EngineEvent> events_;  // not yet looked at; bounded by the tokens asked for
  std::size_t unfinished_ = 0;
  Usage usage_;
  std::string_view noted_;  // the latest event in the journal
};

}  // namespace infermesh::lab

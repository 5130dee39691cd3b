#include "lab/engine/generation.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "wire/http/write.h"

namespace infermesh::lab {

using engine::EngineEvent;
using engine::EventKind;
using engine::Submission;

namespace {

bool makes_tokens(Api api) {
  return api == Api::kChat || api == Api::kCompletions || api == Api::kMessages ||
         api == Api::kResponses;
}

Refusal too_long(std::uint64_t tokens, std::uint64_t context_tokens_max) {
  return {400, "BadRequestError",
          fmt::format("This model's maximum context length is {} tokens. However, your request "
                      "asks for {} tokens of "
                      "prompt and output. (parameter=input_tokens, value={})",
                      context_tokens_max, tokens, tokens),
          "input_tokens"};
}

Refusal refusal_of(Submission outcome, std::uint64_t tokens, std::uint64_t context_tokens_max) {
  if (outcome == Submission::kTooLong) return too_long(tokens, context_tokens_max);
  return {503, "ServiceUnavailableError", "The engine's queue is full.", ""};
}

}  // namespace

// The frames of a stream on their way out, and the fault that ends or spoils them.
class Generation::Frames {
 public:
  enum class Spoiled : std::uint8_t { kNo, kCut, kReset, kStall, kDone };

  Frames(const Fault& fault, std::string head) : fault_(fault), out_(std::move(head)) {}

  void add(std::string_view frame) {
    if (frame.empty() || spoiled_ != Spoiled::kNo) return;
    spoil();
    if (spoiled_ != Spoiled::kNo) return;
    append_chunk(out_, frame);
    ++count_;
  }
  // The end of a stream that went well. A fault still due spoils the terminal event.
  void end(std::string_view terminal) {
    if (!fault_.no_done) add(terminal);
    if (spoiled_ == Spoiled::kNo) out_ += http::kLastChunk;
  }
  std::string take() { return std::exchange(out_, {}); }
  Spoiled spoiled() const { return spoiled_; }

 private:
  bool due(std::optional<std::uint32_t> after) const { return after && *after == count_; }
  void spoil() {
    if (due(fault_.reset_after)) spoiled_ = Spoiled::kReset;
    if (due(fault_.cut_after)) spoiled_ = Spoiled::kCut;
    if (due(fault_.stall_after)) spoiled_ = Spoiled::kStall;
    if (due(fault_.bad_chunk_after)) {
      out_ += "no-size\r\n";
      spoiled_ = Spoiled::kCut;
    }
    if (due(fault_.bad_frame_after) && !bad_frame_sent_) {
      append_chunk(out_, "data: {\"id\":\"broken\n\n");
      bad_frame_sent_ = true;
    }
    if (due(fault_.error_frame_after)) {
      append_chunk(
          out_, "data: " +
                    error_body({500, "InternalServerError", "The engine failed (simulated).", ""}) +
                    "\n\ndata: [DONE]\n\n");
      out_ += http::kLastChunk;
      spoiled_ = Spoiled::kDone;
    }
  }

  const Fault& fault_;
  std::string out_;
  std::uint32_t count_ = 0;
  bool bad_frame_sent_ = false;
  Spoiled spoiled_ = Spoiled::kNo;
};

Generation::Generation(GenerationContext context, Ask ask)
    : context_(std::move(context)), ask_(std::move(ask)) {}

Generation::~Generation() {
  if (!noted_.empty() && noted_ != journal::kEnd) note(journal::kGone);
  for (const auto& sequence : sequences_) {
    if (!sequence.finished) context_.engine.cancel(sequence.id);
  }
}

GenerationSpec Generation::plan(BlockChain prompt, std::uint32_t choice, Sequence& sequence) {
  GenerationSpec spec;
  spec.prompt_tokens = prompt.tokens();
  sequence.hash = prompt.hash() + choice;
  if (makes_tokens(ask_.api)) {
    const auto context_max = context_.engine.profile().context_tokens_max;
    const auto prompt_tokens = static_cast<std::uint64_t>(spec.prompt_tokens.value);
    const std::uint64_t room = context_max > prompt_tokens ? context_max - prompt_tokens : 1;
    const std::uint64_t limit = ask_.output_tokens_max.value_or(room);
    std::uint64_t length = limit;
    if (!ask_.ignore_eos) {
      length = std::max(natural_length(sequence.hash, context_.output_tokens_mean),
                        ask_.output_tokens_min);
    }
    sequence.reason =
        !ask_.ignore_eos && length < limit ? FinishReason::kStop : FinishReason::kLength;
    sequence.length = std::min(length, limit);
    for (std::uint64_t i = 0; i < sequence.length && prompt_tokens + i < context_max; ++i) {
      prompt.add(output_token(sequence.hash, i));
    }
  }
  spec.output_tokens = Tokens(static_cast<std::int64_t>(sequence.length));
  spec.ends_with = sequence.reason;
  spec.blocks = prompt.take_blocks();
  return spec;
}

std::optional<Refusal> Generation::start() {
  const std::uint64_t context_max = context_.engine.profile().context_tokens_max;
  for (const auto& prompt : ask_.prompts) {
    const auto prompt_tokens = static_cast<std::uint64_t>(prompt.tokens().value);
    // What was asked for counts, not what would be made of it.
    const std::uint64_t asked = prompt_tokens + ask_.output_tokens_max.value_or(0);
    if (asked > context_max) return too_long(asked, context_max);
    usage_.prompt_tokens += prompt_tokens;
    for (std::uint32_t choice = 0; choice < ask_.choices; ++choice) {
      Sequence sequence;
      const auto submitted = context_.engine.submit(plan(prompt, choice, sequence), *this);
      if (submitted.outcome != Submission::kAccepted) {
        return refusal_of(submitted.outcome, prompt_tokens + sequence.length, context_max);
      }
      sequence.id = submitted.id;
      sequences_.push_back(std::move(sequence));
      ++unfinished_;
    }
  }
  note(journal::kBegin);
  return std::nullopt;
}

void Generation::note(std::string_view event) {
  if (event == noted_) return;
  noted_ = event;
  if (context_.journal) context_.journal(event, context_.request_id);
}

void Generation::on_event(const EngineEvent& event) {
  events_.push_back(event);
  context_.connection.wake.set();
}

port::Task<Ending> Generation::answer() {
  if (ask_.stream && makes_tokens(ask_.api)) co_return co_await answer_stream();
  co_return co_await answer_whole();
}

void Generation::take_token(Sequence& sequence) {
  ++sequence.produced;
  ++usage_.completion_tokens;
}

port::Task<Ending> Generation::answer_whole() {
  Connection& connection = context_.connection;
  while (!all_finished()) {
    co_await connection.pause(kNever);
    for (const EngineEvent& event : std::exchange(events_, {})) {
      Sequence& sequence = sequences_[event.id.value - sequences_[0].id.value];
      if (event.kind == EventKind::kFirstToken || event.kind == EventKind::kToken) {
        sequence.text += output_token(sequence.hash, sequence.produced);
        take_token(sequence);
      } else if (event.kind == EventKind::kFinished) {
        sequence.finished = true;
        usage_.cached_tokens += static_cast<std::uint64_t>(event.cached_tokens.value);
        --unfinished_;
      }
    }
    if (connection.ended()) co_return Ending::kClose;
  }
  const Fault& fault = context_.fault;
  if (fault.stall_after) co_return co_await hold();
  if (fault.reset_after) co_return Ending::kReset;
  ReplyHead head;
  head.request_id = context_.request_id;
  const std::string text = body();
  if (fault.bad_chunk_after) {
    note(journal::kFirst);
    const std::string broken = chunked_head(context_.loop.wall_now(), head) + "no-size\r\n" + text;
    co_await connection.write(broken, kNever);
    co_return Ending::kClose;
  }
  std::string reply = whole_reply(context_.loop.wall_now(), head, text);
  if (fault.bad_frame_after) reply.replace(reply.size() - text.size(), 1, "<");
  if (fault.cut_after) reply.resize(reply.size() - text.size() / 2);
  note(journal::kFirst);
  const bool written = co_await connection.write(reply, kNever);
  if (!written || fault.cut_after) co_return Ending::kClose;
  note(journal::kEnd);
  co_return Ending::kComplete;
}

std::string Generation::body() const {
  switch (ask_.api) {
    case Api::kEmbeddings:
      return embeddings_body(context_.id, ask_, usage_);
    case Api::kRerank:
      return rerank_body(context_.id, ask_, usage_);
    case Api::kScore:
      return score_body(context_.id, ask_, usage_);
    case Api::kClassify:
      return classify_body(context_.id, ask_, usage_);
    default:
      break;
  }
  std::vector<Choice> choices;
  for (const auto& sequence : sequences_) choices.push_back({sequence.text, sequence.reason});
  return generation_body(ask_.api, context_.id, choices, usage_);
}

port::Task<Ending> Generation::answer_stream() {
  Connection& connection = context_.connection;
  ReplyHead head;
  head.content_type = "text/event-stream; charset=utf-8";
  head.request_id = context_.request_id;
  StreamFrames frames(ask_.api, context_.id, ask_);
  Frames out(context_.fault, chunked_head(context_.loop.wall_now(), head));
  while (out.spoiled() == Frames::Spoiled::kNo) {
    if (!co_await connection.write(out.take(), kNever)) co_return Ending::kClose;
    if (all_finished()) {
      note(journal::kEnd);
      co_return Ending::kComplete;
    }
    if (connection.ended()) co_return Ending::kClose;
    if (events_.empty()) co_await connection.pause(kNever);
    for (const EngineEvent& event : std::exchange(events_, {})) add_frames(event, frames, out);
  }
  if (!co_await connection.write(out.take(), kNever)) co_return Ending::kClose;
  switch (out.spoiled()) {
    case Frames::Spoiled::kStall:
      co_return co_await hold();
    case Frames::Spoiled::kReset:
      co_return Ending::kReset;
    default:
      co_return Ending::kClose;
  }
}

void Generation::add_frames(const EngineEvent& event, StreamFrames& frames, Frames& out) {
  const auto index = static_cast<std::uint32_t>(event.id.value - sequences_[0].id.value);
  Sequence& sequence = sequences_[index];
  if (event.kind == EventKind::kScheduled) {
    usage_.cached_tokens += static_cast<std::uint64_t>(event.cached_tokens.value);
    return;
  }
  if (event.kind == EventKind::kFirstToken || event.kind == EventKind::kToken) {
    note(journal::kFirst);
    if (usage_.completion_tokens == 0) out.add(frames.opening(usage_));
    const std::string_view text = output_token(sequence.hash, sequence.produced);
    take_token(sequence);
    out.add(sequence.produced == sequence.length
                ? frames.last_token(index, text, sequence.reason, usage_)
                : frames.token(index, text, usage_));
    return;
  }
  if (event.kind != EventKind::kFinished) return;
  sequence.finished = true;
  if (--unfinished_ > 0) return;
  out.add(frames.closing(usage_));
  out.end(frames.terminal(sequence.reason, usage_));
}

port::Task<Ending> Generation::hold() {
  while (!context_.connection.ended()) co_await context_.connection.pause(kNever);
  co_return Ending::kClose;
}

}  // namespace infermesh::lab

#include "core/route/in_flight.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "core/model/api_kind.h"
#include "core/route/learn.h"

namespace infermesh::route {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

std::int64_t ns(Instant now) {
  return now.time_since_epoch().count();
}

bool first_token_seen(const RequestFacts& facts) {
  return facts.stream || !generates(facts.api) ||
         (facts.output_tokens_max && facts.output_tokens_max->value <= 1);
}

// The chosen candidate's note, which comes first.
const CandidateNote* chosen_note(const Decision& decision) {
  if (decision.notes.empty() || decision.notes.front().endpoint != *decision.endpoint)
    return nullptr;
  return &decision.notes.front();
}

std::int64_t add_unseen_prefill(LoadCell& cell, double seconds, Instant now) {
  const std::int64_t begins = std::max(cell.unseen_prefill_until_ns.load(kRelaxed), ns(now));
  const std::int64_t until = begins + from_seconds(seconds).count();
  cell.unseen_prefill_until_ns.store(until, kRelaxed);
  return until;
}

}  // namespace

InFlight::InFlight(InFlight&& other) noexcept {
  *this = std::move(other);
}

InFlight& InFlight::operator=(InFlight&& other) noexcept {
  if (this == &other) return *this;
  finish();
  cell_ = std::exchange(other.cell_, nullptr);
  endpoint_ = other.endpoint_;
  model_key_ = other.model_key_;
  sent_at_ = other.sent_at_;
  uncached_ = other.uncached_;
  output_ = other.output_;
  prefill_ahead_at_start_ = other.prefill_ahead_at_start_;
  done_at_start_ = other.done_at_start_;
  prefill_beside_ = other.prefill_beside_;
  streams_at_start_ = other.streams_at_start_;
  service_ = other.service_;
  unseen_until_ns_ = other.unseen_until_ns_;
  trial_ = other.trial_;
  streamed_ = other.streamed_;
  prompt_read_ = other.prompt_read_;
  measurable_ = other.measurable_;
  waiting_ = other.waiting_;
  return *this;
}

InFlight InFlight::sent(LoadTable& load, prefix::PrefixIndex* index, const Decision& decision,
                        const RequestFacts& facts, Instant now) {
  IM_ASSERT(decision.endpoint.has_value());
  InFlight self;
  LoadCell& cell = load.at(*decision.endpoint);
  const CandidateNote* note = chosen_note(decision);
  self.cell_ = &cell;
  self.endpoint_ = *decision.endpoint;
  self.model_key_ = decision.model_key;
  self.sent_at_ = now;
  self.prompt_read_ = reads_prompt(facts.api);
  self.uncached_ = self.prompt_read_ ? decision.uncached_tokens : Tokens(0);
  self.output_ = Tokens(static_cast<std::int64_t>(decision.expected_output_tokens));
  self.trial_ = decision.trial;
  self.streamed_ = facts.stream;
  self.waiting_ = first_token_seen(facts);
  self.measurable_ = has_prompt(facts.api) && self.waiting_ && self.prompt_read_ &&
                     (note == nullptr || note->slot_seconds <= 0);
  self.prefill_ahead_at_start_ = Tokens(cell.prefill_tokens_ahead.load(kRelaxed));
  self.streams_at_start_ = cell.streams.load(kRelaxed);
  const std::int32_t before = cell.in_flight.fetch_add(1, kRelaxed);
  if (self.waiting_) {
    cell.prefill_tokens_ahead.fetch_add(self.uncached_.value, kRelaxed);
    if (before <= self.streams_at_start_) cell.prefill_since_ns.store(ns(now), kRelaxed);
  } else {
    self.begin_to_answer();
    if (note != nullptr) {
      self.unseen_until_ns_ = add_unseen_prefill(cell, note->prefill_seconds, now);
    }
  }
  if (index != nullptr && self.prompt_read_) index->insert(facts.blocks, self.endpoint_, now);
  return self;
}

void InFlight::first_byte(Instant now) {
  if (cell_ == nullptr || !waiting_) return;
  waiting_ = false;
  cell_->prefill_tokens_ahead.fetch_sub(uncached_.value, kRelaxed);
  begin_to_answer();
  const std::int64_t turned = cell_->prefill_since_ns.exchange(ns(now), kRelaxed);
  if (measurable_) {
    service_ = std::max(Duration(0), Duration(ns(now) - std::max(turned, ns(sent_at_))));
    learn_prefill(*cell_, uncached_, service_, now);
  }
}

void InFlight::begin_to_answer() {
  cell_->streams.fetch_add(1, kRelaxed);
  cell_->decode_tokens_ahead.fetch_add(output_.value, kRelaxed);
  done_at_start_ =
      cell_->prefill_tokens_done.fetch_add(uncached_.value, kRelaxed) + uncached_.value;
}

void InFlight::finish(Instant now) {
  if (cell_ != nullptr && unseen_until_ns_ > ns(now)) {
    cell_->unseen_prefill_until_ns.fetch_sub(unseen_until_ns_ - ns(now), kRelaxed);
  }
  finish();
}

void InFlight::finish() {
  if (cell_ == nullptr) return;
  if (!waiting_) {
    prefill_beside_ = Tokens(cell_->prefill_tokens_done.load(kRelaxed) - done_at_start_);
  }
  if (waiting_) {
    cell_->prefill_tokens_ahead.fetch_sub(uncached_.value, kRelaxed);
  } else {
    cell_->streams.fetch_sub(1, kRelaxed);
    cell_->decode_tokens_ahead.fetch_sub(output_.value, kRelaxed);
  }
  cell_->in_flight.fetch_sub(1, kRelaxed);
  cell_ = nullptr;
}

void InFlight::describe(Outcome& outcome) const {
  outcome.endpoint = endpoint_;
  outcome.model_key = model_key_;
  outcome.sent_at = sent_at_;
  outcome.trial = trial_;
  outcome.streamed = streamed_;
  outcome.prompt_read = prompt_read_;
  outcome.uncached_prompt_tokens = uncached_;
  outcome.streams_at_start = streams_at_start_;
  outcome.prefill_ahead_at_start = prefill_ahead_at_start_;
  outcome.prefill_service = service_;
  outcome.prefill_beside = prefill_beside_;
}

}  // namespace infermesh::route

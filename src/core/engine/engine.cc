#include "core/engine/engine.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace infermesh::engine {
namespace {

std::size_t blocks_for(std::uint64_t tokens) {
  return static_cast<std::size_t>((tokens + kBlockTokens - 1) / kBlockTokens);
}

// A sequence must compute at least its last token, so a prompt is never found whole.
std::size_t matchable(std::uint64_t tokens, std::size_t hashes) {
  return std::min(hashes, static_cast<std::size_t>((tokens - 1) / kBlockTokens));
}

}  // namespace

Engine::Engine(EngineProfile profile) : profile_(std::move(profile)), pool_(profile_.kv_blocks) {
  IM_ASSERT(validate(profile_).has_value());
  running_.reserve(profile_.sequences_max);
}

Submission Engine::submit(Instant now, RequestSpec request) {
  on_deadline(now);
  request.prompt_tokens = std::max(request.prompt_tokens, Tokens(1));
  request.output_tokens = std::max(request.output_tokens, Tokens(0));
  const auto total =
      static_cast<std::uint64_t>((request.prompt_tokens + request.output_tokens).value);
  if (total > profile_.context_tokens_max || blocks_for(total) > pool_.total()) {
    return Submission::kTooLong;
  }
  if (waiting_.size() >= profile_.waiting_max) return Submission::kQueueFull;
  if (by_id_.contains(request.id)) return Submission::kDuplicate;

  Slot slot = static_cast<Slot>(sequences_.size());
  if (free_slots_.empty()) {
    sequences_.emplace_back();
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
  }
  by_id_.emplace(request.id, slot);
  sequences_[slot].spec = std::move(request);
  waiting_.push_back(slot);
  if (step_end_ == kNever) plan(now);
  return Submission::kAccepted;
}

bool Engine::cancel(Instant now, RequestId id) {
  on_deadline(now);
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return false;
  const Slot slot = found->second;
  if (sequences_[slot].running) {
    std::erase(running_, slot);
  } else {
    std::erase(waiting_, slot);
  }
  ++totals_.cancelled;
  finish(slot);
  return true;
}

void Engine::on_deadline(Instant now) {
  while (step_end_ <= now) {
    const Instant end = step_end_;
    end_step();
    plan(end);
  }
}

std::vector<EngineEvent> Engine::take_output() {
  std::vector<EngineEvent> output;
  output.reserve(running_.size());
  output.swap(output_);
  return output;
}

void Engine::forget_cache() {
  pool_.forget_unused();
}

EngineStats Engine::stats() const {
  EngineStats stats = totals_;
  stats.running = static_cast<std::uint32_t>(running_.size());
  stats.waiting = static_cast<std::uint32_t>(waiting_.size());
  stats.kv_used = pool_.used_fraction();
  return stats;
}

Tokens Engine::cached_tokens(const RequestSpec& request) const {
  const auto tokens =
      static_cast<std::uint64_t>(std::max<std::int64_t>(request.prompt_tokens.value, 1));
  const std::span hashes(request.blocks.data(), matchable(tokens, request.blocks.size()));
  return Tokens(static_cast<std::int64_t>(pool_.match(hashes) * kBlockTokens));
}

void Engine::plan(Instant start) {
  load_ = {};
  step_start_ = start;
  std::uint64_t budget = profile_.batch_tokens_max;
  // Whoever was just preempted would be the first to come back: admitting in the same step would
  // thrash.
  if (plan_running(budget)) plan_waiting(budget);
  step_end_ = load_.empty() ? kNever : start + step_time(profile_, load_);
  IM_ASSERT(step_end_ != kNever || (running_.empty() && waiting_.empty()));
}

bool Engine::plan_running(std::uint64_t& budget) {
  const std::uint64_t preemptions_before = totals_.preemptions;
  for (std::size_t i = 0; i < running_.size() && budget > 0; ++i) {
    const Slot slot = running_[i];
    const std::uint64_t tokens =
        std::min(sequences_[slot].known() - sequences_[slot].computed, budget);
    if (!make_room(i, blocks_for(sequences_[slot].computed + tokens))) break;
    schedule(sequences_[slot], tokens);
    budget -= tokens;
  }
  return totals_.preemptions == preemptions_before;
}

// Brings the sequence at `index` to the blocks it needs, at the cost of the younger ones. False: it
// was the youngest itself and has lost its place.
bool Engine::make_room(std::size_t index, std::size_t blocks_wanted) {
  while (!pool_.grow(sequences_[running_[index]].held, blocks_wanted)) {
    const bool itself = index + 1 == running_.size();
    preempt_youngest();
    if (itself) return false;
  }
  return true;
}

void Engine::plan_waiting(std::uint64_t& budget) {
  while (!waiting_.empty() && budget > 0 && running_.size() < profile_.sequences_max) {
    const Slot slot = waiting_.front();
    Sequence& sequence = sequences_[slot];
    if (pool_.free() == 0) return;
    const std::size_t matched = matched_blocks(sequence);
    const std::uint64_t cached = matched * kBlockTokens;
    const std::uint64_t tokens = std::min(sequence.known() - cached, budget);
    const std::span hashes(sequence.spec.blocks.data(), matched);
    if (!pool_.admit(hashes, blocks_for(cached + tokens), sequence.held)) return;

    waiting_.pop_front();
    running_.push_back(slot);
    sequence.running = true;
    sequence.computed = cached;
    sequence.prefill_until = sequence.known();
    if (!sequence.admitted_before) {
      sequence.admitted_before = true;
      sequence.cached = Tokens(static_cast<std::int64_t>(cached));
      totals_.prefix_query_tokens += sequence.known();
      totals_.prefix_hit_tokens += cached;
      emit(EventKind::kScheduled, sequence, step_start_);
    }
    schedule(sequence, tokens);
    budget -= tokens;
  }
}

void Engine::schedule(Sequence& sequence, std::uint64_t tokens) {
  sequence.scheduled = tokens;
  if (sequence.computed < sequence.prefill_until) {
    load_.prefill_tokens += tokens;
  } else {
    load_.decode_sequences += 1;
  }
  load_.context_tokens += sequence.computed;
  const std::size_t full =
      std::min(static_cast<std::size_t>((sequence.computed + tokens) / kBlockTokens),
               sequence.spec.blocks.size());
  for (std::size_t i = static_cast<std::size_t>(sequence.computed / kBlockTokens); i < full; ++i) {
    pool_.remember(sequence.held[i], sequence.spec.blocks[i]);
  }
}

void Engine::preempt_youngest() {
  const Slot slot = running_.back();
  Sequence& sequence = sequences_[slot];
  running_.pop_back();
  waiting_.push_front(slot);
  pool_.release(sequence.held);
  sequence.running = false;
  sequence.computed = 0;
  sequence.scheduled = 0;
  ++totals_.preemptions;
  emit(EventKind::kPreempted, sequence, step_start_);
}

void Engine::end_step() {
  ++totals_.steps;
  totals_.busy += step_end_ - step_start_;
  std::size_t kept = 0;
  for (const Slot slot : running_) {
    Sequence& sequence = sequences_[slot];
    sequence.computed += std::exchange(sequence.scheduled, 0);
    const bool computed_all = sequence.computed == sequence.known();
    if (computed_all && make_token(sequence)) {
      ++totals_.finished;
      emit(EventKind::kFinished, sequence, step_end_);
      finish(slot);
    } else {
      running_[kept++] = slot;
    }
  }
  running_.resize(kept);
}

bool Engine::make_token(Sequence& sequence) {
  const bool first = sequence.produced == 0;
  if (first) totals_.prompt_tokens += static_cast<std::uint64_t>(sequence.spec.prompt_tokens.value);
  if (sequence.spec.output_tokens.value == 0) return true;
  ++sequence.produced;
  ++totals_.generation_tokens;
  emit(first ? EventKind::kFirstToken : EventKind::kToken, sequence, step_end_);
  return sequence.produced >= static_cast<std::uint64_t>(sequence.spec.output_tokens.value);
}

void Engine::finish(Slot slot) {
  Sequence& sequence = sequences_[slot];
  pool_.release(sequence.held);
  by_id_.erase(sequence.spec.id);
  std::vector<BlockPool::Block> room = std::move(sequence.held);
  sequence = Sequence{};
  sequence.held = std::move(room);
  free_slots_.push_back(slot);
}

void Engine::emit(EventKind kind, const Sequence& sequence, Instant at) {
  output_.push_back({kind, sequence.spec.id, at, sequence.cached});
}

std::size_t Engine::matched_blocks(const Sequence& sequence) const {
  const std::size_t limit = matchable(sequence.known(), sequence.spec.blocks.size());
  return pool_.match(std::span(sequence.spec.blocks.data(), limit));
}

}  // namespace infermesh::engine

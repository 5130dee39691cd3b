// InFlight: the router's account of one attempt. Made when the request is sent, told of the first
// byte, gone when the attempt is over; what it added to the load table it takes away again exactly,
// whichever way the attempt ends.
//
// Owned by the data plane's attempt, used on its shard's loop. The load table must outlive it. The
// tokens counted are those that the decision believed uncached. First tokens are seen of streamed
// answers and of answers without decoding (embeddings, scores, max_tokens 1); of others the end of
// prefill is predicted and simply passes with time.
#pragma once

#include <cstdint>

#include "core/model/decision.h"
#include "core/model/load_table.h"
#include "core/model/request_facts.h"
#include "core/prefix/prefix_index.h"

namespace infermesh::route {

class InFlight {
 public:
  InFlight() = default;  // nothing in flight
  InFlight(InFlight&& other) noexcept;
  InFlight& operator=(InFlight&& other) noexcept;
  ~InFlight() { finish(); }

  // The request goes to decision.endpoint now. Its blocks enter the index at once, not at the first
  // byte: an engine works off its queue in order, so whoever comes next finds them computed.
  // `index` may be null.
  static InFlight sent(LoadTable& load, prefix::PrefixIndex* index, const Decision& decision,
                       const RequestFacts& facts, Instant now);

  // Of a successful answer's body (not of an error's). Later calls change nothing.
  void first_byte(Instant now);
  // The attempt is over; idempotent. An unseen prefill that was predicted to last beyond `now` has
  // ended early.
  void finish(Instant now);
  void finish();  // when the time is not known

  // After finish(): fills in what was known at sending and what was measured since.
  void describe(Outcome& outcome) const;

 private:
  LoadCell* cell_ = nullptr;
  EndpointId endpoint_;
  std::uint64_t model_key_ = 0;
  Instant sent_at_{};
  Tokens uncached_{0};
  Tokens output_{0};
  Tokens prefill_ahead_at_start_{0};
  std::int64_t done_at_start_ = 0;  // cell's prefill_tokens_done when it began to answer
  Tokens prefill_beside_{0};
  std::int32_t streams_at_start_ = 0;
  Duration service_{-1};
  std::int64_t unseen_until_ns_ =
      0;  // predicted end of a prefill whose first token is not seen; 0 = none
  bool trial_ = false;
  bool streamed_ = false;
  bool prompt_read_ = true;
  bool measurable_ = false;  // the wait was for prompts alone, not for a slot
  bool waiting_ = false;     // counted as prefill ahead

  void begin_to_answer();
};

}  // namespace infermesh::route

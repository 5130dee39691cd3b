// Exchange: one inference request from its head to its last byte. The life of a request:
//   intake    read the body until routing knows enough
//   resolve   model -> pool; errors with the nearest names
//   attempts  admit -> decide -> send -> await the answer -> retry elsewhere
//   relay     the answer goes to the client as it comes
//   record    metrics, access log, decision record
// Every wait goes through wait(): the client's leaving, deadlines and keep-alives are handled
// there, for every step.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/model/decision.h"
#include "data/exchange/errors.h"
#include "data/exchange/head_facts.h"
#include "data/exchange/request.h"
#include "data/exchange/request_body.h"
#include "data/exchange/request_reader.h"
#include "data/exchange/request_trace.h"
#include "data/exchange/routing.h"
#include "data/exchange/step.h"

namespace infermesh::data {

class Exchange final : public Routing {
 public:
  // `parts` must outlive it.
  explicit Exchange(ExchangeParts& parts);
  // Reads until it may be decided, and looks the model up.
  port::Task<Step<>> prepare();
  port::Task<Step<>> answer();
  void end(const Step<>& served);

  // Waits for progress; answers only kProgress and kPhaseDeadline. Sends keep-alives to a client
  // that awaits a stream.
  port::Task<Step<Wake>> wait() override;
  bool request_held() const override { return body.whole(); }
  // More is kept for the client than may be: nothing is read from the engine until it has caught
  // up.
  bool client_is_behind() const {
    return parts.client.out.kept_bytes() > parts.shard.settings.stream_buffer_bytes_max;
  }
  port::Task<Step<>> let_client_catch_up();
  // The head of an event stream; committed early when the first event is long in coming.
  void begin_stream();
  void note_client_write();  // the next keep-alive is counted from here
  // What the rest of an early-decided body has added: whether it asks for a stream, and for usage.
  void refresh_facts();
  // Something of an answer has been sent, so no other engine will be tried: frees the request's
  // body, what read it, and its headers. A stream may be silent for long.
  void release_request();
  void note_content();               // an event with a part of the answer has come
  bool names_another_model() const;  // than the one that it was routed to
  void stamp_decision_headers();

  ExchangeParts& parts;
  std::unique_ptr<openai::BodyReader> reader;  // null once the request is released
  RequestBody body;
  std::optional<RequestTrace> trace;  // when spans are exported
  std::uint64_t passed_in = 0;        // bytes of a live session, from the client
  bool model_guessed = false;         // the request has not named one so far
  bool in_stream = false;             // the client has been promised an event stream
  // Totals of the answer.
  std::optional<Tokens> prompt_tokens, cached_tokens, output_tokens;
  Instant first_token_at = kNever;
  Duration intake_time{0};                 // until routing could begin: the client's own pace
  std::uint64_t next_sequence_number = 0;  // of a responses stream

 private:
  port::Task<Step<>> intake();
  Step<> check_head();
  Step<> check_type() const;
  Error no_model_named() const;
  Step<> resolve(), resolve_model(), resolve_stored(), pin_to_state();
  bool may_decide() const;
  Stop stopped_by(Wake woken) const;
  void end_with(const Stop& stop);
  RequestSummary summary() const;
  void finish_record();
  void await_first_event();  // of a stream: with keep-alives
  void send_keepalive();

  HeadFacts head_facts_;
  Instant last_write_{};
  Instant last_content_ = kNever;
};

// Serves one request; the reply is ended or aborted when it returns.
port::Task<void> run_exchange(ExchangeParts parts);

}  // namespace infermesh::data

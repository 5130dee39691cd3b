// Attempt: one try of a request at one engine: a connection, the request out, the answer's head in,
// then the relay. Counts itself in the load table while it lasts, and reports its outcome to
// routing and health when it is over.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/route/in_flight.h"
#include "data/exchange/exchange.h"
#include "data/stream/answer_reader.h"
#include "data/stream/upstream_pool.h"
#include "wire/openai/splice.h"

namespace infermesh::data {

class Attempt {
 public:
  using Failure = Rare<AttemptFailure>;  // nothing: it has its answer

  Attempt(Exchange& exchange, Decision decision, std::uint32_t number);
  ~Attempt();
  Attempt(const Attempt&) = delete;
  Attempt& operator=(const Attempt&) = delete;

  // Nothing: the reply is ended (or aborted, when the answer broke off half way). A failure:
  // nothing has been sent to the client, another engine may be tried.
  port::Task<Step<Rare<AttemptFailure>>> run();

  // Ends the attempt's account and tells routing and health; the destructor does it otherwise.
  const Outcome& settle();
  EndpointId endpoint() const { return endpoint_.id; }

  // For the relays (relay_stream.cc, relay_plain.cc).
  Exchange& exchange() { return exchange_; }
  const Exchange& exchange() const { return exchange_; }
  AnswerReader& answer() { return *answer_; }
  const http::ResponseHead& head() const { return std::as_const(*head_parser_).head(); }
  // The client's name of the model, when the engine was told another.
  std::optional<std::string_view> name_to_restore() const;
  std::string_view after_head() const {  // what came along with the answer's head
    return std::string_view(answer_text_).substr(head_bytes_);
  }
  WatchedStream& engine_stream() { return connection_->stream; }
  OutBuffer& engine_out() { return *out_; }
  // Something of the answer has gone to the client: frees what only the request's sending and the
  // answer's head needed. head() is gone.
  void release_request();
  void note_first_byte();
  void note_heard();  // bytes of the answer's body have come
  Instant silence_deadline() const;
  Duration between_bytes() const { return exchange_.pool->spec.between_bytes_timeout; }
  AttemptFailure fail_with(OutcomeKind kind, ErrorCode code, std::string detail);
  void note_retry_after(std::string_view seconds, std::string_view milliseconds);
  // Which engine keeps the answer of this id, for requests that refer to it later.
  void note_response(std::string_view id);
  void end_ok() { outcome_.kind = OutcomeKind::kOk; }

 private:
  port::Task<Step<Failure>> connect();
  port::Task<Step<Failure>> converse();  // sends, and reads the answer's head
  port::Task<Step<Failure>> await_head();
  Step<Failure> send_some();
  Rare<AttemptFailure> read_answer_head();
  void compose_head();
  Duration first_byte_timeout() const;
  void note_load_report();
  void begin_relay();
  port::Task<Step<Failure>> relay();  // by the relay that the answer's head asks for
  void keep_connection();             // for the next request, if it can carry one

  Exchange& exchange_;
  Decision decision_;
  MeshViewPtr view_;  // holds the endpoint
  const Endpoint& endpoint_;
  std::uint32_t number_;
  UpstreamConnectionPtr connection_;
  std::unique_ptr<OutBuffer> out_;
  std::unique_ptr<openai::BodySplicer> splicer_;
  std::uint64_t pushed_ = 0;  // of the body, into the splicer
  bool chunked_ = false;
  bool sent_all_ = false;
  std::string head_text_;    // request head not yet written
  std::string answer_text_;  // response bytes until the head is whole
  std::size_t head_bytes_ = 0;
  std::unique_ptr<http::ResponseHeadParser> head_parser_;
  bool keep_alive_ = false;  // the answer's head allows another request
  bool heard_ = false;       // a byte of the answer has come
  Instant heard_at_{};       // when the last of them came
  std::unique_ptr<AnswerReader> answer_;
  route::InFlight in_flight_;
  Outcome outcome_;
  bool settled_ = false;
  bool response_noted_ = false;
  std::string error_;
};

// Why a relay cannot go on.
struct RelayFault {
  OutcomeKind kind;
  ErrorCode code;
  std::string text;
};

// The relays. They end the reply, or answer a failure while nothing has been sent.
port::Task<Step<Rare<AttemptFailure>>> relay_stream(Attempt& attempt);
port::Task<Step<Rare<AttemptFailure>>> relay_plain(Attempt& attempt);
// A live session, both ways.
port::Task<Step<Rare<AttemptFailure>>> relay_tunnel(Attempt& attempt);
// An error status: reads what the engine says.
port::Task<Step<Rare<AttemptFailure>>> read_refusal(Attempt& attempt);

}  // namespace infermesh::data

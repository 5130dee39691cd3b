// GrpcAttempt: one try of a call at one engine: a stream on a connection to it, bytes both ways.
// Counts itself in the load table while it lasts, and reports its outcome to routing and health.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/route/in_flight.h"
#include "data/grpc/call.h"
#include "data/http2/upstream.h"

namespace infermesh::data {

// How an attempt ended of which the client has seen nothing.
struct GrpcFailure {
  Error error;
  // The engine's answer, when it was a status alone.
  std::optional<http2::FieldBlock> said = std::nullopt;
  grpc::Status status = grpc::Status::kUnavailable;
};

class GrpcAttempt {
 public:
  using Failure = std::optional<GrpcFailure>;  // nothing: it has its answer

  GrpcAttempt(GrpcCall& call, Decision decision, std::uint32_t number);
  ~GrpcAttempt();
  GrpcAttempt(const GrpcAttempt&) = delete;
  GrpcAttempt& operator=(const GrpcAttempt&) = delete;

  // Nothing: the engine's answer is whole and its trailers are the call's. A failure: nothing of an
  // answer has been passed on.
  port::Task<Step<std::optional<GrpcFailure>>> run();
  const Outcome& settle();
  EndpointId endpoint() const { return endpoint_.id; }

 private:
  port::Task<Step<Failure>> open();
  http2::FieldBlock compose_head() const;
  port::Task<Step<Failure>> converse();
  Step<> send_some();
  Step<bool> take_answer();  // true: the answer is whole
  void take_end();
  Step<Failure> broke_off();
  void begin_answer();
  Failure refused();  // an answer that is a status alone and may be had better elsewhere
  void note_outcome(grpc::Status status);
  Instant silence_deadline() const;
  Instant stream_deadline() const;
  GrpcFailure fail_with(OutcomeKind kind, ErrorCode code, std::string detail);

  GrpcCall& call_;
  Decision decision_;
  MeshViewPtr view_;  // holds the endpoint
  const Endpoint& endpoint_;
  std::uint32_t number_;
  std::shared_ptr<Http2Stream> engine_;
  std::unique_ptr<WatchedStream> wire_;  // over it
  std::unique_ptr<OutBuffer> out_;
  bool ended_ = false;  // our side of it
  Instant heard_at_{};
  Instant moved_at_{};         // when bytes last went either way; of streams
  grpc::FrameTracker frames_;  // of what went to the engine
  bool owes_ = false;          // it was told something since it last said something
  route::InFlight in_flight_;
  Outcome outcome_;
  bool settled_ = false;
  std::string error_;
};

}  // namespace infermesh::data

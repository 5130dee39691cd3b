// GrpcCall: one gRPC call from its head to its trailers. The life of a call:
//   head      method, deadline (grpc-timeout)
//   intake    read until the first message names its model, and its sequence where the policy is
//             one of sessions by sequence_id; 64 KiB at most
//   attempts  admit -> decide -> open a stream to the engine -> await its head -> retry elsewhere
//   relay     bytes both ways, at the pace of the slower side; trailers as they are
//   record    metrics, access log, decision record
// A call is tried again only before anything of an answer has been passed on, and while all of its
// request's bytes are still kept (kReplayMax). A call of many messages (ModelStreamInfer) stays
// with the engine of its first. Errors of infermesh's own are statuses, never HTTP errors.
#pragma once

#include <optional>
#include <string>

#include "data/exchange/request_trace.h"
#include "data/exchange/routing.h"
#include "data/http2/stream.h"
#include "wire/grpc/frame.h"
#include "wire/grpc/kserve.h"
#include "wire/grpc/status.h"

namespace infermesh::data {

struct GrpcParts {
  Shard& shard;
  Http2Stream& stream;  // the client's
  ClientSide& client;   // over it
  Waiter& waiter;
  const http::RequestHead& head;
  const RequestStart& start;
};

// By its content-type: application/grpc, application/grpc+proto.
bool is_grpc(const http::RequestHead& head);
// Serves one call; the client's stream is ended, or reset, when it returns, though what was written
// may still be on its way.
port::Task<void> run_grpc_call(GrpcParts parts);

class GrpcCall final : public Routing {
 public:
  static constexpr std::size_t kReplayMax = 1 << 20;  // of the request, kept for another try
  static constexpr std::size_t kAheadMax = 64 << 10;  // read of it and not yet sent

  explicit GrpcCall(const GrpcParts& given);
  port::Task<void> run();

  port::Task<Step<Wake>> wait() override;
  bool request_held() const override { return kept_from == 0; }
  // Takes in what has come of the request, while little of it is unsent. An error is the client's.
  Step<> read_on();
  // All of the request is in `kept`, or was.
  bool request_ended() const { return parts.client.ended && !parts.client.broken; }
  void forget_sent();  // bytes that no other try can need

  GrpcParts parts;
  grpc::Method method;
  std::string kept;             // of the request, from kept_from on
  std::uint64_t kept_from = 0;  // where `kept` begins in the request
  std::uint64_t sent = 0;       // of the request, to the present engine
  bool answer_begun = false;    // the answer's head has gone to the client
  std::uint64_t bytes_in = 0, bytes_out = 0;
  grpc::Status status = grpc::Status::kUnknown;  // how the call ended
  http2::FieldBlock trailers;
  std::optional<RequestTrace> trace;  // when spans are exported

 private:
  port::Task<Step<>> serve();
  Step<> read_head();
  port::Task<Step<>> answer_self();
  port::Task<Step<>> intake();
  Step<bool> know_enough();
  Step<bool> find_model(const grpc::FirstMessage& message, bool nothing_more);
  bool wants_sequence() const;
  Step<> resolve();
  port::Task<Step<>> run_attempts();
  port::Task<void> end_with(const Stop& why);
  port::Task<bool> flush();
  void finish_record();
  TracedRequest traced() const;
  void refuse(const Error& error);

  Duration intake_time_{0};
  std::string inflated_;
};

}  // namespace infermesh::data

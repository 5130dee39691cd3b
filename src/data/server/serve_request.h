// What is done with a request once its head is there, whichever protocol it came by: its route, the
// exchange or the router's own answer, and the account of it.
#pragma once

#include "data/exchange/request.h"

namespace infermesh::data {

// Whether the answer to a request has a body.
inline Reply::Payload payload_for(const http::RequestHead& head) {
  return head.method == "HEAD" ? Reply::Payload::kLeftOut : Reply::Payload::kSent;
}

// Now, with the client's own request id when it is usable. No head: it could not be read.
RequestStart start_request(Shard& shard, const http::RequestHead* head);

struct Serving {
  Shard& shard;
  ClientSide& client;
  Waiter& waiter;
  Reply& reply;
  const RequestStart& start;
  HeadHolder& head_holder;
};
// The reply is ended or aborted when it returns; what is written may still be on its way.
port::Task<void> serve_request(Serving serving, const http::RequestHead& head);
// A head that could not be read, or did not come.
void refuse_request(const Serving& serving, const Error& error);

// What is still to be written, at the client's pace. False when the client is gone or too slow.
port::Task<bool> flush_reply(Shard& shard, ClientSide& client, Waiter& waiter);

}  // namespace infermesh::data

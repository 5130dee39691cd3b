// What a connection hands to the exchange that answers a request on it.
#pragma once

#include <string>
#include <utility>

#include "data/shard/shard.h"
#include "data/stream/client_side.h"
#include "data/stream/reply.h"
#include "data/stream/waiter.h"
#include "wire/http/head.h"

namespace infermesh::data {

struct RequestStart {
  Instant received{};
  WallTime received_wall{};
  std::string request_id;
};

// What the request's target says, where the body does not.
struct NamedByTarget {
  std::string model = {};  // decoded; empty: the body names it
  bool stream = false;
};

// Who holds the request's head. Once an answer has begun nobody asks for its headers any more.
class HeadHolder {
 public:
  virtual ~HeadHolder() = default;
  // Of the head only method and path stay, and they move.
  virtual void forget_headers() = 0;
};

struct ExchangeParts {
  Shard& shard;
  ClientSide& client;
  Waiter& waiter;
  Reply& reply;
  const http::RequestHead& head;
  HeadHolder& head_holder;
  Api api;
  std::string_view path;  // as engines know it
  const RequestStart& start;
  std::string_view response_id = {};  // of Api::kStoredResponse
  NamedByTarget named = {};
};

}  // namespace infermesh::data

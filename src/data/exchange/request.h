// What a connection hands to the exchange that answers a request on it.
#pragma once

#include <string>

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
  std::string_view model = {};  // decoded; empty: the body names it
  bool stream = false;
};

struct ExchangeParts {
  Shard& shard;
  ClientSide& client;
  Waiter& waiter;
  Reply& reply;
  const http::RequestHead& head;
  Api api;
  std::string_view path;  // as engines know it
  const RequestStart& start;
  std::string_view response_id = {};  // of Api::kStoredResponse
  NamedByTarget named = {};
};

}  // namespace infermesh::data

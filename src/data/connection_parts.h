// What a connection hands to whoever answers a request on it.
#pragma once

#include <string>

#include "data/client_side.h"
#include "data/reply.h"
#include "data/route_table.h"
#include "data/shard.h"
#include "data/waiter.h"
#include "wire/http/head.h"

namespace infermesh::data {

struct RequestStart {
  Instant received{};
  WallTime received_wall{};
  std::string request_id;
};

struct ExchangeParts {
  Shard& shard;
  ClientSide& client;
  Waiter& waiter;
  Reply& reply;
  const http::RequestHead& head;
  const Route& route;
  const RequestStart& start;
};

}  // namespace infermesh::data

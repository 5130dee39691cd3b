// Loading and unloading of models (KServe's repository calls), where the operator lets it through
// (setting model_control): each acts on one server, so it goes to the one engine that speaks
// KServe, or to the one that the header x-infermesh-engine names, whatever state it is in. Not
// tried twice, not queued and not counted as load: it is no inference. On the connection's shard.
#pragma once

#include <string>
#include <string_view>

#include "data/shard/shard.h"
#include "data/stream/waiter.h"
#include "wire/http/head.h"

namespace infermesh::data {

constexpr std::size_t kControlAnswerMax = 1 << 20;  // of an engine's answer

struct ControlParts {
  Shard& shard;
  Waiter& waiter;
  const http::RequestHead& head;
  std::string_view request_id;
  std::string_view model;  // that the path names, decoded
  std::string_view body;
};

struct ControlAnswer {
  int status = 0;
  std::string content_type, body, engine;
};

// What the engine says, whichever its status. kInvalidField when it is not clear which engine is
// meant. Loading may take minutes: total_timeout bounds it.
port::Task<Result<ControlAnswer>> pass_control(ControlParts parts);

}  // namespace infermesh::data

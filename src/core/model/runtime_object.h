// RuntimeObject: how to read a model server that no adapter is written for: which pages tell its
// health, models, version and load, and where on them. A mesh object of kind Runtime; the adapters
// that need no more than this are written in it too (wire/engine/described.h reads by it).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace infermesh {

struct RuntimeObject {
  std::string name;
  std::vector<std::string> apis;  // route families that it serves; empty: those of runtime openai
  std::string openai_prefix = "/v1";  // for "/v1" in the paths of requests to it; "/": nothing

  std::string health_path;
  std::optional<std::uint32_t> loading_status;  // the status that says it is loading
  std::string health_value;                     // JSON pointer; empty: the status alone decides
  std::vector<std::string> ready_values;        // what stands there when it can work ...
  std::vector<std::string> loading_values;      // ... and while it loads; else it is failing

  std::string models_path;                 // empty: the Engine names its models
  std::string models_post;                 // a body to POST there; empty: it is a GET
  std::string models_name = "/data/*/id";  // JSON pointer with one *, the names
  std::string models_context;              // the same with the context length, in tokens

  std::string identity_path;
  std::string version = "/version";  // JSON pointers into it
  std::string identity_concurrency_max;

  std::string load_path;
  std::optional<std::uint32_t> load_port;  // where that page is, on the engine's host
  // LoadSource texts, the first that is told counts. All are of metrics, or all JSON pointers.
  std::vector<std::string> running;
  std::vector<std::string> waiting;
  std::vector<std::string> waiting_tokens;
  std::vector<std::string> kv_used;
  std::vector<std::string> kv_tokens;
  std::vector<std::string> prompt_tokens;
  std::vector<std::string> generation_tokens;
  std::vector<std::string> prefix_query_tokens;
  std::vector<std::string> prefix_hit_tokens;
  std::vector<std::string> concurrency_max;
  std::vector<std::string> started_at;
  std::vector<std::string> work_done;

  bool operator==(const RuntimeObject&) const = default;
};

constexpr std::size_t kLoadNamesMax = 32;  // metric names of one Runtime object

// kInvalidConfig with the field as parameter: fields that are each right do not fit together.
Result<void> check_runtime_object(const RuntimeObject& object);

}  // namespace infermesh

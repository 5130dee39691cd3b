// Detection: which runtime speaks on a port, found by a few GETs without side effects. A machine:
// ask next_path(), send that GET, hand the answer to on_answer(), until next_path() is empty; then
// read finding(). At most 8 GETs, each of a fixed list of read-only paths: walking a server's paths
// can stop it (LMDeploy's GET /terminate), and reading twice can take from another reader
// (trtllm-serve's /metrics).
//
// The strongest sign is owned_by of /v1/models, then what /v2 says of itself. Routers that imitate
// an engine are told by their metrics and headers and reported as gateways, so that their sums are
// not read as one engine's load. A 401 says only that a key is needed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/model/api.h"
#include "wire/engine/adapter.h"
#include "wire/engine/json_read.h"

namespace infermesh::engines {

enum class FindingKind : std::uint8_t {
  kNothing,    // no HTTP answer
  kEngine,     // `runtime` says how to talk to it
  kGateway,    // a router, this program's own included
  kNotEngine,  // answers HTTP but is no model server that can be used
};

struct Finding {
  FindingKind kind = FindingKind::kNothing;
  Runtime runtime = Runtime::kOpenai;
  std::string product;      // what it is, for people: "vllm", "llama.cpp", "lmdeploy"
  bool key_needed = false;  // some answer was 401 or 403
  bool loading = false;     // it is an engine that is not ready yet
};

class Detection {
 public:
  std::string_view next_path() const;  // empty once decided
  void on_answer(const Answer& answer);
  bool decided() const { return decided_; }
  const Finding& finding() const { return finding_; }  // once decided

 private:
  enum class Step : std::uint8_t {
    kModels,
    kConfirm,
    kPing,
    kRoot,
    kVersion,
    kV2,
    kProps,
    kInfo,
    kServerInfo,
    kMetrics,
  };

  void on_models(const Answer& answer);
  void on_model_list(const Json& list);
  void on_ping(std::string_view body);
  void on_root(std::string_view body);
  void on_version(std::string_view body);
  void on_v2(std::string_view body);
  void on_props(std::string_view body);
  void on_info(std::string_view body);
  void on_server_info(std::string_view body);
  void on_metrics(std::string_view body);
  void decide_engine(Runtime runtime);
  void give_up();
  void decide(FindingKind kind, Runtime runtime, std::string_view product);

  Step step_ = Step::kModels;
  bool decided_ = false;
  bool lists_models_ = false;  // /v1/models was a list, whoever made it
  bool maybe_tgi_ = false;     // its model is owned by itself
  Finding finding_;
};

}  // namespace infermesh::engines

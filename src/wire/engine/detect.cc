#include "wire/engine/detect.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "wire/engine/json_read.h"

namespace infermesh::engines {
namespace {

struct Owner {
  std::string_view owned_by;
  Runtime runtime;
  std::string_view product;
};
constexpr std::array kOwners{
    Owner{"vllm", Runtime::kVllm, "vllm"},
    Owner{"sglang", Runtime::kSglang, "sglang"},
    Owner{"llamacpp", Runtime::kLlamacpp, "llama.cpp"},
    Owner{"lmdeploy", Runtime::kOpenai, "lmdeploy"},
    Owner{"tensorrt_llm", Runtime::kOpenai, "tensorrt-llm"},
    Owner{"OVMS", Runtime::kOpenvino, "openvino"},
    Owner{"infinity", Runtime::kInfinity, "infinity"},
    Owner{"Triton Inference Server", Runtime::kOpenai, "triton"},
};

// Metric names that only routers export; the first bytes of a line.
constexpr std::array<std::string_view, 6> kGatewayMetrics{
    "smg_", "vllm_router_", "vllm:healthy_pods_total", "vllm:router_", "litellm_", "infermesh_"};

// The first bytes of a metric's name, of runtimes whose metrics are on the port of their API.
struct MetricPrefix {
  std::string_view prefix;
  Runtime runtime;
};
constexpr std::array kMetricPrefixes{
    MetricPrefix{"vllm:", Runtime::kVllm},         MetricPrefix{"sglang:", Runtime::kSglang},
    MetricPrefix{"llamacpp:", Runtime::kLlamacpp}, MetricPrefix{"tgi_", Runtime::kTgi},
    MetricPrefix{"ovms_", Runtime::kOpenvino},
};

// What /v2 calls the server.
struct ServerName {
  std::string_view part;
  Runtime runtime;
};
constexpr std::array kServerNames{
    ServerName{"triton", Runtime::kTriton},
    ServerName{"mlserver", Runtime::kMlserver},
    ServerName{"OpenVINO Model Server", Runtime::kOpenvino},
    ServerName{"text-generation-inference", Runtime::kTgi},
};

std::string_view product_of(Runtime runtime) {
  return runtime == Runtime::kLlamacpp ? "llama.cpp" : to_string(runtime);
}

bool has_extension(const Json& server, std::string_view name) {
  bool found = false;
  for_each_match(server, "/extensions/*",
                 [&](const Json& extension) { found = found || scalar_text(extension) == name; });
  return found;
}

constexpr std::size_t kMetricsBytesRead = 64 * 1024;

bool starts_line(std::string_view page, std::string_view prefix) {
  for (std::size_t at = page.find(prefix); at != std::string_view::npos;
       at = page.find(prefix, at + 1)) {
    if (at == 0 || page[at - 1] == '\n') return true;
  }
  return false;
}

bool is_gateway_page(std::string_view page) {
  return std::any_of(kGatewayMetrics.begin(), kGatewayMetrics.end(),
                     [&](std::string_view prefix) { return starts_line(page, prefix); });
}

// A proxy before an engine says Via too, so only names of gateways count.
bool is_gateway_head(const Answer& answer) {
  const std::string server = lower(answer.server);
  return server.starts_with("infermesh") || server.starts_with("litellm") ||
         lower(answer.via).find("infermesh") != std::string::npos;
}

std::string_view first_owner(const Json& list, std::string_view& id) {
  const auto* data = array_of(list, "data");
  if (data == nullptr || data->empty()) return {};
  id = text_of(data->front(), "id");
  return text_of(data->front(), "owned_by");
}

}  // namespace

std::string_view Detection::next_path() const {
  if (decided_) return {};
  switch (step_) {
    case Step::kModels:
      return "/v1/models";
    case Step::kPing:
      return "/ping";
    case Step::kRoot:
      return "/";
    case Step::kVersion:
      return "/api/version";
    case Step::kV2:
      return "/v2";
    case Step::kProps:
      return "/props";
    case Step::kInfo:
      return "/info";
    case Step::kServerInfo:
      return "/server_info";
    case Step::kConfirm:
    case Step::kMetrics:
      break;
  }
  return "/metrics";
}

void Detection::decide_engine(Runtime runtime) {
  decide(FindingKind::kEngine, runtime, product_of(runtime));
}

void Detection::decide(FindingKind kind, Runtime runtime, std::string_view product) {
  finding_.kind = kind;
  finding_.runtime = runtime;
  finding_.product = product;
  decided_ = true;
}

void Detection::on_answer(const Answer& answer) {
  if (decided_) return;
  const bool answered = answer.status != 0;
  if (step_ == Step::kModels && !answered)
    return decide(FindingKind::kNothing, Runtime::kOpenai, "");
  if (answered && is_gateway_head(answer)) {
    return decide(FindingKind::kGateway, Runtime::kOpenai, "gateway");
  }
  if (answer.status == 401 || answer.status == 403) finding_.key_needed = true;
  const std::string_view body = answer.status == 200 ? answer.body : std::string_view{};
  switch (step_) {
    case Step::kModels:
      return on_models(answer);
    case Step::kConfirm:
      return is_gateway_page(body.substr(0, kMetricsBytesRead))
                 ? decide(FindingKind::kGateway, Runtime::kOpenai, "gateway")
                 : decide(FindingKind::kEngine, finding_.runtime, std::string(finding_.product));
    case Step::kPing:
      return on_ping(answer.body);
    case Step::kRoot:
      return on_root(body);
    case Step::kVersion:
      return on_version(body);
    case Step::kV2:
      return on_v2(body);
    case Step::kProps:
      return on_props(body);
    case Step::kInfo:
      return on_info(body);
    case Step::kServerInfo:
      return on_server_info(body);
    case Step::kMetrics:
      return on_metrics(body.substr(0, kMetricsBytesRead));
  }
}

void Detection::on_models(const Answer& answer) {
  step_ = Step::kRoot;
  if (answer.server == "llama.cpp") {
    finding_.loading = answer.status == 503;
    return decide_engine(Runtime::kLlamacpp);
  }
  if (finding_.key_needed) lists_models_ = true;  // it has a list and will not show it
  const auto said = parse_json(answer.body);
  if (!said) return;
  // TensorFlow Serving knows the path only with a model's name in it.
  if (text_of(*said, "error").starts_with("Malformed request: GET /v1/models")) {
    return decide_engine(Runtime::kTensorflowServing);
  }
  if (answer.status == 404 && !text_of(*said, "type").empty() &&
      member(*said, "message") != nullptr && member(*said, "code") != nullptr) {
    step_ = Step::kPing;
  }
  if (answer.status == 200 && array_of(*said, "data") != nullptr) on_model_list(*said);
}

void Detection::on_model_list(const Json& list) {
  lists_models_ = true;
  std::string_view id;
  const std::string_view owner = first_owner(list, id);
  if (owner == "infermesh") return decide(FindingKind::kGateway, Runtime::kOpenai, "gateway");
  if (!owner.empty() && owner == id) {
    maybe_tgi_ = true;
    step_ = Step::kInfo;
    return;
  }
  for (const Owner& known : kOwners) {
    if (known.owned_by != owner) continue;
    const bool passed_on = known.runtime == Runtime::kVllm || known.runtime == Runtime::kSglang;
    if (!passed_on) return decide(FindingKind::kEngine, known.runtime, known.product);
    // Routers pass the owner of the models behind them on: their metrics tell them apart.
    finding_.runtime = known.runtime;
    finding_.product = known.product;
    step_ = Step::kConfirm;
    return;
  }
}

void Detection::on_ping(std::string_view body) {
  step_ = Step::kRoot;
  const auto ping = parse_json(body);
  if (ping && text_of(*ping, "status").ends_with("ealthy")) decide_engine(Runtime::kTorchserve);
}

void Detection::on_root(std::string_view body) {
  step_ = Step::kV2;
  if (body.find("SGLang is running") != std::string_view::npos) {
    return decide_engine(Runtime::kSglang);
  }
  // SGLang can be told to say this too, so it decides only after owned_by did not.
  if (body.find("Ollama is running") != std::string_view::npos) step_ = Step::kVersion;
}

void Detection::on_version(std::string_view body) {
  step_ = Step::kV2;
  const auto said = parse_json(body);
  if (said && !text_of(*said, "version").empty()) decide_engine(Runtime::kOllama);
}

void Detection::on_v2(std::string_view body) {
  step_ = Step::kProps;
  const auto server = parse_json(body);
  if (!server) return;
  const std::string_view name = text_of(*server, "name");
  for (const ServerName& known : kServerNames) {
    if (name.find(known.part) != std::string_view::npos) return decide_engine(known.runtime);
  }
  // Triton can be given another name.
  if (has_extension(*server, "binary_tensor_data") && has_extension(*server, "model_repository")) {
    decide_engine(Runtime::kTriton);
  }
}

void Detection::on_props(std::string_view body) {
  step_ = Step::kInfo;
  const auto props = parse_json(body);
  if (props && member(*props, "total_slots") != nullptr &&
      member(*props, "model_path") != nullptr) {
    decide_engine(Runtime::kLlamacpp);
  }
}

void Detection::on_info(std::string_view body) {
  step_ = Step::kServerInfo;
  const auto info = parse_json(body);
  if (info && member(*info, "router") != nullptr &&
      member(*info, "max_concurrent_requests") != nullptr) {
    return decide_engine(Runtime::kTgi);
  }
  if (maybe_tgi_) give_up();
}

void Detection::on_server_info(std::string_view body) {
  step_ = Step::kMetrics;
  const auto info = parse_json(body);
  if (!info) return;
  if (member(*info, "internal_states") != nullptr) return decide_engine(Runtime::kSglang);
  if (member(*info, "vllm_config") != nullptr) {
    finding_.runtime = Runtime::kVllm;
    finding_.product = "vllm";
    step_ = Step::kConfirm;
  }
}

void Detection::on_metrics(std::string_view page) {
  if (is_gateway_page(page)) return decide(FindingKind::kGateway, Runtime::kOpenai, "gateway");
  for (const MetricPrefix& known : kMetricPrefixes) {
    if (starts_line(page, known.prefix)) return decide_engine(known.runtime);
  }
  give_up();
}

void Detection::give_up() {
  if (lists_models_) return decide(FindingKind::kEngine, Runtime::kOpenai, "openai");
  decide(FindingKind::kNotEngine, Runtime::kOpenai, "");
}

}  // namespace infermesh::engines

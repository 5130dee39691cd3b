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
    Owner{"OVMS", Runtime::kOpenai, "openvino"},
    Owner{"Triton Inference Server", Runtime::kOpenai, "triton"},
    Owner{"library", Runtime::kOpenai, "ollama"},
};

// Metric names that only routers export; the first bytes of a line.
constexpr std::array<std::string_view, 6> kGatewayMetrics{
    "smg_", "vllm_router_", "vllm:healthy_pods_total", "vllm:router_", "litellm_", "infermesh_"};

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
    case Step::kRoot:
      return "/";
    case Step::kProps:
      return "/props";
    case Step::kServerInfo:
      return "/server_info";
    case Step::kConfirm:
    case Step::kMetrics:
      break;
  }
  return "/metrics";
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
    case Step::kRoot:
      return on_root(body);
    case Step::kProps:
      return on_props(body);
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
    return decide(FindingKind::kEngine, Runtime::kLlamacpp, "llama.cpp");
  }
  if (finding_.key_needed) lists_models_ = true;  // it has a list and will not show it
  if (answer.status != 200) return;
  const auto list = parse_json(answer.body);
  if (!list || array_of(*list, "data") == nullptr) return;
  lists_models_ = true;
  std::string_view id;
  const std::string_view owner = first_owner(*list, id);
  if (owner == "infermesh") return decide(FindingKind::kGateway, Runtime::kOpenai, "gateway");
  if (!owner.empty() && owner == id) return decide(FindingKind::kEngine, Runtime::kOpenai, "tgi");
  for (const Owner& known : kOwners) {
    if (known.owned_by != owner) continue;
    if (known.runtime == Runtime::kOpenai || known.runtime == Runtime::kLlamacpp) {
      return decide(FindingKind::kEngine, known.runtime, known.product);
    }
    // Routers pass the owner of the models behind them on: their metrics tell them apart.
    finding_.runtime = known.runtime;
    finding_.product = known.product;
    step_ = Step::kConfirm;
    return;
  }
}

void Detection::on_root(std::string_view body) {
  step_ = Step::kProps;
  // SGLang can be told to answer as Ollama does, so that text decides only after owned_by did not.
  if (body.find("SGLang is running") != std::string_view::npos) {
    return decide(FindingKind::kEngine, Runtime::kSglang, "sglang");
  }
  if (body.find("Ollama is running") != std::string_view::npos) {
    return decide(FindingKind::kEngine, Runtime::kOpenai, "ollama");
  }
}

void Detection::on_props(std::string_view body) {
  step_ = Step::kServerInfo;
  const auto props = parse_json(body);
  if (props && member(*props, "total_slots") != nullptr &&
      member(*props, "model_path") != nullptr) {
    decide(FindingKind::kEngine, Runtime::kLlamacpp, "llama.cpp");
  }
}

void Detection::on_server_info(std::string_view body) {
  step_ = Step::kMetrics;
  const auto info = parse_json(body);
  if (!info) return;
  if (member(*info, "internal_states") != nullptr) {
    return decide(FindingKind::kEngine, Runtime::kSglang, "sglang");
  }
  if (member(*info, "vllm_config") != nullptr) {
    finding_.runtime = Runtime::kVllm;
    finding_.product = "vllm";
    step_ = Step::kConfirm;
  }
}

void Detection::on_metrics(std::string_view page) {
  if (is_gateway_page(page)) return decide(FindingKind::kGateway, Runtime::kOpenai, "gateway");
  if (starts_line(page, "vllm:")) return decide(FindingKind::kEngine, Runtime::kVllm, "vllm");
  if (starts_line(page, "sglang:")) return decide(FindingKind::kEngine, Runtime::kSglang, "sglang");
  if (starts_line(page, "llamacpp:")) {
    return decide(FindingKind::kEngine, Runtime::kLlamacpp, "llama.cpp");
  }
  give_up();
}

void Detection::give_up() {
  if (lists_models_) return decide(FindingKind::kEngine, Runtime::kOpenai, "openai");
  decide(FindingKind::kNotEngine, Runtime::kOpenai, "");
}

}  // namespace infermesh::engines

#include "wire/engine/adapter.h"

#include <algorithm>

#include "wire/engine/json_read.h"

namespace infermesh::engines {
namespace {

std::optional<Tokens> context_of(const Json& model) {
  auto tokens = count_of(model, "max_model_len");
  const Json* meta = member(model, "meta");
  if (!tokens && meta != nullptr) tokens = count_of(*meta, "n_ctx");
  if (!tokens || *tokens == 0) return std::nullopt;
  return Tokens(static_cast<std::int64_t>(*tokens));
}

template <typename T>
void add_known(std::optional<T>& sum, const std::optional<T>& more) {
  if (!more) return;
  sum = sum.value_or(T{}) + *more;
  if constexpr (std::is_same_v<T, std::uint32_t>) sum = std::min<std::uint32_t>(*sum, INT32_MAX);
}

bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

}  // namespace

void add_model(std::vector<ServedModel>& models, ServedModel model) {
  if (model.name.empty() || models.size() >= kServedModelsMax) return;
  const auto same = [&](const ServedModel& known) { return known.name == model.name; };
  if (std::none_of(models.begin(), models.end(), same)) models.push_back(std::move(model));
}

std::string path_for(const Page& page, std::string_view model) {
  constexpr std::string_view kPlace = "{model}";
  constexpr std::string_view kHex = "0123456789ABCDEF";
  const std::size_t at = page.path.find(kPlace);
  if (at == std::string::npos) return page.path;
  std::string path = page.path.substr(0, at);
  for (const char c : model) {
    const auto byte = static_cast<unsigned char>(c);
    if (is_unreserved(c)) {
      path += c;
    } else {
      path += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return path + page.path.substr(at + kPlace.size());
}

void add_reading(LoadReading& sum, const LoadReading& reading) {
  EngineReport& into = sum.report;
  const EngineReport& from = reading.report;
  add_known(into.running, from.running);
  add_known(into.waiting, from.waiting);
  add_known(into.waiting_prompt_tokens, from.waiting_prompt_tokens);
  add_known(into.kv_tokens_total, from.kv_tokens_total);
  add_known(into.prefix_query_tokens, from.prefix_query_tokens);
  add_known(into.prefix_hit_tokens, from.prefix_hit_tokens);
  add_known(into.prompt_tokens, from.prompt_tokens);
  add_known(into.generation_tokens, from.generation_tokens);
  if (from.kv_used) into.kv_used = std::max(into.kv_used.value_or(0), *from.kv_used);
  into.read_at = from.read_at;
  add_known(sum.concurrency_max, reading.concurrency_max);
  add_known(sum.work_done, reading.work_done);
  if (reading.started_at) {
    sum.started_at = std::max(sum.started_at.value_or(0), *reading.started_at);
  }
}

const Adapter& adapter_of(Runtime runtime) {
  switch (runtime) {
    case Runtime::kVllm:
      return kVllmAdapter;
    case Runtime::kSglang:
      return kSglangAdapter;
    case Runtime::kLlamacpp:
      return kLlamacppAdapter;
    case Runtime::kTgi:
      return kTgiAdapter;
    case Runtime::kOllama:
      return kOllamaAdapter;
    case Runtime::kTriton:
      return kTritonAdapter;
    case Runtime::kMlserver:
      return kMlserverAdapter;
    case Runtime::kInfinity:
      return kInfinityAdapter;
    case Runtime::kTensorflowServing:
      return kTensorflowServingAdapter;
    case Runtime::kTorchserve:
      return kTorchserveAdapter;
    case Runtime::kOpenvino:
      return kOpenvinoAdapter;
    case Runtime::kOpenai:
    case Runtime::kDescribed:
      break;
  }
  return kOpenaiAdapter;
}

HealthVerdict read_health_status(const Answer& answer) {
  if (answer.status >= 200 && answer.status < 300) return {Health::kReady, {}};
  if (answer.status == 0) return {Health::kFailing, "it does not answer"};
  if (answer.status == 401 || answer.status == 403) {
    return {Health::kFailing, "it refuses the key (" + std::to_string(answer.status) +
                                  "): set api_key_env of the engine"};
  }
  return {Health::kFailing, "its health check answers " + std::to_string(answer.status)};
}

Result<std::vector<ServedModel>> read_model_list(std::string_view body) {
  const auto parsed = parse_json(body);
  if (!parsed) return std::unexpected(parsed.error());
  const auto* data = array_of(*parsed, "data");
  if (data == nullptr) {
    return fail(ErrorCode::kUpstreamBadResponse, "the model list has no array `data`");
  }
  std::vector<ServedModel> models;
  for (const Json& entry : *data) {
    const ServedModel model{std::string(text_of(entry, "id")),
                            std::string(text_of(entry, "parent")), context_of(entry)};
    if (model.name.empty()) continue;
    add_model(models, model);
    const auto* aliases = array_of(entry, "aliases");
    if (aliases == nullptr) continue;
    for (const Json& alias : *aliases) {
      if (!alias.is_string()) continue;
      const auto& name = alias.get_string();
      add_model(models, {std::string(name.data(), name.size()), model.parent, model.context_max});
    }
  }
  return models;
}

}  // namespace infermesh::engines

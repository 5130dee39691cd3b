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

void add_unless_known(std::vector<ServedModel>& models, ServedModel model) {
  if (model.name.empty() || models.size() >= kServedModelsMax) return;
  const auto same = [&](const ServedModel& known) { return known.name == model.name; };
  if (std::none_of(models.begin(), models.end(), same)) models.push_back(std::move(model));
}

}  // namespace

const Adapter& adapter_of(Runtime runtime) {
  switch (runtime) {
    case Runtime::kVllm:
      return kVllmAdapter;
    case Runtime::kSglang:
      return kSglangAdapter;
    case Runtime::kLlamacpp:
      return kLlamacppAdapter;
    default:
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
    add_unless_known(models, model);
    const auto* aliases = array_of(entry, "aliases");
    if (aliases == nullptr) continue;
    for (const Json& alias : *aliases) {
      if (!alias.is_string()) continue;
      const auto& name = alias.get_string();
      add_unless_known(models,
                       {std::string(name.data(), name.size()), model.parent, model.context_max});
    }
  }
  return models;
}

}  // namespace infermesh::engines

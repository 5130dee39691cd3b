// Servers of language and embedding models that little is told of: Text Generation Inference,
// Ollama and Infinity.
#include "wire/engine/described.h"
#include "wire/engine/json_read.h"

namespace infermesh::engines {
namespace {

// TGI serves one model, and /info has its name and its limits.
Result<std::vector<ServedModel>> read_tgi_models(std::string_view body) {
  const auto info = parse_json(body);
  if (!info) return std::unexpected(info.error());
  ServedModel model{std::string(text_of(*info, "model_id")), {}, std::nullopt};
  if (model.name.empty()) {
    return fail(ErrorCode::kUpstreamBadResponse, "/info has no model_id");
  }
  const auto tokens = count_of(*info, "max_total_tokens");
  if (tokens && *tokens > 0) model.context_max = Tokens(static_cast<std::int64_t>(*tokens));
  return std::vector{std::move(model)};
}

// The share of the cache is approximate: the tokens that the running batch may grow to.
Adapter tgi() {
  RuntimeObject object;
  object.health_path = "/health";
  object.identity_path = "/info";
  object.identity_concurrency_max = "/max_concurrent_requests";
  object.load_path = "/metrics";
  object.running = {"tgi_batch_current_size"};
  object.waiting = {"tgi_queue_size"};
  object.kv_used = {"tgi_batch_current_max_tokens / tgi_batch_max_total_tokens"};
  object.kv_tokens = {"tgi_batch_max_total_tokens"};
  object.prompt_tokens = {"tgi_request_input_length_sum"};
  object.generation_tokens = {"tgi_request_generated_tokens_sum"};
  Adapter adapter = described_adapter(Runtime::kTgi, "Text Generation Inference", object);
  adapter.models = {"/info"};
  adapter.read_models = read_tgi_models;
  return adapter;
}

// "llama3" is "llama3:latest" to Ollama, so both are served.
Result<std::vector<ServedModel>> read_ollama_tags(std::string_view body) {
  constexpr std::string_view kLatest = ":latest";
  const auto tags = parse_json(body);
  if (!tags) return std::unexpected(tags.error());
  const auto* entries = array_of(*tags, "models");
  if (entries == nullptr) {
    return fail(ErrorCode::kUpstreamBadResponse, "/api/tags has no array `models`");
  }
  std::vector<ServedModel> models;
  for (const Json& entry : *entries) {
    const std::string_view name = text_of(entry, "name");
    add_model(models, {std::string(name), {}, std::nullopt});
    if (!name.ends_with(kLatest)) continue;
    const std::string_view bare = name.substr(0, name.size() - kLatest.size());
    add_model(models, {std::string(bare), {}, std::nullopt});
  }
  return models;
}

Adapter ollama() {
  RuntimeObject object;
  object.health_path = "/api/version";
  object.identity_path = "/api/version";
  object.models_path = "/api/tags";
  Adapter adapter = described_adapter(Runtime::kOllama, "Ollama", object);
  adapter.read_models = read_ollama_tags;
  return adapter;
}

// Its model list carries the load. The queue counts texts: a request may bring many.
Adapter infinity() {
  RuntimeObject object;
  object.health_path = "/health";
  object.models_path = "/v1/models";
  object.load_path = "/v1/models";
  object.waiting = {"/data/*/stats/queue_absolute"};
  Adapter adapter = described_adapter(Runtime::kInfinity, "Infinity", object);
  adapter.load[0].port = Port::kMain;
  return adapter;
}

}  // namespace

const Adapter kTgiAdapter = tgi();
const Adapter kOllamaAdapter = ollama();
const Adapter kInfinityAdapter = infinity();

}  // namespace infermesh::engines

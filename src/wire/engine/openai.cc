// Anything else that answers GET /v1/models: healthy while it does; it tells no load, so the
// router's own count of what is in flight stands alone.
#include "wire/engine/adapter.h"

namespace infermesh::engines {
namespace {

Result<LoadReading> read_load(std::string_view, std::string_view, Instant) {
  return fail(ErrorCode::kUpstreamBadResponse, "an OpenAI server tells no load");
}

Result<Identity> read_identity(std::string_view) {
  return Identity{};
}

}  // namespace

const Adapter kOpenaiAdapter{
    .runtime = Runtime::kOpenai,
    .title = "OpenAI",
    .health = {"/v1/models"},
    .models = {"/v1/models"},
    .read_health = read_health_status,
    .read_models = read_model_list,
    .read_identity = read_identity,
    .read_load = read_load,
};

}  // namespace infermesh::engines

#include "wire/kserve/path.h"

#include <algorithm>
#include <array>

#include "wire/http/percent.h"

namespace infermesh::kserve {
namespace {

constexpr std::string_view kModels = "/v2/models/";

struct Named {
  std::string_view name;
  Call call;
};

constexpr std::array<Named, 5> kWhole{{{"/v2", Call::kServerMetadata},
                                       {"/v2/", Call::kServerMetadata},
                                       {"/v2/health/live", Call::kLive},
                                       {"/v2/health/ready", Call::kReady},
                                       {"/v2/repository/index", Call::kIndex}}};

constexpr std::array<std::string_view, 5> kServerOnly{
    "/v2/repository/models/", "/v2/systemsharedmemory", "/v2/cudasharedmemory", "/v2/trace/",
    "/v2/logging"};

// What follows the model and its version.
constexpr std::array<Named, 9> kOfModel{{{"", Call::kModelInfo},
                                         {"ready", Call::kModelInfo},
                                         {"config", Call::kModelInfo},
                                         {"stats", Call::kModelInfo},
                                         {"infer", Call::kInfer},
                                         {"infer_stream", Call::kInferStream},
                                         {"generate", Call::kGenerate},
                                         {"generate_stream", Call::kGenerateStream},
                                         {"trace/setting", Call::kServerOnly}}};

std::string_view take_segment(std::string_view& rest) {
  const auto slash = std::min(rest.find('/'), rest.size());
  const std::string_view segment = rest.substr(0, slash);
  rest.remove_prefix(std::min(slash + 1, rest.size()));
  return segment;
}

}  // namespace

std::optional<Target> parse_path(std::string_view path) {
  for (const Named& row : kWhole) {
    if (row.name == path) return Target{row.call, {}};
  }
  for (const std::string_view begin : kServerOnly) {
    if (path.starts_with(begin)) return Target{Call::kServerOnly, {}};
  }
  if (path == "/v2/models/stats") return Target{Call::kServerOnly, {}};
  if (!path.starts_with(kModels)) return std::nullopt;
  std::string_view rest = path.substr(kModels.size());
  const std::string_view model = take_segment(rest);
  if (model.empty()) return std::nullopt;
  if (rest.starts_with("versions/")) {
    take_segment(rest);
    if (take_segment(rest).empty()) return std::nullopt;
  }
  for (const Named& row : kOfModel) {
    if (row.name == rest) return Target{row.call, http::percent_decoded(model)};
  }
  return std::nullopt;
}

std::string with_model(std::string_view path, std::string_view model) {
  std::string_view rest = path.substr(kModels.size());
  rest.remove_prefix(std::min(rest.find('/'), rest.size()));
  return std::string(kModels).append(http::percent_encoded(model)).append(rest);
}

}  // namespace infermesh::kserve

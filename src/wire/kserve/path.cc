#include "wire/kserve/path.h"

#include <algorithm>
#include <array>

#include "wire/http/percent.h"

namespace infermesh::kserve {
namespace {

constexpr std::string_view kModels = "/v2/models/";
constexpr std::string_view kRepository = "/v2/repository/models/";
constexpr std::string_view kServing = "/v1/models/";  // TensorFlow's
constexpr std::array<std::string_view, 2> kTorch{"/predictions/", "/explanations/"};
constexpr std::array<std::string_view, 3> kVerbs{"predict", "classify", "regress"};

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

// M/load, M/unload
std::optional<Target> parse_control(std::string_view rest) {
  const auto slash = rest.find('/');
  if (slash == 0 || slash == std::string_view::npos) return std::nullopt;
  const std::string_view what = rest.substr(slash + 1);
  if (what != "load" && what != "unload") return std::nullopt;
  return Target{Call::kControl, http::percent_decoded(rest.substr(0, slash))};
}

std::string_view take_segment(std::string_view& rest) {
  const auto slash = std::min(rest.find('/'), rest.size());
  const std::string_view segment = rest.substr(0, slash);
  rest.remove_prefix(std::min(slash + 1, rest.size()));
  return segment;
}

}  // namespace

std::optional<Target> parse_path(std::string_view path) {
  if (path.starts_with(kRepository)) {
    if (auto control = parse_control(path.substr(kRepository.size()))) return control;
  }
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

std::optional<PredictTarget> parse_predict_path(std::string_view path) {
  for (const std::string_view begin : kTorch) {
    if (!path.starts_with(begin)) continue;
    std::string_view rest = path.substr(begin.size());
    const std::string_view model = take_segment(rest);
    if (model.empty() || rest.contains('/')) return std::nullopt;
    return PredictTarget{Api::kPredictions, http::percent_decoded(model)};
  }
  const auto colon = path.rfind(':');
  if (!path.starts_with(kServing) || colon == std::string_view::npos) return std::nullopt;
  if (std::ranges::find(kVerbs, path.substr(colon + 1)) == kVerbs.end()) return std::nullopt;
  if (colon < kServing.size()) return std::nullopt;
  std::string_view rest = path.substr(kServing.size(), colon - kServing.size());
  const std::string_view model = take_segment(rest);
  if (model.empty()) return std::nullopt;
  if (!rest.empty()) {
    const std::string_view kind = take_segment(rest);
    const bool version = kind == "versions" || kind == "labels";
    if (!version || rest.empty() || rest.contains('/')) return std::nullopt;
  }
  return PredictTarget{Api::kPredict, http::percent_decoded(model)};
}

std::string with_model(std::string_view path, std::string_view model) {
  std::size_t begin = 0;
  for (const std::string_view prefix : {kModels, kRepository, kServing, kTorch[0], kTorch[1]}) {
    if (path.starts_with(prefix)) begin = prefix.size();
  }
  auto end = std::min(path.find('/', begin), path.size());
  // Of TensorFlow's the verb follows the model at once when no version is named.
  if (path.starts_with(kServing) && end == path.size()) end = std::min(path.rfind(':'), end);
  return std::string(path.substr(0, begin))
      .append(http::percent_encoded(model))
      .append(path.substr(end));
}

}  // namespace infermesh::kserve

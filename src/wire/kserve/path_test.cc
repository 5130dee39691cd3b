#include "wire/kserve/path.h"

#include <gtest/gtest.h>

namespace infermesh::kserve {
namespace {

TEST(KservePath, NamesTheCallAndTheModel) {
  struct Case {
    std::string_view path;
    Call call;
    std::string_view model;
  };
  const Case cases[]{
      {"/v2", Call::kServerMetadata, ""},
      {"/v2/health/live", Call::kLive, ""},
      {"/v2/health/ready", Call::kReady, ""},
      {"/v2/repository/index", Call::kIndex, ""},
      {"/v2/models/m", Call::kModelInfo, "m"},
      {"/v2/models/m/ready", Call::kModelInfo, "m"},
      {"/v2/models/m/versions/3", Call::kModelInfo, "m"},
      {"/v2/models/m/versions/v1.2/config", Call::kModelInfo, "m"},
      {"/v2/models/m/stats", Call::kModelInfo, "m"},
      {"/v2/models/bert.base/infer", Call::kInfer, "bert.base"},
      {"/v2/models/org%2Fm%201/infer", Call::kInfer, "org/m 1"},
      {"/v2/models/m%2541/infer", Call::kInfer, "m%41"},
      {"/v2/models/m/versions/1/infer", Call::kInfer, "m"},
      {"/v2/models/m/infer_stream", Call::kInferStream, "m"},
      {"/v2/models/m/generate", Call::kGenerate, "m"},
      {"/v2/models/m/versions/9/generate_stream", Call::kGenerateStream, "m"},
      {"/v2/models/stats", Call::kServerOnly, ""},
      {"/v2/models/m/trace/setting", Call::kServerOnly, "m"},
      {"/v2/repository/models/m%2Fn/load", Call::kControl, "m/n"},
      {"/v2/repository/models/m/unload", Call::kControl, "m"},
      {"/v2/repository/models/m/other", Call::kServerOnly, ""},
      {"/v2/systemsharedmemory/status", Call::kServerOnly, ""},
      {"/v2/cudasharedmemory/region/r/register", Call::kServerOnly, ""},
      {"/v2/trace/setting", Call::kServerOnly, ""},
      {"/v2/logging", Call::kServerOnly, ""},
  };
  for (const Case& c : cases) {
    const auto target = parse_path(c.path);
    ASSERT_TRUE(target) << c.path;
    EXPECT_EQ(target->call, c.call) << c.path;
    EXPECT_EQ(target->model, c.model) << c.path;
  }
}

TEST(KservePath, OthersAreNoneOfIt) {
  for (const std::string_view path :
       {"/v2/models", "/v2/models/", "/v2/models//infer", "/v2/models/m/other", "/v2/rerank",
        "/v2/health", "/v2x", "/v2/models/m/versions/", "/v2/models/m/versions//infer",
        "/v2/models/m/infer/x"}) {
    EXPECT_FALSE(parse_path(path)) << path;
  }
}

TEST(KservePath, ARenamedModelChangesItsSegmentAlone) {
  EXPECT_EQ(with_model("/v2/models/m/versions/3/infer", "org/n 1"),
            "/v2/models/org%2Fn%201/versions/3/infer");
  EXPECT_EQ(with_model("/v2/models/m", "n"), "/v2/models/n");
  EXPECT_EQ(with_model("/v2/repository/models/m/load", "n"), "/v2/repository/models/n/load");
}

TEST(PredictPath, NamesTheProtocolAndTheModel) {
  struct Case {
    std::string_view path;
    Api api;
    std::string_view model;
    std::string_view renamed;  // to "x y"
  };
  const Case cases[]{
      {"/v1/models/m:predict", Api::kPredict, "m", "/v1/models/x%20y:predict"},
      {"/v1/models/a%2Fb:classify", Api::kPredict, "a/b", "/v1/models/x%20y:classify"},
      {"/v1/models/a:b:regress", Api::kPredict, "a:b", "/v1/models/x%20y:regress"},
      {"/v1/models/m/versions/3:predict", Api::kPredict, "m",
       "/v1/models/x%20y/versions/3:predict"},
      {"/v1/models/m/labels/canary:predict", Api::kPredict, "m",
       "/v1/models/x%20y/labels/canary:predict"},
      {"/predictions/m", Api::kPredictions, "m", "/predictions/x%20y"},
      {"/predictions/m/2.0", Api::kPredictions, "m", "/predictions/x%20y/2.0"},
      {"/explanations/m", Api::kPredictions, "m", "/explanations/x%20y"},
  };
  for (const Case& c : cases) {
    const auto target = parse_predict_path(c.path);
    ASSERT_TRUE(target) << c.path;
    EXPECT_EQ(target->api, c.api) << c.path;
    EXPECT_EQ(target->model, c.model) << c.path;
    EXPECT_EQ(with_model(c.path, "x y"), c.renamed);
  }
  for (const std::string_view path :
       {"/v1/models/m", "/v1/models/m:other", "/v1/models/:predict", "/v1/models/m/other/3:predict",
        "/v1/models/m/versions/:predict", "/v1/models/m/versions/3/x:predict", "/v1:predict",
        "/predictions/", "/predictions//1", "/predictions/m/1/2", "/predictions"}) {
    EXPECT_FALSE(parse_predict_path(path)) << path;
  }
}

}  // namespace
}  // namespace infermesh::kserve

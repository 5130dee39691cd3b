// The routes of TensorFlow Serving and TorchServe: the path names the model, the body is the
// engine's.
#include <gtest/gtest.h>

#include "data/server/testing_mesh.h"

namespace infermesh::data {
namespace {

struct PredictMesh : TestMesh {
  explicit PredictMesh(Runtime runtime, std::size_t count = 1) : TestMesh(count) {
    for (auto& endpoint : view.endpoints) {
      endpoint->runtime = runtime;
      endpoint->apis = apis_of(runtime);
    }
    publish();
  }
};

TEST(Predict, OfTensorflowServingGoesToItsEnginesAsItIs) {
  PredictMesh mesh(Runtime::kTensorflowServing);
  mesh.engine().answers(json_answer(R"({"predictions":[3.0]})"));
  const std::string body = R"({"instances":[1.0]})";
  std::size_t asked = 0;
  for (const char* path : {"/v1/models/m:predict", "/v1/models/m/versions/3:classify",
                           "/v1/models/m/labels/stable:regress"}) {
    const TestAnswer answer = mesh.ask(post(path, body));
    EXPECT_EQ(answer.status, 200) << answer.body;
    EXPECT_EQ(answer.body, R"({"predictions":[3.0]})");
    const auto& heard = mesh.engine().requests.at(asked++);
    EXPECT_TRUE(heard.head.starts_with(fmt::format("POST {} ", path))) << heard.head;
    EXPECT_EQ(heard.body, body);
  }
  EXPECT_TRUE(mesh.counted(R"(infermesh_requests_total{model="m",api="predict",code="200"} 3)"));
  const TestAnswer unknown = mesh.ask(post("/v1/models/none:predict", body));
  EXPECT_EQ(unknown.status, 404);
  EXPECT_TRUE(unknown.body.starts_with(R"({"error":"The model 'none')")) << unknown.body;
  mesh.engine().answers(json_answer(R"({"error":"bad shape"})", 400));
  EXPECT_EQ(mesh.ask(post("/v1/models/m:predict", body)).body, R"({"error":"bad shape"})");
}

TEST(Predict, OfTorchserveTakesAnyBodyAndAnswersInItsForm) {
  PredictMesh mesh(Runtime::kTorchserve);
  mesh.add_model("pets", "densenet161");
  mesh.engine().answers(
      "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 3\r\n\r\ncat");
  const std::string picture("\xff\xd8{\"id\":", 8);
  const TestAnswer answer = mesh.ask(post("/predictions/pets/2.0", picture));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "cat");
  EXPECT_TRUE(mesh.engine().requests[0].head.starts_with("POST /predictions/densenet161/2.0 "));
  EXPECT_EQ(mesh.engine().requests[0].body, picture);
  std::string put = post("/predictions/m", picture);
  put.replace(0, 4, "PUT");
  EXPECT_EQ(mesh.ask(put).status, 200) << "as curl -T sends it";
  EXPECT_TRUE(mesh.engine().requests[1].head.starts_with("PUT /predictions/m "));
  const TestAnswer unknown = mesh.ask(post("/predictions/none", picture));
  EXPECT_EQ(unknown.status, 404);
  EXPECT_TRUE(unknown.body.starts_with(R"({"code":404,"type":"model_not_found","message":"The)"))
      << unknown.body;
  mesh.engine().answers(
      json_answer(R"({"code":507,"type":"InternalServerException","message":"worker died"})", 507));
  const TestAnswer failed = mesh.ask(post("/predictions/m", picture));
  EXPECT_EQ(failed.status, 507);
  EXPECT_TRUE(failed.has(R"("message":"worker died")")) << failed.body;
  EXPECT_EQ(mesh.ask("GET /predictions/m HTTP/1.1\r\nhost: x\r\n\r\n").status, 405);
}

TEST(Predict, IsAskedOfNoOtherEngine) {
  TestMesh mesh;
  EXPECT_EQ(mesh.ask(post("/v1/models/m:predict", "{}")).status, 400);
  EXPECT_EQ(mesh.ask(post("/predictions/m", "{}")).status, 400);
  EXPECT_EQ(mesh.engine().asked(), 0u);
  mesh.add_model("m:predict", "m");
  const TestAnswer listed = mesh.ask("GET /v1/models/m:predict HTTP/1.1\r\nhost: x\r\n\r\n");
  EXPECT_TRUE(listed.has(R"("id":"m:predict")")) << "a GET is OpenAI's: " << listed.body;
}

}  // namespace
}  // namespace infermesh::data

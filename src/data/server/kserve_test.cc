// KServe v2 over REST: routed by the path, bodies passed as they are.
#include <gtest/gtest.h>

#include "data/server/testing_mesh.h"

namespace infermesh::data {
namespace {

const std::string kTensorJson =
    R"({"inputs":[{"name":"x","shape":[2],"datatype":"FP32","parameters":{"binary_data_size":8}}]})";
const std::string kTensorBytes("\0\0\x80\x3f\xff\0\r\n", 8);

std::string tensor_head() {
  return fmt::format(
      "content-type: application/octet-stream\r\nInference-Header-Content-Length: {}\r\n",
      kTensorJson.size());
}

std::string binary_answer(std::string_view body) {
  return fmt::format(
      "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\n"
      "Inference-Header-Content-Length: 7\r\ncontent-length: {}\r\n\r\n{}",
      body.size(), body);
}

std::string get(std::string_view path) {
  return fmt::format("GET {} HTTP/1.1\r\nhost: x\r\n\r\n", path);
}

// Its engines serve KServe, too.
struct KserveMesh : TestMesh {
  explicit KserveMesh(std::size_t count = 1, const config::Settings& given = {})
      : TestMesh(count, given) {
    for (std::size_t i = 0; i < count; ++i) {
      endpoint(i).apis = endpoint(i).apis | apis_of(Runtime::kTriton);
    }
    publish();
  }
};

TEST(Kserve, BinaryTensorsPassByteForByteBothWays) {
  KserveMesh mesh;
  const std::string said = R"({"a":1})" + std::string("\0\xff\n", 3);
  mesh.engine().answers(binary_answer(said));
  const std::string body = kTensorJson + kTensorBytes;
  const TestAnswer answer = mesh.ask(post("/v2/models/m/versions/1/infer", body, tensor_head()));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, said);
  EXPECT_EQ(answer.header("inference-header-content-length"), "7");
  EXPECT_EQ(answer.header("content-type"), "application/octet-stream");
  const auto& heard = mesh.engine().requests.at(0);
  EXPECT_EQ(heard.body, body);
  EXPECT_NE(heard.head.find("POST /v2/models/m/versions/1/infer HTTP/1.1"), std::string::npos);
  EXPECT_NE(
      heard.head.find(fmt::format("Inference-Header-Content-Length: {}\r\n", kTensorJson.size())),
      std::string::npos);
  EXPECT_NE(heard.head.find(fmt::format("content-length: {}\r\n", body.size())), std::string::npos);
  EXPECT_TRUE(mesh.counted(R"(infermesh_requests_total{model="m",api="infer",code="200"} 1)"))
      << mesh.metrics_text();
}

TEST(Kserve, TheModelOfThePathIsDecodedOnceAndRenamedWhereTheEnginesCallItOtherwise) {
  KserveMesh mesh;
  mesh.add_model("org/m.1", "tiny 2");
  mesh.engine().answers(json_answer(R"({"model_name":"tiny 2"})"));
  const TestAnswer answer = mesh.ask(post("/v2/models/org%2Fm.1/infer", "{}"));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, R"({"model_name":"tiny 2"})") << "answers are not read";
  EXPECT_NE(mesh.engine().requests.at(0).head.find("POST /v2/models/tiny%202/infer "),
            std::string::npos);
}

TEST(Kserve, ErrorsAreOneText) {
  KserveMesh mesh;
  const TestAnswer unknown = mesh.ask(post("/v2/models/other/infer", "{}"));
  EXPECT_EQ(unknown.status, 404);
  EXPECT_TRUE(unknown.body.starts_with(R"({"error":"The model 'other' is not served here.)"))
      << unknown.body;
  const TestAnswer path = mesh.ask(post("/v2/models/m/other", "{}"));
  EXPECT_EQ(path.status, 404);
  EXPECT_TRUE(path.body.starts_with(R"({"error":"There is no route)")) << path.body;
  const TestAnswer method = mesh.ask(get("/v2/models/m/infer"));
  EXPECT_EQ(method.status, 405);
  EXPECT_EQ(method.header("allow"), "POST");
  mesh.engine().answers(json_answer(R"({"error":"bad shape"})", 400));
  const TestAnswer engine = mesh.ask(post("/v2/models/m/infer", "{}"));
  EXPECT_EQ(engine.status, 400);
  EXPECT_EQ(engine.body, R"({"error":"bad shape"})");
}

TEST(Kserve, OnlyEnginesThatServeItAreAsked) {
  KserveMesh mesh(2);
  mesh.endpoint(0).apis = apis_of(Runtime::kVllm);
  mesh.publish();
  mesh.engine(1).answers(json_answer("{}"));
  EXPECT_EQ(mesh.ask(post("/v2/models/m/infer", "{}")).header("x-infermesh-engine"), "e1");
  mesh.endpoint(1).apis = apis_of(Runtime::kVllm);
  mesh.publish();
  const TestAnswer none = mesh.ask(post("/v2/models/m/infer", "{}"));
  EXPECT_EQ(none.status, 400);
  EXPECT_TRUE(none.body.starts_with(R"({"error":"No engine of 'm')")) << none.body;
}

TEST(Kserve, MetadataAndReadinessOfAModelAreItsEngines) {
  KserveMesh mesh;
  mesh.engine().answers(json_answer(R"({"name":"m"})"));
  TestClient client = mesh.connect();
  client.send(get("/v2/models/m/versions/2/config"));
  EXPECT_EQ(client.answer().body, R"({"name":"m"})");
  const std::string& head = mesh.engine().requests.at(0).head;
  EXPECT_TRUE(head.starts_with("GET /v2/models/m/versions/2/config HTTP/1.1")) << head;
  EXPECT_EQ(head.find("content-length"), std::string::npos);
  EXPECT_EQ(head.find("transfer-encoding"), std::string::npos);
  mesh.engine().answers("HTTP/1.1 400 Bad\r\ncontent-length: 0\r\n\r\n");
  client.send(get("/v2/models/m/ready"));
  EXPECT_EQ(client.answer().status, 400);
  mesh.engine().answers("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
  client.send(get("/v2/models/m/ready"));
  EXPECT_EQ(client.answer().status, 200);
}

TEST(Kserve, AGeneratedStreamEndsWithItsBody) {
  KserveMesh mesh;
  const std::string first = "data: {\"text_output\":\"a\"}\n\n",
                    second = "data: {\"text_output\":\"b\"}\n\n";
  mesh.engine().answers(sse_answer({first, second}));
  const TestAnswer answer =
      mesh.ask(post("/v2/models/m/generate_stream", R"({"text_input":"hello"})"));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, first + second);
  EXPECT_TRUE(answer.whole);
  EXPECT_EQ(mesh.engine().requests.at(0).body, R"({"text_input":"hello"})");
  EXPECT_TRUE(mesh.outcomes.empty()) << "no failure";
}

TEST(Kserve, AnErrorInAStreamIsPassedAndCountsAsOne) {
  KserveMesh mesh;
  mesh.engine().answers(
      sse_answer({"data: {\"text_output\":\"a\"}\n\n", "data: {\"error\":\"out of memory\"}\n\n"}));
  const TestAnswer answer =
      mesh.ask(post("/v2/models/m/generate_stream", R"({"text_input":"hello"})"));
  EXPECT_TRUE(answer.has("data: {\"error\":\"out of memory\"}\n\n")) << answer.body;
  EXPECT_FALSE(answer.whole);
  ASSERT_EQ(mesh.outcomes.size(), 1u);
  EXPECT_TRUE(is_failure(mesh.outcomes[0].kind));
}

TEST(Kserve, AStreamCutShortIsNotWhole) {
  KserveMesh mesh;
  mesh.engine().plays([](TestWire& wire) -> port::Task<void> {
    co_await wire.write(kSseHead + chunk("data: {\"text_output\":\"a\"}\n\n"));
    wire.close();
  });
  const TestAnswer answer =
      mesh.ask(post("/v2/models/m/generate_stream", R"({"text_input":"hello"})"));
  EXPECT_FALSE(answer.whole);
  EXPECT_TRUE(answer.has("\"error\":")) << answer.body;
}

TEST(Kserve, TextInputIsWhatPrefixesAreMadeOf) {
  KserveMesh mesh;
  mesh.engine().answers(json_answer(R"({"text_output":"a"})"));
  const std::string text(2000, 'x');
  const std::string body = fmt::format(R"({{"text_input":"{}"}})", text);
  EXPECT_EQ(mesh.ask(post("/v2/models/m/generate", body, "x-request-id: r\r\n")).status, 200);
  EXPECT_EQ(mesh.shard.decisions.find("r")->facts.prompt_tokens, Tokens(500));
}

TEST(Kserve, RequestsOfASequenceKeepToOneEngine) {
  KserveMesh mesh(3);
  mesh.view.pools[0].policy.policy = PolicyKind::kSession;
  mesh.view.pools[0].policy.session_body_key = "sequence_id";
  mesh.publish();
  for (std::size_t i = 0; i < 3; ++i) mesh.engine(i).answers(json_answer("{}"));
  std::string engine;
  for (int i = 0; i < 6; ++i) {
    const std::string body =
        R"({"id":")" + std::to_string(i) + R"(","parameters":{"sequence_id":77}})";
    const TestAnswer answer = mesh.ask(post("/v2/models/m/infer", body));
    if (i == 0) engine = answer.header("x-infermesh-engine");
    EXPECT_EQ(answer.header("x-infermesh-engine"), engine);
  }
}

TEST(Kserve, AShortUploadIsTriedElsewhereALongOneSaysWhyNot) {
  for (const std::size_t size : {std::size_t{100'000}, std::size_t{3} << 20}) {
    KserveMesh mesh(2);
    mesh.engine(0).plays(
        [](TestWire& wire) -> port::Task<void> {
          co_await wire.take_body();
          wire.reset();
        },
        TestEngine::Body::kLeave);
    mesh.engine(1).answers(json_answer("{}"));
    TestClient client = mesh.connect();
    client.send(post("/v2/models/m/infer", std::string(size, 'x'), "x-request-id: r\r\n"));
    const TestAnswer answer = client.answer();
    const bool held = size < (1 << 20);
    EXPECT_EQ(answer.status, held ? 200 : 502) << answer.body;
    const DecisionRecord* record = mesh.shard.decisions.find("r");
    ASSERT_NE(record, nullptr);
    EXPECT_EQ(record->attempts.at(0).retry, held ? "retry" : "body_gone");
    if (!held) continue;
    EXPECT_EQ(mesh.engine(1).requests.at(0).body, std::string(size, 'x'));
  }
}

TEST(Kserve, UploadsHaveALimitOfTheirOwn) {
  config::Settings settings;
  settings.body_bytes_max = 1000;
  settings.upload_bytes_max = 5000;
  KserveMesh mesh(1, settings);
  mesh.engine().answers(json_answer("{}"));
  EXPECT_EQ(mesh.ask(post("/v2/models/m/infer", std::string(5000, 'x'))).status, 200);
  const TestAnswer large = mesh.ask(post("/v2/models/m/infer", std::string(5001, 'x')));
  EXPECT_EQ(large.status, 413);
  EXPECT_TRUE(large.has("upload_bytes_max")) << large.body;
}

TEST(Kserve, TheMeshAnswersAsOneServer) {
  KserveMesh mesh(2);
  mesh.add_model("n", "m");
  TestClient client = mesh.connect();
  client.send(get("/v2"));
  const TestAnswer metadata = client.answer();
  EXPECT_TRUE(metadata.has(R"("name":"infermesh")") && metadata.has("binary_tensor_data"));
  client.send(get("/v2/health/live"));
  EXPECT_EQ(client.answer().status, 200);
  client.send(get("/v2/health/ready"));
  EXPECT_EQ(client.answer().status, 200);
  client.send(post("/v2/repository/index", R"({"ready":true})"));
  EXPECT_EQ(client.answer().body, R"([{"name":"m","version":"","state":"READY","reason":""},)"
                                  R"({"name":"n","version":"","state":"READY","reason":""}])");
  for (std::size_t i = 0; i < 2; ++i) mesh.endpoint(i).state = EndpointState::kDown;
  mesh.publish();
  client.send(get("/v2/health/ready"));
  const TestAnswer down = client.answer();
  EXPECT_EQ(down.status, 503);
  EXPECT_TRUE(down.body.starts_with(R"({"error":")")) << down.body;
  client.send(post("/v2/repository/index", R"({"ready":true})"));
  EXPECT_EQ(client.answer().body, "[]");
  client.send(post("/v2/repository/index", ""));
  EXPECT_TRUE(client.answer().has(R"("state":"UNAVAILABLE")"));
}

TEST(Kserve, CallsThatActOnOneServerAreRefusedByName) {
  KserveMesh mesh;
  for (const char* path : {"/v2/repository/models/m/other", "/v2/systemsharedmemory/status",
                           "/v2/cudasharedmemory/region/r/register", "/v2/trace/setting",
                           "/v2/models/m/trace/setting", "/v2/logging", "/v2/models/stats"}) {
    const TestAnswer answer = mesh.ask(post(path, "{}"));
    EXPECT_EQ(answer.status, 403) << path;
    EXPECT_TRUE(answer.body.starts_with(R"({"error":"This call acts on one server)"))
        << answer.body;
  }
  EXPECT_EQ(mesh.engine().asked(), 0u);
}

// An engine that says what it was asked.
void tells(TestEngine& engine) {
  engine.answers("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: a/b\r\n\r\nok");
}

TEST(KserveControl, IsRefusedUnlessTheOperatorLetsItThrough) {
  KserveMesh mesh;
  const TestAnswer answer = mesh.ask(post("/v2/repository/models/m/load", "{}"));
  EXPECT_EQ(answer.status, 403);
  EXPECT_TRUE(answer.has("model_control")) << answer.body;
  EXPECT_EQ(mesh.engine().asked(), 0u);
}

TEST(KserveControl, GoesToTheOneEngineOrToTheNamedOne) {
  config::Settings settings;
  settings.model_control = true;
  KserveMesh mesh(2, settings);
  tells(mesh.engine(0));
  tells(mesh.engine(1));
  const TestAnswer unclear = mesh.ask(post("/v2/repository/models/m/load", ""));
  EXPECT_EQ(unclear.status, 400);
  EXPECT_TRUE(unclear.has("name it in the header x-infermesh-engine (e0, e1)")) << unclear.body;
  const TestAnswer unknown =
      mesh.ask(post("/v2/repository/models/m/load", "", "x-infermesh-engine: e9\r\n"));
  EXPECT_EQ(unknown.status, 400);
  EXPECT_TRUE(unknown.has("e0, e1")) << unknown.body;
  mesh.endpoint(1).state =
      EndpointState::kJoining;  // it serves nothing yet: that is what it is for
  mesh.publish();
  const std::string body = R"({"parameters":{"config":"{}"}})";
  const TestAnswer named =
      mesh.ask(post("/v2/repository/models/new/load", body, "x-infermesh-engine: e1\r\n"));
  EXPECT_EQ(named.status, 200);
  EXPECT_EQ(named.body, "ok");
  EXPECT_EQ(named.header("content-type"), "a/b");
  EXPECT_EQ(named.header("x-infermesh-engine"), "e1");
  EXPECT_EQ(mesh.engine(0).asked(), 0u);
  ASSERT_EQ(mesh.engine(1).asked(), 1u);
  EXPECT_EQ(mesh.engine(1).requests[0].body, body);
  EXPECT_TRUE(mesh.engine(1).requests[0].head.starts_with("POST /v2/repository/models/new/load "));
}

TEST(KserveControl, SaysWhatTheEngineSaysAndWhenItDoesNot) {
  config::Settings settings;
  settings.model_control = true;
  settings.total_timeout = 10min;
  KserveMesh mesh(1, settings);
  mesh.add_model("old", "served");
  mesh.engine().answers(json_answer(R"({"error":"no such model"})", 400));
  const TestAnswer refused = mesh.ask(post("/v2/repository/models/old/unload", "{}"));
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(refused.body, R"({"error":"no such model"})");
  EXPECT_TRUE(mesh.engine().requests[0].head.contains("/models/served/unload"));
  mesh.engine().plays([](TestWire& wire) -> port::Task<void> {
    co_await wire.sleep(5min);
    co_await wire.write(json_answer("{}"));
  });
  EXPECT_EQ(mesh.ask(post("/v2/repository/models/m/load", "{}"), 6min).status, 200)
      << "loading takes its time";
  mesh.engine().plays([](TestWire& wire) -> port::Task<void> { co_await wire.sleep(11min); });
  EXPECT_EQ(mesh.ask(post("/v2/repository/models/m/load", "{}"), 11min).status, 504);
  mesh.engine().plays([](TestWire& wire) -> port::Task<void> {
    wire.reset();
    co_return;
  });
  EXPECT_EQ(mesh.ask(post("/v2/repository/models/m/load", "{}")).status, 502);
  const std::string long_body(70'000, 'x');
  EXPECT_EQ(mesh.ask(post("/v2/repository/models/m/load", long_body)).status, 413);
}

}  // namespace
}  // namespace infermesh::data

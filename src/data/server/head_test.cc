// HEAD: what GET would answer, without its body, on either protocol.
#include <gtest/gtest.h>

#include "data/server/testing_http2.h"
#include "data/server/testing_mesh.h"

namespace infermesh::data {
namespace {

std::string request(std::string_view method, std::string_view path) {
  return fmt::format("{} {} HTTP/1.1\r\nhost: x\r\nx-request-id: r\r\n\r\n", method, path);
}

void serve_kserve(TestMesh& mesh) {
  mesh.endpoint(0).runtime = Runtime::kTriton;
  mesh.endpoint(0).apis = apis_of(Runtime::kTriton);
  mesh.publish();
}

TEST(Head, IsTheHeadOfGetAndTheConnectionGoesOn) {
  for (const char* path : {"/v1/models", "/v1/models/m", "/v1/models/none", "/nothing",
                           "/v1/chat/completions", "/v2", "/v2/health/ready", "/api/tags"}) {
    TestMesh mesh;
    TestClient client = mesh.connect();
    client.send(request("GET", path));
    const TestAnswer get = client.answer();
    ASSERT_GT(get.status, 0) << path;
    client.send(request("HEAD", path));
    mesh.world.settle();
    const std::string head = client.read();
    const bool method = path == std::string_view("/v1/chat/completions");  // its text tells which
    if (!method) EXPECT_EQ(head, get.head) << path;
    EXPECT_TRUE(head.ends_with("\r\n\r\n")) << path << ": " << head;
    EXPECT_EQ(head.find("\r\n\r\n"), head.size() - 4) << path << ": " << head;
    client.input.clear();
    client.send(request("GET", "/v1/models"));
    EXPECT_EQ(client.answer().status, 200) << path << ": nothing of a body is on the way";
  }
}

TEST(Head, OfWhatAnEngineAnswersIsAskedOfItByGet) {
  TestMesh mesh;
  serve_kserve(mesh);
  for (const bool chunked : {false, true}) {
    mesh.engine().answers(
        chunked ? "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
                : json_answer("{}"));
    TestClient client = mesh.connect();
    client.send(request("HEAD", "/v2/models/m"));
    mesh.world.settle();
    const std::string head = client.read();
    EXPECT_TRUE(head.starts_with("HTTP/1.1 200 ")) << head;
    EXPECT_EQ(head.find("\r\n\r\n"), head.size() - 4) << head;
    EXPECT_TRUE(mesh.engine().requests.back().head.starts_with("GET /v2/models/m "));
    client.input.clear();
    client.send(request("GET", "/v1/models"));
    EXPECT_EQ(client.answer().status, 200);
  }
}

TEST(Head, HasNoDataOverHttp2) {
  TestMesh mesh;
  Http2Client client(mesh.world);
  client.greet();
  std::uint32_t stream = 1;
  for (const char* path : {"/v1/models", "/nothing"}) {
    client.send(frame(kHeaders, kEndHeaders | kEndStream, stream, head_of("HEAD", path)));
    auto& answer = client.wait(stream);
    EXPECT_TRUE(answer.ended) << path;
    EXPECT_EQ(answer.body, "") << path;
    EXPECT_NE(answer.head["content-length"], "0") << path;
    stream += 2;
  }
  client.get(stream, "/v1/models");
  EXPECT_EQ(client.wait(stream).status(), 200);
}

}  // namespace
}  // namespace infermesh::data

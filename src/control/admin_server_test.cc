#include "control/admin_server.h"

#include <gtest/gtest.h>

#include <string>

#include "port/fake/world.h"

namespace infermesh::control {
namespace {

using port::IoStatus;
using port::fake::World;

constexpr std::string_view kGetEcho = "GET /echo?a=1 HTTP/1.1\r\nhost: admin\r\n\r\n";

// A client that sends text and keeps what comes back.
struct Client {
  port::StreamPtr stream;
  std::string got;
  bool closed = false;
};

struct Scene {
  World world;
  std::unique_ptr<port::Listener> listener;
  std::unique_ptr<AdminServer> server;
  std::vector<std::unique_ptr<Client>> clients;

  explicit Scene(AdminLimits limits = {}) {
    listener = *world.network().listen("127.0.0.1", 6401);
    server = std::make_unique<AdminServer>(world.loop(), routes(), limits);
    world.spawn(server->serve(*listener));
  }
  ~Scene() {
    clients.clear();
    listener->close();
    server->stop();
    world.run_for(60s);
  }

  static std::vector<AdminRoute> routes() {
    const auto echo = answer_with([](const AdminRequest& request) {
      return AdminReply{
          200, "text/plain",
          request.method + "|" + request.query + "|" + request.name + "|" + request.body, ""};
    });
    return {
        {"GET", "/echo", echo}, {"POST", "/echo", echo}, {"POST", "/things/{name}/drain", echo}};
  }

  Client& connect() {
    auto connected = world.run(world.loop().connect("127.0.0.1", 6401, world.now() + 1s));
    clients.push_back(std::make_unique<Client>());
    clients.back()->stream = std::move(*connected);
    world.spawn(listen_to(*clients.back()));
    return *clients.back();
  }

  static port::Task<void> listen_to(Client& client) {
    std::array<char, 4096> bytes;
    while (true) {
      const auto got = client.stream->try_read(bytes);
      if (got.status == IoStatus::kOk) {
        client.got.append(bytes.data(), got.bytes);
        continue;
      }
      if (got.status != IoStatus::kWouldBlock) break;
      if (co_await client.stream->readable() == IoStatus::kCancelled) co_return;
    }
    client.closed = true;
  }

  void send(Client& client, std::string_view text) {
    while (!text.empty()) {
      const std::array<std::string_view, 1> pieces{text};
      const auto put = client.stream->try_write(pieces);
      if (put.status == IoStatus::kOk) text.remove_prefix(put.bytes);
      world.settle();
      if (put.status == IoStatus::kError) return;
    }
    world.settle();
  }

  std::string ask(std::string_view text) {
    Client& client = connect();
    send(client, text);
    return client.got;
  }
};

std::string body_of(const std::string& answer) {
  const auto at = answer.find("\r\n\r\n");
  return at == std::string::npos ? std::string() : answer.substr(at + 4);
}

TEST(AdminServer, AnswersARouteAndKeepsTheConnection) {
  Scene scene;
  Client& client = scene.connect();
  scene.send(client, kGetEcho);
  EXPECT_TRUE(client.got.starts_with("HTTP/1.1 200 OK\r\n")) << client.got;
  EXPECT_EQ(body_of(client.got), "GET|a=1||");
  client.got.clear();
  scene.send(client, "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello");
  EXPECT_EQ(body_of(client.got), "POST|||hello");
  EXPECT_FALSE(client.closed);
}

TEST(AdminServer, AnswersPipelinedRequestsInOrder) {
  Scene scene;
  Client& client = scene.connect();
  scene.send(client, std::string(kGetEcho) +
                         "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
                         "3\r\nabc\r\n0\r\n\r\n");
  const auto first = client.got.find("GET|a=1||");
  const auto second = client.got.find("POST|||abc");
  ASSERT_NE(first, std::string::npos);
  ASSERT_NE(second, std::string::npos);
  EXPECT_LT(first, second);
}

TEST(AdminServer, TakesARequestByteByByte) {
  Scene scene;
  Client& client = scene.connect();
  for (const char c :
       std::string("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi")) {
    scene.send(client, std::string_view(&c, 1));
  }
  EXPECT_EQ(body_of(client.got), "POST|||hi");
}

TEST(AdminServer, TakesABodyThatIsNotSmall) {
  Scene scene;
  const std::string body(100'000, 'b');
  const auto answer =
      scene.ask("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n" + body);
  EXPECT_EQ(body_of(answer), "POST|||" + body);
}

TEST(AdminServer, DecodesTheNameInAPath) {
  Scene scene;
  const auto answer =
      scene.ask("POST /things/n3%2Fe5/drain HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n");
  EXPECT_EQ(body_of(answer), "POST||n3/e5|");
}

TEST(AdminServer, AnUnknownPathIsAProblemThatNamesTheNearest) {
  Scene scene;
  const auto answer = scene.ask("GET /ecko HTTP/1.1\r\nhost: a\r\n\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 404 ")) << answer;
  EXPECT_NE(answer.find("content-type: application/problem+json"), std::string::npos);
  EXPECT_NE(answer.find("the nearest is /echo"), std::string::npos);
  EXPECT_TRUE(
      scene.ask("GET /things/%zz/drain HTTP/1.1\r\nhost: a\r\n\r\n").starts_with("HTTP/1.1 404 "));
}

TEST(AdminServer, AWrongMethodNamesTheRightOnes) {
  Scene scene;
  const auto answer = scene.ask("GET /things/x/drain HTTP/1.1\r\nhost: a\r\n\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 405 ")) << answer;
  EXPECT_NE(answer.find("\r\nallow: POST\r\n"), std::string::npos);
}

TEST(AdminServer, HeadHasNoBody) {
  Scene scene;
  const auto answer = scene.ask("HEAD /echo HTTP/1.1\r\nhost: a\r\n\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n"));
  EXPECT_NE(answer.find("content-length: 7"), std::string::npos) << answer;
  EXPECT_EQ(body_of(answer), "");
}

TEST(AdminServer, AMalformedRequestIsAnsweredAndClosed) {
  Scene scene;
  Client& client = scene.connect();
  scene.send(client, "GET /echo HTTP/1.1\r\nhost : a\r\n\r\n");
  EXPECT_TRUE(client.got.starts_with("HTTP/1.1 400 ")) << client.got;
  scene.world.run_for(2s);
  EXPECT_TRUE(client.closed);
}

TEST(AdminServer, ABodyOverTheLimitIsRefusedHoweverItIsFramed) {
  AdminLimits limits;
  limits.body_bytes_max = 10;
  Scene scene(limits);
  EXPECT_TRUE(scene.ask("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 11\r\n\r\nhello world")
                  .starts_with("HTTP/1.1 413 "));
  EXPECT_TRUE(scene
                  .ask("POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
                       "b\r\nhello world\r\n0\r\n\r\n")
                  .starts_with("HTTP/1.1 413 "));
}

TEST(AdminServer, ClosesWhenAskedTo) {
  Scene scene;
  Client& client = scene.connect();
  scene.send(client, "GET /echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
  EXPECT_NE(client.got.find("connection: close"), std::string::npos);
  EXPECT_TRUE(client.closed);
}

TEST(AdminServer, ExpectContinueGetsItsInterimAnswer) {
  Scene scene;
  Client& client = scene.connect();
  scene.send(client,
             "POST /echo HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n");
  EXPECT_EQ(client.got, "HTTP/1.1 100 Continue\r\n\r\n");
  scene.send(client, "hi");
  EXPECT_NE(client.got.find("POST|||hi"), std::string::npos);
}

TEST(AdminServer, APageOfAnotherSiteMayNotPost) {
  Scene scene;
  EXPECT_TRUE(
      scene
          .ask("POST /echo HTTP/1.1\r\nhost: 127.0.0.1:6401\r\norigin: http://evil.example\r\n"
               "content-length: 0\r\n\r\n")
          .starts_with("HTTP/1.1 403 "));
  EXPECT_TRUE(scene
                  .ask("POST /echo HTTP/1.1\r\nhost: 127.0.0.1:6401\r\norigin: null\r\n"
                       "content-length: 0\r\n\r\n")
                  .starts_with("HTTP/1.1 403 "));
  EXPECT_TRUE(
      scene
          .ask("POST /echo HTTP/1.1\r\nhost: 127.0.0.1:6401\r\norigin: http://127.0.0.1:6401\r\n"
               "content-length: 0\r\n\r\n")
          .starts_with("HTTP/1.1 200 "));
}

TEST(AdminServer, AnIdleConnectionIsClosedInTime) {
  Scene scene;
  Client& client = scene.connect();
  scene.world.run_for(59s);
  EXPECT_FALSE(client.closed);
  scene.world.run_for(2s);
  EXPECT_TRUE(client.closed);
  EXPECT_EQ(scene.server->connections(), 0U);
}

TEST(AdminServer, AHalfSentRequestIsClosedSooner) {
  Scene scene;
  Client& client = scene.connect();
  scene.send(client, "GET /ec");
  scene.world.run_for(11s);
  EXPECT_TRUE(client.closed);
}

TEST(AdminServer, AClientThatDripsItsBodyIsClosed) {
  Scene scene;
  Client& client = scene.connect();
  scene.send(client, "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n");
  for (int i = 0; i < 12 && !client.closed; ++i) {
    scene.send(client, "x");
    scene.world.run_for(1s);
  }
  EXPECT_TRUE(client.closed);
}

TEST(AdminServer, OneConnectionTooManyIsTurnedAway) {
  AdminLimits limits;
  limits.connections_max = 2;
  Scene scene(limits);
  scene.connect();
  scene.connect();
  scene.world.settle();
  Client& third = scene.connect();
  scene.world.settle();
  EXPECT_TRUE(third.got.starts_with("HTTP/1.1 503 ")) << third.got;
  EXPECT_TRUE(third.closed);
}

TEST(AdminServer, StopClosesIdleConnections) {
  Scene scene;
  Client& client = scene.connect();
  scene.send(client, kGetEcho);
  scene.server->stop();
  scene.world.settle();
  EXPECT_TRUE(client.closed);
}

}  // namespace
}  // namespace infermesh::control

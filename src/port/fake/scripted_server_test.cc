#include "port/fake/scripted_server.h"

#include <gtest/gtest.h>

namespace infermesh::port::fake {
namespace {

// Sends `text` on one connection of its own and returns what came until the end or for a second.
std::string talk(World& world, std::string_view text) {
  Loop& loop = world.make_loop();
  StreamPtr stream = world.run(loop.connect("127.0.0.1", 8000, world.now() + 1s)).value_or(nullptr);
  if (!stream) return "refused";
  stream->try_write({&text, 1});
  world.run_for(1s);
  std::string answer(10000, '\0');
  const IoResult got = stream->try_read(answer);
  answer.resize(got.bytes);
  return answer;
}

TEST(ScriptedServer, AnswersByPathOneRequestAfterTheOther) {
  World world;
  ScriptedServer server(world, "127.0.0.1", 8000);
  server.answer("/a", 200, "first");
  server.answer("/b", 503, "busy", "retry-after: 1\r\n");
  const std::string both =
      talk(world, "POST /a HTTP/1.1\r\ncontent-length: 3\r\n\r\nxyzGET /b HTTP/1.1\r\n\r\n");
  EXPECT_EQ(both,
            "HTTP/1.1 200 Scripted\r\ncontent-length: 5\r\n\r\nfirst"
            "HTTP/1.1 503 Scripted\r\nretry-after: 1\r\ncontent-length: 4\r\n\r\nbusy");
  EXPECT_EQ(server.asked("/a"), 1u);
  EXPECT_EQ(server.requests().size(), 2u);
  EXPECT_NE(talk(world, "GET /c HTTP/1.1\r\n\r\n").find("404"), std::string::npos);
}

TEST(ScriptedServer, CanBeSilentCloseAndStop) {
  World world;
  ScriptedServer server(world, "127.0.0.1", 8000);
  server.answer("/", 200, "x");
  server.set_mode(ScriptedMode::kSilent);
  EXPECT_EQ(talk(world, "GET / HTTP/1.1\r\n\r\n"), "");
  server.set_mode(ScriptedMode::kCloseOnRequest);
  EXPECT_EQ(talk(world, "GET / HTTP/1.1\r\n\r\n"), "");
  server.stop();
  EXPECT_EQ(talk(world, "GET / HTTP/1.1\r\n\r\n"), "refused");
  server.set_mode(ScriptedMode::kAnswer);
  server.start();
  EXPECT_NE(talk(world, "GET / HTTP/1.1\r\n\r\n").find("200"), std::string::npos);
}

}  // namespace
}  // namespace infermesh::port::fake

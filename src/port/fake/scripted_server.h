// ScriptedServer: an HTTP/1.1 server in a simulated world that gives fixed answers by path, for
// tests of clients. It keeps connections, answers one request at a time, reads bodies by
// content-length only, and counts what it was asked.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "port/fake/world.h"

namespace infermesh::port::fake {

enum class ScriptedMode : std::uint8_t {
  kAnswer,
  kSilent,          // takes requests and never answers
  kCloseOnRequest,  // closes without an answer
};

class ScriptedServer {
 public:
  // Listens at once on host:port. The world is borrowed and must live longer.
  ScriptedServer(World& world, std::string host, std::uint16_t port);
  ~ScriptedServer();

  // A whole answer, head and body, sent as it stands. Paths without one are answered with 404.
  void answer(const std::string& path, std::string text);
  // An answer made of its parts, with a content-length.
  void answer(const std::string& path, int status, std::string_view body,
              std::string_view headers = "");
  void set_mode(ScriptedMode mode);

  void stop();   // as a killed process: refuses, and its connections are reset
  void start();  // listens again

  std::size_t asked(const std::string& path) const;  // requests for it so far
  const std::vector<std::string>& requests() const;  // every head, in order
  std::string address() const;

 private:
  struct State;
  static Task<void> accept_all(std::shared_ptr<State> state, std::shared_ptr<Listener> listener);
  static Task<void> serve(std::shared_ptr<State> state, StreamPtr stream);

  World& world_;
  std::string host_;
  std::uint16_t port_;
  std::shared_ptr<State> state_;
  std::shared_ptr<Listener> listener_;
};

}  // namespace infermesh::port::fake

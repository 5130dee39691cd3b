// TestEngine: an engine for tests of the data plane, on the fake network. Each request runs its
// script, a coroutine that writes raw bytes: whole answers, halves, nonsense, nothing.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "data/server/testing_wire.h"
#include "port/fake/world.h"

namespace infermesh::data {

using TestScript = std::function<port::Task<void>(TestWire&)>;

class TestEngine {
 public:
  enum class Body : std::uint8_t { kRead, kLeave };  // before the script runs
  struct Request {
    std::string head, body;
  };

  TestEngine(port::fake::World& world, std::uint16_t number)
      : port(static_cast<std::uint16_t>(8000 + number)), world_(world) {}

  // The script of requests from now on. The engine listens from the first script on.
  void plays(TestScript script, Body body = Body::kRead) {
    scripts_.emplace_back(std::move(script), body);
    if (listener_ || stopped_) return;
    listener_ = std::move(world_.network().listen("127.0.0.1", port).value());
    world_.spawn(accept(listener_));
  }
  void answers(std::string text) {
    plays([text](TestWire& wire) -> port::Task<void> { co_await wire.write(text); });
  }
  void holds() {  // takes requests and never answers
    plays([this](TestWire& wire) -> port::Task<void> {
      co_await wire.until_gone();
      gone_at.push_back(world_.now());
    });
  }
  void stop() {
    stopped_ = true;
    if (listener_) listener_->close();
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(port); }
  std::size_t asked() const { return requests.size(); }

  std::uint16_t port;
  std::deque<Request> requests;
  std::vector<Instant> gone_at;  // when connections of holds() were closed by the router

 private:
  port::Task<void> accept(std::shared_ptr<port::Listener> listener) {
    while (true) {
      auto stream = co_await listener->accept();
      if (!stream) co_return;
      world_.spawn(serve(std::make_unique<TestWire>(world_, std::move(*stream))));
    }
  }
  port::Task<void> serve(std::unique_ptr<TestWire> wire) {
    while (co_await wire->take_head()) {
      auto& [script, body] = scripts_.back();
      Request& request = requests.emplace_back(Request{wire->head, {}});
      if (body == Body::kRead && !co_await wire->take_body()) co_return;
      request.body = wire->body;
      co_await script(*wire);
      request.body = wire->body;
    }
  }

  port::fake::World& world_;
  std::deque<std::pair<TestScript, Body>> scripts_;  // kept: running ones refer to their captures
  std::shared_ptr<port::Listener> listener_;
  bool stopped_ = false;
};

}  // namespace infermesh::data

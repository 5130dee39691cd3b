// TestEngine: an engine for tests of the data plane, on the fake network. Each request runs its
// script, a coroutine that writes raw bytes: whole answers, halves, nonsense, nothing.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "port/fake/world.h"
#include "wire/http/body.h"
#include "wire/http/head.h"

namespace infermesh::data {

// One connection that the engine has accepted.
class TestWire {
 public:
  TestWire(port::fake::World& world, port::StreamPtr stream)
      : world_(world), stream_(std::move(stream)) {}

  // The next request's head; false when none comes. The body follows with take_body().
  port::Task<bool> take_head() {
    http::RequestHeadParser parser;
    while (true) {
      const auto progress = parser.feed(input_);
      if (progress && progress->state == http::HeadState::kDone) {
        head = input_.substr(0, progress->consumed);
        body.clear();
        decoder_ = http::BodyDecoder(parser.head());
        input_.erase(0, progress->consumed);
        co_return true;
      }
      if (!progress || !co_await more()) co_return false;
    }
  }

  port::Task<bool> take_body() {
    while (!decoder_.done()) {
      const auto piece = decoder_.decode(input_);
      body += piece.payload;
      input_.erase(0, piece.consumed);
      if (piece.state == http::BodyState::kError) co_return false;
      if (!decoder_.done() && input_.empty() && !co_await more()) co_return false;
    }
    co_return true;
  }

  port::Task<bool> write(std::string text) {
    std::string_view rest = text;
    while (!rest.empty()) {
      const auto result = stream_->try_write({&rest, 1});
      if (result.status == port::IoStatus::kOk) {
        rest.remove_prefix(result.bytes);
        written += result.bytes;
      } else if (result.status != port::IoStatus::kWouldBlock ||
                 co_await stream_->writable() != port::IoStatus::kOk) {
        co_return false;
      }
    }
    co_return true;
  }

  port::Task<void> sleep(Duration time) { return world_.loop().sleep_until(world_.now() + time); }
  port::Task<void> until_gone() {  // the router closes the connection
    bool some = true;
    while (some) {
      input_.clear();
      some = co_await more();
    }
  }
  void close() { stream_->close(port::CloseMode::kGraceful); }
  void reset() { stream_->close(port::CloseMode::kReset); }

  std::string head, body;  // of the current request
  std::size_t written = 0;

 private:
  port::Task<bool> more() {
    std::array<char, 16384> buffer;
    while (true) {
      const auto result = stream_->try_read(buffer);
      if (result.status == port::IoStatus::kOk) {
        input_.append(buffer.data(), result.bytes);
        co_return true;
      }
      if (result.status != port::IoStatus::kWouldBlock) co_return false;
      if (co_await stream_->readable() == port::IoStatus::kCancelled) co_return false;
    }
  }

  port::fake::World& world_;
  port::StreamPtr stream_;
  http::BodyDecoder decoder_;
  std::string input_;
};

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

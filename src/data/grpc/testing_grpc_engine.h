// TestGrpcEngine: an engine for tests that speaks HTTP/2 on the fake network. Each call runs its
// script, a coroutine that reads and answers as it likes.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "data/grpc/testing_grpc_call.h"
#include "data/http2/link.h"

namespace infermesh::data {

// One connection from the router.
struct TestGrpcConnection final : Http2LinkOwner {
  using Take = std::function<void(std::shared_ptr<Http2Stream>, const http::RequestHead*)>;
  TestGrpcConnection(port::fake::World& world, port::StreamPtr connected,
                     const http2::Session::Limits& limits, Take with)
      : take(std::move(with)),
        stream(std::move(connected)),
        out(stream),
        link(http2::Session::Role::kServer, limits, {world.loop(), stream, out, wake}, *this) {
    stream.attach(&wake);
  }
  bool on_stream(std::shared_ptr<Http2Stream> opened, Result<http::RequestHead> head,
                 http2::FieldBlock) override {
    take(std::move(opened), head ? &*head : nullptr);
    return true;
  }
  void on_goaway(http2::StreamId, http2::Code) override {}
  void on_pong() override {}
  void cut() {
    stopped = true;
    wake.set();
  }
  static port::Task<void> run(std::shared_ptr<TestGrpcConnection> self) {
    TestGrpcConnection& c = *self;
    std::array<char, 65536> scratch;
    auto state = Http2Link::State::kOpen;
    while (state == Http2Link::State::kOpen && !c.stopped) {
      if (!c.deaf) {
        state = c.link.receive(std::span<char>(scratch));
        if (c.out.blocked() && c.stream.may_write()) c.out.flush();
        c.link.send();
      }
      co_await c.wake.wait();
    }
    c.link.close(http2::Code::kCancel);
    c.stream.close(c.stopped ? port::CloseMode::kReset : port::CloseMode::kGraceful);
  }

  Take take;
  WatchedStream stream;
  OutBuffer out;
  port::Wakeup wake;
  Http2Link link;
  bool stopped = false;
  bool deaf = false;  // takes nothing in and says nothing
};

class TestGrpcEngine {
 public:
  using Script = TestGrpcScript;
  TestGrpcEngine(port::fake::World& world, std::uint16_t number)
      : port(static_cast<std::uint16_t>(9000 + number)), world_(world) {}

  void plays(Script script) {
    script_ = std::move(script);
    if (listener_) return;
    listener_ = std::move(world_.network().listen("127.0.0.1", port).value());
    world_.spawn(accept(listener_));
  }
  void stop() {  // a moment later no script refers to it any more
    if (listener_) listener_->close();
    for (const auto& connection : connections) connection->cut();
  }
  void echoes() {
    plays([](TestCall& call) -> port::Task<void> {
      const std::string body = co_await call.whole();
      call.head();
      co_await call.say(body);
      call.end();
    });
  }

  std::vector<std::shared_ptr<TestGrpcConnection>> connections;
  std::vector<std::shared_ptr<TestCall>> calls;
  std::uint16_t port;
  http2::Session::Limits limits;

 private:
  port::Task<void> accept(std::shared_ptr<port::Listener> listener) {
    while (true) {
      auto stream = co_await listener->accept();
      if (!stream) co_return;
      TestGrpcConnection::Take take = [this](auto opened, auto* head) { begin(opened, head); };
      connections.push_back(std::make_shared<TestGrpcConnection>(world_, std::move(*stream), limits,
                                                                 std::move(take)));
      world_.spawn(TestGrpcConnection::run(connections.back()));
    }
  }
  void begin(std::shared_ptr<Http2Stream> stream, const http::RequestHead* head) {
    calls.push_back(std::make_shared<TestCall>(world_, std::move(stream), head));
    world_.spawn(run(calls.back()));
  }
  port::Task<void> run(std::shared_ptr<TestCall> call) { co_await script_(*call); }

  port::fake::World& world_;
  Script script_;
  std::shared_ptr<port::Listener> listener_;
};

}  // namespace infermesh::data

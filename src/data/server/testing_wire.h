// TestWire: one connection that an engine of a test has accepted, read as HTTP and written as raw
// bytes.
#pragma once

#include <array>
#include <string>
#include <utility>

#include "port/fake/world.h"
#include "wire/http/body.h"
#include "wire/http/head.h"

namespace infermesh::data {

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
  port::Task<std::string> take_some() {  // of what follows the request; empty at the end
    if (input_.empty()) co_await more();
    co_return std::exchange(input_, {});
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

}  // namespace infermesh::data

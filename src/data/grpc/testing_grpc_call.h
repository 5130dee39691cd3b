// TestCall: one call at an engine of a test, read and answered as its script says.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "data/http2/stream_end.h"
#include "port/fake/world.h"

namespace infermesh::data {

class TestCall {
 public:
  TestCall(port::fake::World& on, std::shared_ptr<Http2Stream> with, const http::RequestHead* head)
      : world(on), stream(std::move(with)) {
    if (head == nullptr) return;
    fields[":path"] = head->path;
    for (const http::Header& field : head->headers) fields[std::string(field.name)] = field.value;
  }

  // What comes next of the request; empty at its end, or when it was reset.
  port::Task<std::string> more() {
    Http2StreamEnd* const end = &wire();
    while (true) {
      std::string buffer(16384, '\0');
      const auto got = end->try_read(buffer);
      buffer.resize(got.status == port::IoStatus::kOk ? got.bytes : 0);
      if (got.status != port::IoStatus::kWouldBlock) co_return buffer;
      if (co_await end->readable() == port::IoStatus::kCancelled) co_return "";
    }
  }
  port::Task<std::string> whole() {
    std::string all;
    while (true) {
      const std::string piece = co_await more();
      if (piece.empty()) co_return all;
      all += piece;
    }
  }
  void head() {
    http2::FieldBlock block;
    block.add(":status", "200");
    block.add("content-type", "application/grpc");
    block.add("x-from-engine", "1");
    stream->respond(block, http2::Body::kFollows);
  }
  port::Task<void> say(std::string bytes) {
    std::string_view rest = bytes;
    while (!rest.empty()) {
      const auto result = wire().try_write({&rest, 1});
      if (result.status == port::IoStatus::kError) co_return;
      if (result.status == port::IoStatus::kOk) {
        rest.remove_prefix(result.bytes);
        written += result.bytes;
      } else if (co_await wire().writable() == port::IoStatus::kCancelled) {
        co_return;
      }
    }
  }
  void end(std::string_view status = "0") {
    http2::FieldBlock trailers;
    trailers.add("grpc-status", status);
    trailers.add("x-last", "yes");
    stream->end(std::move(trailers));
  }
  void refuse(std::string_view status, std::string_view message) {  // a status alone
    http2::FieldBlock block;
    block.add(":status", "200");
    block.add("content-type", "application/grpc");
    block.add("grpc-status", status);
    block.add("grpc-message", message);
    stream->respond(block, http2::Body::kNone);
  }
  port::Task<void> until_gone() {
    while (!stream->broken()) {
      co_await world.loop().sleep_until(world.now() + 1ms);
    }
    gone = true;
  }

  port::fake::World& world;
  std::shared_ptr<Http2Stream> stream;
  std::map<std::string, std::string> fields;
  std::size_t written = 0;
  bool gone = false;

 private:
  Http2StreamEnd& wire() {
    if (!wire_) wire_ = std::make_unique<Http2StreamEnd>(stream, "router");
    return *wire_;
  }
  std::unique_ptr<Http2StreamEnd> wire_;
};

using TestGrpcScript = std::function<port::Task<void>(TestCall&)>;

}  // namespace infermesh::data

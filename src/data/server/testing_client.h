// TestClient: a client for tests of the data plane that writes and reads raw bytes on the fake
// network, and only when it is told to.
#pragma once

#include <string>
#include <utility>

#include "data/server/testing_answer.h"
#include "port/fake/world.h"

namespace infermesh::data {

class TestClient {
 public:
  explicit TestClient(port::fake::World& world, std::uint16_t port = 6400) : world_(&world) {
    stream_ = world.run(world.loop().connect("127.0.0.1", port, world.now() + 1s)).value();
  }

  void send(std::string_view text) {
    while (!text.empty()) {
      const auto result = stream_->try_write({&text, 1});
      world_->settle();
      if (result.status == port::IoStatus::kError) return;
      if (result.status == port::IoStatus::kOk) text.remove_prefix(result.bytes);
    }
  }

  void send_unseen(std::string_view text) { stream_->try_write({&text, 1}); }  // nothing runs yet

  // As much as is taken at once, again and again until nothing more is; how much that was.
  std::size_t send_what_fits(std::string_view text) {
    std::size_t taken = 0;
    while (taken < text.size()) {
      const std::string_view rest = text.substr(taken);
      const auto result = stream_->try_write({&rest, 1});
      world_->settle();
      if (result.status != port::IoStatus::kOk) break;
      taken += result.bytes;
    }
    return taken;
  }

  // Takes in what has come without time passing.
  std::string& read() {
    world_->settle();
    std::string buffer(16384, '\0');
    while (!ended && !reset) {
      const auto result = stream_->try_read(buffer);
      if (result.status == port::IoStatus::kWouldBlock) break;
      ended = result.status == port::IoStatus::kEnd;
      reset = result.status == port::IoStatus::kError;
      input.append(buffer.data(), result.status == port::IoStatus::kOk ? result.bytes : 0);
      world_->settle();
    }
    return input;
  }
  void read_bytes(std::size_t count) {  // at most so many
    world_->settle();
    std::string buffer(count, '\0');
    const auto result = stream_->try_read(buffer);
    if (result.status == port::IoStatus::kOk) input.append(buffer.data(), result.bytes);
    world_->settle();
  }

  // The next answer, whole, or what there is of it when the connection or the time ends.
  TestAnswer answer(Duration limit = 60s) {
    TestAnswer got;
    std::size_t used = 0;
    world_->run_until(
        [&] {
          read();
          got = parse_answer(input, used);
          return got.whole || ended || reset;
        },
        limit);
    input.erase(0, used);
    return got;
  }
  TestAnswer peek() {  // what there is of the next answer
    read();
    std::size_t used = 0;
    return parse_answer(input, used);
  }

  void leave() { stream_.reset(); }
  void half_close() { stream_->close(port::CloseMode::kSendOnly); }
  bool closed() {  // the router has ended the connection
    read();
    return ended || reset;
  }

  std::string input;  // read and not yet taken as an answer
  bool ended = false, reset = false;

 private:
  port::fake::World* world_;
  port::StreamPtr stream_;
};

}  // namespace infermesh::data

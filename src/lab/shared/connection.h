// Connection: a byte stream with what has arrived on it and one place to wait. Anything that
// concerns the owner (input, the peer leaving, room to write, a timer, an engine's event) sets
// `wake`; the owner looks at what changed. Used for both ends of the lab: the simulated engine's
// clients and the load generator's requests. On one loop, owned by one coroutine.
#pragma once

#include <string>
#include <string_view>

#include "port/loop.h"
#include "port/stream.h"
#include "port/wakeup.h"

namespace infermesh::lab {

class Connection {
 public:
  Connection(port::Loop& loop, port::StreamPtr stream);

  // Until `wake` is set or the deadline comes. Watches for input on the way.
  port::Task<void> pause(Instant deadline);
  // Writes all of it, waiting for room. False when the peer is gone or the deadline came first.
  port::Task<bool> write(std::string_view bytes, Instant deadline);

  std::string& input() { return input_; }  // the owner erases what it has dealt with
  bool ended() const { return ended_; }    // either side has closed, or the stream is broken
  // Between two uses: nothing unexpected has come and the peer has not left.
  bool alive();
  bool broken() const { return broken_; }  // reset or another failure
  void close(port::CloseMode mode);
  std::string peer() const { return stream_->peer(); }

  port::Wakeup wake;

 private:
  void watch();
  void watch_room();
  void take_input();

  static constexpr std::size_t kInputMax = 1 << 20;  // unread bytes beyond which reading pauses
  port::Loop& loop_;
  port::StreamPtr stream_;
  port::Timer timer_;
  std::string input_;
  bool watching_ = false;
  bool watching_room_ = false;
  bool ended_ = false;
  bool broken_ = false;
  bool closed_ = false;
};

}  // namespace infermesh::lab

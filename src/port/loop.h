// Loop: the event loop of one thread as the planes see it: time, timers, tasks, outgoing
// connections. All calls on the loop's own thread, but for post().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "port/stream.h"
#include "port/target.h"
#include "port/task.h"

namespace infermesh::port {

// A deadline with something to do. Owned by whoever sets it; destroying or disarming it is enough
// to forget it. Resolution is the loop's (io: 10 ms); fires once, then is disarmed.
class Timer {
 public:
  explicit Timer(std::function<void()> fire) : fire_(std::move(fire)) {}
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  Instant deadline() const { return deadline_; }
  bool armed() const { return deadline_ != kNever; }

 private:
  friend class TimerQueue;
  std::function<void()> fire_;
  Instant deadline_ = kNever;  // what the owner wants
  Instant queued_ = kNever;    // where the queue has it; kNever = not queued
  std::uint64_t order_ = 0;    // of its entry there
  class TimerQueue* queue_ = nullptr;
};

class Loop {
 public:
  virtual ~Loop() = default;

  // The time at which the running task was resumed: reading the clock costs as much as a system
  // call on some machines, and an exchange asks a dozen times. exact_now() reads it, for who
  // measures what it does itself; now() is no earlier from then on.
  virtual Instant now() const = 0;
  virtual Instant exact_now() = 0;
  virtual WallTime wall_now() const = 0;
  virtual std::uint64_t entropy() = 0;  // 64 unpredictable bits

  // Arms (or moves) a timer. kNever disarms it.
  virtual void arm(Timer& timer, Instant deadline) = 0;
  virtual Task<void> sleep_until(Instant when) = 0;

  virtual void spawn(Task<void> task) = 0;                // runs detached on this loop
  virtual void post(std::function<void()> function) = 0;  // from any thread

  // TCP with TCP_NODELAY, and TLS over it where the target says so, handshake included.
  // kUpstreamConnectFailed: the detail says why and, where it can, what to do.
  virtual Task<Result<StreamPtr>> connect(Target target, Instant deadline) = 0;
  Task<Result<StreamPtr>> connect(std::string host, std::uint16_t port, Instant deadline) {
    return connect(Target{std::move(host), port, std::nullopt, {}}, deadline);
  }
};

// A bound, listening socket of one loop.
class Listener {
 public:
  virtual ~Listener() = default;
  virtual Task<Result<StreamPtr>> accept() = 0;  // kUnavailable when closed
  virtual void close() = 0;
  virtual std::string address() const = 0;  // "127.0.0.1:6400", with the real port
};

// A folder whose files are read whole.
struct FileText {
  std::string name;  // without the folder
  std::string text;
};

class Folder {
 public:
  virtual ~Folder() = default;
  // The files that end in one of `.yaml .yml`, sorted by name. Cheap to call often.
  virtual Result<std::vector<FileText>> read() = 0;
  virtual std::string path() const = 0;
};

}  // namespace infermesh::port

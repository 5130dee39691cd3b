// Reactor: what a loop's sockets wait on: one epoll, edge-triggered. A socket is registered once,
// when it is made, so that waiting costs no system call. Used on the loop's thread, but for
// interrupt().
#pragma once

#include <sys/epoll.h>

#include <array>
#include <cstdint>
#include <vector>

#include "base/time.h"

namespace infermesh::io {

class Reactor {
 public:
  class Watcher {
   public:
    // `events`: EPOLL* bits; 0 after defer(). May destroy the watcher.
    virtual void on_ready(std::uint32_t events) = 0;

   protected:
    ~Watcher() = default;
  };

  Reactor();
  ~Reactor();
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  // What is ready already is told too. False: the kernel takes no more (errno says why).
  bool add(int fd, std::uint32_t events, Watcher& watcher);
  void remove(int fd, Watcher& watcher);  // before the descriptor is closed
  void defer(Watcher& watcher);           // on_ready(0) in the next dispatch()
  void forget(Watcher& watcher);          // nothing that is due reaches it

  // Waits until something is ready, `until`, or interrupt(); then dispatch() tells the watchers.
  void wait(Duration at_most);
  void dispatch();
  void interrupt();  // from any thread

 private:
  static constexpr std::size_t kBatch = 256;

  int epoll_;
  int wake_;                     // eventfd
  bool no_nanoseconds_ = false;  // an old kernel, or one that forbids epoll_pwait2
  std::array<epoll_event, kBatch> batch_;
  std::size_t batch_size_ = 0, batch_at_ = 0;
  std::vector<Watcher*> deferred_, running_;
};

}  // namespace infermesh::io

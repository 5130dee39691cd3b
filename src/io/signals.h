// Signals: those of the process as something to wait for. They are blocked from its making on, so
// it is made before any thread is.
#pragma once

#include <signal.h>

#include <initializer_list>

#include "io/event_loop.h"
#include "io/reactor.h"
#include "port/wakeup.h"

namespace infermesh::io {

class Signals final : private Reactor::Watcher {
 public:
  Signals(EventLoop& loop, std::initializer_list<int> numbers);
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  port::Task<int> next();

 private:
  void on_ready(std::uint32_t events) override;

  Reactor& reactor_;
  sigset_t set_, before_;
  int fd_;
  port::Wakeup wake_;
};

}  // namespace infermesh::io

#include "io/signals.h"

#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/assert.h"

namespace infermesh::io {

Signals::Signals(EventLoop& loop, std::initializer_list<int> numbers) : reactor_(loop.reactor()) {
  sigemptyset(&set_);
  for (const int number : numbers) sigaddset(&set_, number);
  ::pthread_sigmask(SIG_BLOCK, &set_, &before_);
  fd_ = ::signalfd(-1, &set_, SFD_NONBLOCK | SFD_CLOEXEC);
  IM_ASSERT(fd_ >= 0);
  IM_ASSERT(reactor_.add(fd_, EPOLLIN, *this));
}

Signals::~Signals() {
  reactor_.remove(fd_, *this);
  ::close(fd_);
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

void Signals::on_ready(std::uint32_t) {
  wake_.set();
}

port::Task<int> Signals::next() {
  while (true) {
    signalfd_siginfo info;
    if (::read(fd_, &info, sizeof info) == sizeof info) co_return static_cast<int>(info.ssi_signo);
    co_await wake_.wait();
  }
}

}  // namespace infermesh::io

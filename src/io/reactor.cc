#include "io/reactor.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/assert.h"

namespace infermesh::io {

Reactor::Reactor()
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  IM_ASSERT(epoll_ >= 0 && wake_ >= 0);  // out of descriptors before the first connection
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.ptr = nullptr;
  IM_ASSERT(::epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event) == 0);
}

Reactor::~Reactor() {
  ::close(wake_);
  ::close(epoll_);
}

bool Reactor::add(int fd, std::uint32_t events, Watcher& watcher) {
  epoll_event event{};
  event.events = events | EPOLLET;
  event.data.ptr = &watcher;
  return ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0;
}

void Reactor::remove(int fd, Watcher& watcher) {
  epoll_event none{};
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, &none);
  forget(watcher);
}

void Reactor::defer(Watcher& watcher) {
  deferred_.push_back(&watcher);
}

void Reactor::forget(Watcher& watcher) {
  for (std::size_t i = batch_at_; i < batch_size_; ++i) {
    if (batch_[i].data.ptr == &watcher) batch_[i].data.ptr = nullptr;
  }
  std::replace(deferred_.begin(), deferred_.end(), &watcher, static_cast<Watcher*>(nullptr));
  std::replace(running_.begin(), running_.end(), &watcher, static_cast<Watcher*>(nullptr));
}

void Reactor::wait(Duration at_most) {
  if (!deferred_.empty()) at_most = Duration::zero();
  int got = -1;
  if (!no_nanoseconds_) {
    const auto whole = std::chrono::duration_cast<std::chrono::seconds>(at_most);
    const timespec until{.tv_sec = whole.count(), .tv_nsec = (at_most - whole).count()};
    got = ::epoll_pwait2(epoll_, batch_.data(), kBatch, &until, nullptr);
    no_nanoseconds_ = got < 0 && (errno == ENOSYS || errno == EPERM);
  }
  if (no_nanoseconds_) {
    const auto millis = std::chrono::ceil<std::chrono::milliseconds>(at_most).count();
    got = ::epoll_wait(epoll_, batch_.data(), kBatch, static_cast<int>(millis));
  }
  batch_size_ = got > 0 ? static_cast<std::size_t>(got) : 0;
}

void Reactor::dispatch() {
  running_.swap(deferred_);
  for (std::size_t i = 0; i < running_.size(); ++i) {  // forget() may clear what is ahead
    if (running_[i] != nullptr) running_[i]->on_ready(0);
  }
  running_.clear();
  for (batch_at_ = 0; batch_at_ < batch_size_;) {
    const epoll_event event = batch_[batch_at_++];
    if (event.data.ptr != nullptr) static_cast<Watcher*>(event.data.ptr)->on_ready(event.events);
  }
  batch_size_ = batch_at_ = 0;
}

void Reactor::interrupt() {
  const std::uint64_t one = 1;
  // Only a counter that is about to overflow refuses, and that wakes as well.
  [[maybe_unused]] const ssize_t written = ::write(wake_, &one, sizeof one);
}

}  // namespace infermesh::io

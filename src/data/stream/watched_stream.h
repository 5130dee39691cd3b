// WatchedStream: a connection with a standing watch for readability. Reading is tried only when the
// watch has fired, so a waiting exchange costs no system calls; the watch outlives exchanges on a
// kept-alive connection. On one shard.
#pragma once

#include <functional>
#include <span>
#include <string_view>

#include "port/stream.h"
#include "port/wakeup.h"

namespace infermesh::data {

class WatchedStream {
 public:
  explicit WatchedStream(port::StreamPtr stream) : stream_(std::move(stream)) {}
  WatchedStream(const WatchedStream&) = delete;
  WatchedStream& operator=(const WatchedStream&) = delete;

  // Who is told that reading or writing may go on. Null: nobody, the fact is only remembered.
  void attach(port::Wakeup* wake) { wake_ = wake; }
  // Instead of a wake-up: called when an idle connection becomes readable, which means it is of no
  // further use.
  void when_disturbed(std::function<void()> callback) { disturbed_ = std::move(callback); }

  bool may_read() const { return may_read_; }
  bool may_write() const { return may_write_; }

  // kWouldBlock arms the watch. A read that does not fill `into` arms it too: the rest has not
  // arrived yet.
  port::IoResult read(std::span<char> into);
  port::IoResult write(std::span<const std::string_view> pieces);
  void expect_read();  // arms the watch without a try

  void close(port::CloseMode mode) { stream_->close(mode); }
  std::string peer() const { return stream_->peer(); }

 private:
  void expect_write();

  port::StreamPtr stream_;
  port::Wakeup* wake_ = nullptr;
  std::function<void()> disturbed_;
  bool may_read_ = true, may_write_ = true;
};

}  // namespace infermesh::data

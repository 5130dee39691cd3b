// Stream: one connected byte stream (a TCP connection, or its simulated twin). Reading and writing
// never block and are apart from waiting, so a silent stream holds no buffer. Belongs to one loop;
// all calls on that loop.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "port/task.h"

namespace infermesh::port {

enum class IoStatus : std::uint8_t {
  kOk,
  kWouldBlock,  // nothing to read, or no room to write, right now
  kEnd,         // read: the peer has sent everything (FIN)
  kError,       // reset or another failure; the stream is of no further use
  kCancelled,   // cancel() or close() ended the wait
};

struct IoResult {
  IoStatus status = IoStatus::kOk;
  std::size_t bytes = 0;  // moved, when kOk
};

enum class CloseMode : std::uint8_t {
  kGraceful,  // FIN
  kReset,     // RST: the peer must not take what it has for complete
  kSendOnly,  // FIN, but go on reading: unread input would otherwise turn the close into a reset
};

class Stream {
 public:
  virtual ~Stream() = default;  // closes gracefully when still open

  virtual IoResult try_read(std::span<char> into) = 0;
  // Gathers up to 16 pieces into one write; may take only the first bytes of them. What was not
  // taken comes first in the next write.
  virtual IoResult try_write(std::span<const std::string_view> pieces) = 0;
  // Suspend until try_read (try_write) would not answer kWouldBlock. One waiter of each kind at a
  // time.
  virtual Task<IoStatus> readable() = 0;
  virtual Task<IoStatus> writable() = 0;
  // Call back once on the loop when readable (writable), or with kCancelled; not together with the
  // awaitable of the same kind. After the stream is destroyed nothing is called back.
  virtual void when_readable(std::function<void(IoStatus)> callback) = 0;
  virtual void when_writable(std::function<void(IoStatus)> callback) = 0;
  // Ends all waits with kCancelled; the stream stays open.
  virtual void cancel() = 0;
  virtual void close(CloseMode mode) = 0;
  virtual std::string peer() const = 0;  // "127.0.0.1:50312"
  // Why kError, one clause, where more is known than that the connection broke.
  virtual std::string trouble() const { return {}; }
};

using StreamPtr = std::unique_ptr<Stream>;

}  // namespace infermesh::port

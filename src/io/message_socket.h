// MessageSocket: whole messages with file descriptors between two processes of one machine, over a
// Unix socket (SOCK_SEQPACKET, SCM_RIGHTS; unix(7)). On one loop; one receive() at a time.
//
// Bounds: a message has at most kTextMax bytes and kDescriptorsMax descriptors; one that does not
// fit into the socket's buffer is an error, not awaited.
#pragma once

#include <sys/socket.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "io/descriptor.h"
#include "io/event_loop.h"
#include "io/reactor.h"
#include "port/wakeup.h"

namespace infermesh::io {

struct Message {
  std::string text;
  std::vector<Descriptor> descriptors;
};

class MessageSocket final : private Reactor::Watcher {
 public:
  static constexpr std::size_t kTextMax = 64 << 10;
  static constexpr std::size_t kDescriptorsMax = 250;  // the kernel takes 253

  MessageSocket(EventLoop& loop, Descriptor socket);
  ~MessageSocket();
  MessageSocket(const MessageSocket&) = delete;
  MessageSocket& operator=(const MessageSocket&) = delete;

  Result<void> send(const std::string& text, const std::vector<int>& descriptors = {});
  // kDeadlineExceeded; kUnavailable: the other side has ended the conversation.
  port::Task<Result<Message>> receive(Instant deadline);
  Result<Message> receive_blocking(Duration at_most);  // while no loop runs
  std::optional<Result<Message>> try_receive();        // nothing: none is there now
  ucred peer() const;                                  // the other side, as the kernel knows it

 private:
  void on_ready(std::uint32_t events) override;

  EventLoop& loop_;
  Descriptor socket_;
  port::Wakeup wake_;
};

// Waits for others at a path of the file system. The file is for this user alone (0600), and
// replaces an earlier socket there in one step. It stays when the listener ends: nobody is behind
// it then, which call_at() sees, and another's file is never removed.
class MessageListener final : private Reactor::Watcher {
 public:
  static Result<std::unique_ptr<MessageListener>> open(EventLoop& loop, const std::string& path);
  ~MessageListener();
  MessageListener(const MessageListener&) = delete;
  MessageListener& operator=(const MessageListener&) = delete;

  port::Task<std::unique_ptr<MessageSocket>> accept();  // null when closed
  void close();

 private:
  MessageListener(EventLoop& loop, Descriptor socket);
  void on_ready(std::uint32_t events) override;

  EventLoop& loop_;
  Descriptor socket_;
  port::Wakeup wake_;
};

// Null: nobody waits there (no such file, or nobody behind it). An error: what is there is not a
// socket of this kind, or cannot be asked.
Result<std::unique_ptr<MessageSocket>> call_at(EventLoop& loop, const std::string& path);

}  // namespace infermesh::io

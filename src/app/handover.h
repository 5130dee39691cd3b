// Handover: the listening sockets of this process for the one that replaces it, and those of the
// one that it replaces. What is said: wire/handover/word.h. On the control loop.
//
// The sockets are passed, not made anew: what waits in their queues waits for whoever accepts next,
// so no connection is lost. Only a process of the same user is given them. One at a time may take
// over; each wait for the other side is bounded, but for a successor's start, which ends with it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/descriptor.h"
#include "io/event_loop.h"
#include "io/message_socket.h"
#include "wire/handover/word.h"

namespace infermesh::app {

// What the process that is to be replaced gives. When this ends without announce(), that process
// goes on.
class Takeover {
 public:
  // Asks at `path`, blocking for some seconds at most: no loop runs yet. Null: nobody is there.
  static Result<std::unique_ptr<Takeover>> ask(io::EventLoop& loop, const std::string& path,
                                               std::string_view version);

  // Just before the first connection is taken: whether the other side still agrees. One that has
  // ended meanwhile does.
  Result<void> still_offered();
  // This process takes connections. What the other side says to it: kLeaving, or kRefuse when it
  // has not waited so long. An error: it has ended, or says nothing.
  port::Task<Result<handover::Word>> announce();
  // What is wrong with what it gives, for people.
  Error failure(const Error& why) const;

  handover::Word offer;
  std::vector<io::Descriptor> inference;
  io::Descriptor admin;

 private:
  Takeover(io::EventLoop& loop, std::string path, std::string_view version,
           std::unique_ptr<io::MessageSocket> from);
  Result<void> take_offer();

  io::EventLoop& loop_;
  std::string path_;
  std::string_view version_;
  std::unique_ptr<io::MessageSocket> from_;
};

// Waits at a path for a process that takes over.
class HandoverDesk {
 public:
  struct Offer {
    std::vector<std::string> models;
    std::vector<int> sockets;  // borrowed; the last is the admin socket
  };
  struct Hooks {
    std::function<Offer()> offer;
    std::function<void(const handover::Word& successor)> taken;  // it serves: leave
    std::function<void(const std::string& why)> failed;          // nothing has changed here
  };

  HandoverDesk(io::EventLoop& loop, std::string_view version, Hooks hooks);
  Result<void> open(const std::string& path);
  void close();  // who has begun to take over may go on

 private:
  port::Task<void> serve();
  port::Task<void> talk(std::unique_ptr<io::MessageSocket> other);
  port::Task<Result<handover::Word>> hand_over(io::MessageSocket& other);
  std::string why_not(const io::MessageSocket& other) const;  // empty: it may take over

  io::EventLoop& loop_;
  std::string_view version_;
  Hooks hooks_;
  std::unique_ptr<io::MessageListener> listener_;
  std::size_t talks_ = 0;
  bool closed_ = false;
  std::optional<std::int64_t> taking_over_, taken_by_;  // process ids
};

}  // namespace infermesh::app

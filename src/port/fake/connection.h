// Connection: one TCP connection of the simulated network: two directions and the two streams at
// its ends.
//
// As with sockets: what was sent before an orderly close is still read; closing with unread input
// resets; a reset drops what is unread and fails both ends; writing to an end that has closed
// fails.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "port/loop.h"
#include "port/stream.h"

namespace infermesh::port::fake {

class World;

// One way of a connection.
class Direction {
 public:
  Direction(World& world, Duration latency, std::size_t window);

  IoResult read(std::span<char> into);
  IoResult write(std::span<const std::string_view> pieces);
  void end();     // no more will be written
  void deafen();  // no more will be read
  void reset();

  World& world() { return world_; }
  bool ended() const { return ended_at_ != kNever; }
  bool deaf() const { return deaf_; }
  bool unread() const { return buffered_ > 0; }

  // Each is called once, posted, when the direction may be read (written) again.
  void when_readable(std::function<void(IoStatus)> callback) {
    watch(reader_, std::move(callback));
  }
  void when_writable(std::function<void(IoStatus)> callback) {
    watch(writer_, std::move(callback));
  }
  void cancel_reader() { call(reader_, IoStatus::kCancelled); }
  void cancel_writer() { call(writer_, IoStatus::kCancelled); }
  void forget_reader() { *reader_ = nullptr; }
  void forget_writer() { *writer_ = nullptr; }

 private:
  struct Piece {
    Instant at;  // when it arrives
    std::string bytes;
    std::size_t taken = 0;
  };
  using Watch = std::shared_ptr<std::function<void(IoStatus)>>;

  void watch(Watch& place, std::function<void(IoStatus)> callback);
  void call(const Watch& place, IoStatus status);
  void notify();  // calls back whoever can go on now, and comes again when the next piece arrives
  bool can_read() const;
  bool can_write() const { return broken_ || deaf_ || buffered_ < window_; }

  World& world_;
  Duration latency_;
  std::size_t window_;
  std::deque<Piece> pieces_;
  std::size_t buffered_ = 0;
  Instant ended_at_ = kNever;  // when the end arrives
  bool broken_ = false;
  bool deaf_ = false;
  Watch reader_;
  Watch writer_;
  Timer arrival_;
};

class Connection {
 public:
  Connection(World& world, Duration latency, std::size_t window)
      : ways_{Direction(world, latency, window), Direction(world, latency, window)} {}

  // The client's and the server's end; each names the other.
  static std::pair<StreamPtr, StreamPtr> ends(const std::shared_ptr<Connection>& connection,
                                              std::string server, std::string client);

  Direction& way(std::size_t from) { return ways_[from]; }  // what end `from` sends
  void reset();
  bool over() const { return reset_ || (ways_[0].ended() && ways_[1].ended()); }

 private:
  std::array<Direction, 2> ways_;
  bool reset_ = false;
};

}  // namespace infermesh::port::fake

#include "port/fake/connection.h"

#include <algorithm>
#include <cstring>

#include "port/fake/world.h"

namespace infermesh::port::fake {
namespace {

constexpr std::size_t kPiecesMax = 16;

class End final : public Stream {
 public:
  End(World& world, std::shared_ptr<Connection> connection, std::size_t side, std::string peer)
      : world_(world), connection_(std::move(connection)), side_(side), peer_(std::move(peer)) {}
  ~End() override {
    in().forget_reader();
    out().forget_writer();
    close(CloseMode::kGraceful);
  }

  IoResult try_read(std::span<char> into) override {
    return open_ ? in().read(into) : IoResult{IoStatus::kError, 0};
  }
  IoResult try_write(std::span<const std::string_view> pieces) override {
    return open_ ? out().write(pieces) : IoResult{IoStatus::kError, 0};
  }
  Task<IoStatus> readable() override { return wait(&Stream::when_readable); }
  Task<IoStatus> writable() override { return wait(&Stream::when_writable); }
  void when_readable(std::function<void(IoStatus)> callback) override {
    in().when_readable(std::move(callback));
  }
  void when_writable(std::function<void(IoStatus)> callback) override {
    out().when_writable(std::move(callback));
  }
  void cancel() override {
    in().cancel_reader();
    out().cancel_writer();
  }
  void close(CloseMode mode) override {
    if (!open_) return;
    if (mode == CloseMode::kSendOnly) return out().end();
    open_ = false;
    cancel();
    if (mode == CloseMode::kReset || in().unread()) return connection_->reset();
    out().end();
    in().deafen();
  }
  std::string peer() const override { return peer_; }

 private:
  Direction& in() { return connection_->way(1 - side_); }
  Direction& out() { return connection_->way(side_); }

  Task<IoStatus> wait(void (Stream::*when)(std::function<void(IoStatus)>)) {
    const World::Ticket ticket = world_.next_ticket();
    auto outcome = std::make_shared<IoStatus>(IoStatus::kCancelled);
    (this->*when)([&world = world_, ticket, outcome](IoStatus status) {
      *outcome = status;
      world.unpark(ticket);
    });
    co_await world_.park(ticket);
    co_return *outcome;
  }

  World& world_;
  std::shared_ptr<Connection> connection_;
  std::size_t side_;
  std::string peer_;
  bool open_ = true;
};

}  // namespace

Direction::Direction(World& world, Duration latency, std::size_t window)
    : world_(world),
      latency_(latency),
      window_(window),
      reader_(std::make_shared<std::function<void(IoStatus)>>()),
      writer_(std::make_shared<std::function<void(IoStatus)>>()),
      arrival_([this] { notify(); }) {}

bool Direction::can_read() const {
  const Instant now = world_.now();
  return broken_ || (!pieces_.empty() && pieces_.front().at <= now) ||
         (pieces_.empty() && ended_at_ <= now);
}

IoResult Direction::read(std::span<char> into) {
  if (broken_) return {IoStatus::kError, 0};
  std::size_t moved = 0;
  while (!pieces_.empty() && pieces_.front().at <= world_.now() && moved < into.size()) {
    Piece& piece = pieces_.front();
    const std::size_t count = std::min(into.size() - moved, piece.bytes.size() - piece.taken);
    std::memcpy(into.data() + moved, piece.bytes.data() + piece.taken, count);
    piece.taken += count;
    moved += count;
    if (piece.taken == piece.bytes.size()) pieces_.pop_front();
  }
  buffered_ -= moved;
  if (moved > 0) {
    notify();
    return {IoStatus::kOk, moved};
  }
  if (into.empty()) return {IoStatus::kOk, 0};
  return {can_read() ? IoStatus::kEnd : IoStatus::kWouldBlock, 0};
}

IoResult Direction::write(std::span<const std::string_view> pieces) {
  if (broken_ || deaf_ || ended()) return {IoStatus::kError, 0};
  std::string bytes;
  for (const std::string_view piece : pieces.first(std::min(pieces.size(), kPiecesMax))) {
    bytes += piece;
  }
  if (bytes.empty()) return {IoStatus::kOk, 0};
  if (buffered_ >= window_) return {IoStatus::kWouldBlock, 0};
  bytes.resize(std::min(bytes.size(), window_ - buffered_));
  const std::size_t count = bytes.size();
  buffered_ += count;
  pieces_.push_back({world_.now() + latency_, std::move(bytes)});
  notify();
  return {IoStatus::kOk, count};
}

void Direction::end() {
  if (ended()) return;
  ended_at_ = world_.now() + latency_;
  notify();
}

void Direction::deafen() {
  deaf_ = true;
  pieces_.clear();
  buffered_ = 0;
  notify();
}

void Direction::reset() {
  broken_ = true;
  pieces_.clear();
  buffered_ = 0;
  if (!ended()) ended_at_ = world_.now();
  notify();
}

void Direction::watch(Watch& place, std::function<void(IoStatus)> callback) {
  *place = std::move(callback);
  notify();
}

void Direction::call(const Watch& place, IoStatus status) {
  if (!*place) return;
  world_.post([place, status] {
    if (auto callback = std::exchange(*place, nullptr)) callback(status);
  });
}

void Direction::notify() {
  if (can_read()) {
    call(reader_, IoStatus::kOk);
  } else {
    const Instant next = pieces_.empty() ? ended_at_ : pieces_.front().at;
    world_.timers().arm(arrival_, next);
  }
  if (can_write()) call(writer_, IoStatus::kOk);
}

std::pair<StreamPtr, StreamPtr> Connection::ends(const std::shared_ptr<Connection>& connection,
                                                 std::string server, std::string client) {
  World& world = connection->ways_[0].world();
  return {std::make_unique<End>(world, connection, 0, std::move(server)),
          std::make_unique<End>(world, connection, 1, std::move(client))};
}

void Connection::reset() {
  reset_ = true;
  for (Direction& way : ways_) way.reset();
}

}  // namespace infermesh::port::fake

#include "data/http2/upstream.h"

#include <fmt/format.h>

#include <algorithm>

namespace infermesh::data {

// One connection: its coroutine runs until it ends, and holds it.
class Http2Upstream final : public Http2LinkOwner {
 public:
  Http2Upstream(Http2Upstreams& owner, Http2Upstreams::Origin origin, port::StreamPtr stream)
      : owner_(&owner),
        loop_(owner.loop_),
        limits_(owner.limits_),
        scratch_(owner.scratch_),
        origin_(std::move(origin)),
        stream_(std::move(stream)),
        out_(stream_),
        timer_([this] { wake_.set(); }),
        link_(http2::Session::Role::kClient, session_limits(), {loop_, stream_, out_, wake_},
              *this) {
    stream_.attach(&wake_);
  }

  static port::Task<void> run(std::shared_ptr<Http2Upstream> self) {
    co_await self->converse();
    self->link_.close(http2::Code::kCancel);
    self->stream_.close(port::CloseMode::kGraceful);
    if (self->owner_ != nullptr) self->owner_->forget(self->origin_, self.get());
  }
  bool has_room() {
    const std::size_t most =
        std::min(limits_.streams_per_connection_max, link_.session().streams_allowed());
    return !leaving_ && link_.open_streams() < most;
  }
  Http2Link& link() { return link_; }
  void abandon() {  // the set of connections ends
    owner_ = nullptr;
    leaving_ = true;
    link_.close(http2::Code::kCancel);
    stream_.close(port::CloseMode::kGraceful);
    wake_.set();
  }

 private:
  static http2::Session::Limits session_limits() {
    http2::Session::Limits limits;
    limits.stream_window = 256 << 10;
    limits.connection_window = 4 << 20;
    return limits;
  }
  bool on_stream(std::shared_ptr<Http2Stream>, Result<http::RequestHead>,
                 http2::FieldBlock) override {
    return false;  // engines do not push
  }
  void on_goaway(http2::StreamId, http2::Code) override { leaving_ = true; }
  void on_pong() override { pinged_at_ = kNever; }

  port::Task<void> converse() {
    idle_since_ = loop_.now();
    auto state = Http2Link::State::kOpen;
    while (true) {
      if (out_.blocked() && stream_.may_write()) out_.flush();
      link_.send();
      if (state == Http2Link::State::kEnded || out_.failed() || link_.session().over()) co_return;
      if (leaving_ && link_.open_streams() == 0) co_return;
      loop_.arm(timer_, next_deadline());
      co_await wake_.wait();
      state = link_.receive(scratch_);
      if (!look_at_clock()) co_return;
    }
  }

  Instant next_deadline() {
    const Instant now = loop_.now();
    if (link_.open_streams() > 0) {
      if (std::exchange(idle_since_, kNever) != kNever) streams_since_ = now;
      if (pinged_at_ != kNever) return pinged_at_ + limits_.ping_timeout;
      return std::max(link_.heard_at(), streams_since_) + limits_.ping_after;
    }
    if (idle_since_ == kNever) idle_since_ = now;
    return idle_since_ + limits_.idle_timeout;
  }

  // False: given up, or idle for too long.
  bool look_at_clock() {
    const Instant now = loop_.now();
    if (link_.open_streams() == 0) {
      pinged_at_ = kNever;
      const bool idle = idle_since_ != kNever && now >= idle_since_ + limits_.idle_timeout;
      if (!idle) return true;
      link_.session().go_away(http2::Code::kNone);
      link_.send();
      return false;
    }
    if (pinged_at_ != kNever) {
      if (link_.heard_at() > pinged_at_) pinged_at_ = kNever;
      return pinged_at_ == kNever || now < pinged_at_ + limits_.ping_timeout;
    }
    if (now >= std::max(link_.heard_at(), streams_since_) + limits_.ping_after) {
      pinged_at_ = now;
      link_.session().ping();
    }
    return true;
  }

  Http2Upstreams* owner_;
  port::Loop& loop_;
  Http2Upstreams::Limits limits_;
  std::span<char> scratch_;
  Http2Upstreams::Origin origin_;
  WatchedStream stream_;
  OutBuffer out_;
  port::Wakeup wake_;
  port::Timer timer_;
  Http2Link link_;
  Instant streams_since_{}, idle_since_ = kNever, pinged_at_ = kNever;
  bool leaving_ = false;
};

Http2Upstreams::Http2Upstreams(port::Loop& loop, std::span<char> scratch, Limits limits)
    : loop_(loop), scratch_(scratch), limits_(limits) {}

Http2Upstreams::~Http2Upstreams() {
  *alive_ = false;
  for (auto& [origin, engine] : engines_) {
    for (const auto& connection : engine.connections) connection->abandon();
  }
}

Http2Upstreams::Dial::~Dial() {
  if (state_) state_->wake = nullptr;
}

Http2Upstream* Http2Upstreams::roomy(const Origin& origin) const {
  const auto found = engines_.find(origin);
  if (found == engines_.end()) return nullptr;
  for (const auto& connection : found->second.connections) {
    if (connection->has_room()) return connection.get();
  }
  return nullptr;
}

bool Http2Upstreams::has_room(const Endpoint& engine) const {
  return roomy(origin_of(engine)) != nullptr;
}

Result<std::shared_ptr<Http2Stream>> Http2Upstreams::open(const Endpoint& engine,
                                                          const http::Headers& fields,
                                                          http2::Body body) {
  Http2Upstream* connection = roomy(origin_of(engine));
  if (connection == nullptr)
    return fail(ErrorCode::kUpstreamConnectFailed, "no connection has room for a stream");
  return connection->link().open(fields, body);
}

Result<Http2Upstreams::Dial> Http2Upstreams::dial(const Endpoint& to, Instant deadline,
                                                  port::Wakeup& wake) {
  const Origin origin = origin_of(to);
  Engine& engine = engines_[origin];
  const std::size_t made = engine.connections.size() + engine.dialing;
  std::erase_if(engine.waiting, [](const auto& waiting) { return waiting.expired(); });
  const std::size_t coming = engine.dialing * limits_.streams_per_connection_max;
  if (engine.waiting.size() >= coming) {
    if (made >= limits_.connections_per_engine_max)
      return fail(ErrorCode::kUpstreamConnectFailed,
                  fmt::format("all {} connections are full", made));
    ++engine.dialing;
    port::Target target{to.grpc.host, to.grpc.port, to.grpc_tls, port::Protocol::kHttp2};
    loop_.spawn(make(origin, std::move(target), deadline, alive_));
  }
  Dial dial;
  dial.state_ = std::make_shared<Dial::State>();
  dial.state_->wake = &wake;
  engine.waiting.push_back(dial.state_);
  return dial;
}

port::Task<void> Http2Upstreams::make(Origin origin, port::Target target, Instant deadline,
                                      std::shared_ptr<bool> alive) {
  auto stream = co_await loop_.connect(std::move(target), deadline);
  if (!*alive) co_return;
  Engine& engine = engines_[origin];
  --engine.dialing;
  if (!stream) {
    const Result<void> failed = std::unexpected(stream.error());
    tell(engine, failed);
    co_return;
  }
  auto connection = std::make_shared<Http2Upstream>(*this, origin, std::move(*stream));
  engine.connections.push_back(connection);
  loop_.spawn(Http2Upstream::run(std::move(connection)));
  tell(engine, {});
}

void Http2Upstreams::tell(Engine& engine, const Result<void>& result) {
  for (const auto& waiting : std::exchange(engine.waiting, {})) {
    const auto state = waiting.lock();
    if (!state) continue;
    state->result = result;
    if (state->wake != nullptr) state->wake->set();
  }
}

void Http2Upstreams::forget(const Origin& origin, const Http2Upstream* connection) {
  const auto found = engines_.find(origin);
  if (found == engines_.end()) return;
  Engine& engine = found->second;
  std::erase_if(engine.connections, [&](const auto& entry) { return entry.get() == connection; });
  if (engine.connections.empty() && engine.dialing == 0) engines_.erase(found);
}

std::size_t Http2Upstreams::connections() const {
  std::size_t count = 0;
  for (const auto& [origin, engine] : engines_) count += engine.connections.size();
  return count;
}

}  // namespace infermesh::data

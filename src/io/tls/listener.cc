#include "io/tls/listener.h"

#include <fmt/format.h>

#include <array>
#include <deque>
#include <list>
#include <optional>

#include "io/tls/tls_stream.h"
#include "port/wakeup.h"

namespace infermesh::io::tls {
namespace {

using port::IoStatus;

constexpr Duration kPatience = 1s;       // a handshake of this age may be cut for another client
constexpr Duration kAcceptRest = 100ms;  // out of file descriptors: some will be closed
constexpr Duration kLinger = 1s;         // for a client to read that it should speak TLS

// The form that OpenAI's clients read, and people.
constexpr std::string_view kSpeakTls =
    R"({"error":{"message":"This port speaks TLS, and the request came without it. Use https:// in the URL.","type":"invalid_request_error","param":null,"code":"https_required"}})";

// One handshake that is under way.
struct Shake {
  TlsStream* stream;
  Instant began;
  bool late = false;
  bool dropped = false;
};

// What the listener and its coroutines share; they may outlive it.
struct Desk {
  Desk(EventLoop& on, const TlsServer& with, HandshakeRules under, std::string at)
      : loop(on), server(with), rules(std::move(under)), address(std::move(at)) {}

  bool full() const { return begun + ready.size() >= rules.under_way_max; }

  EventLoop& loop;
  const TlsServer& server;
  HandshakeRules rules;
  const std::string address;
  std::size_t begun = 0;    // handshakes that have not ended
  std::list<Shake> shakes;  // those that are at it, the oldest first
  std::deque<port::StreamPtr> ready;
  std::optional<Error> trouble;  // of the inner listener, told once
  bool closed = false;
  port::Wakeup wake;  // accept() waits
  port::Wakeup room;  // the taker waits
};
using DeskPtr = std::shared_ptr<Desk>;

void cut_oldest(Desk& desk) {
  if (desk.shakes.empty() || desk.loop.now() - desk.shakes.front().began < kPatience) return;
  desk.shakes.front().dropped = true;
  desk.shakes.front().stream->stop_handshake();
}

HandshakeResult result_of(const Shake& shake, const TlsStream& stream, IoStatus end) {
  if (end == IoStatus::kOk) {
    return SSL_session_reused(stream.ssl()) == 1 ? HandshakeResult::kResumed : HandshakeResult::kOk;
  }
  if (shake.dropped) return HandshakeResult::kDropped;
  if (shake.late) return HandshakeResult::kTimeout;
  const auto first = stream.first_byte();
  return first && *first >= 'A' && *first <= 'Z' ? HandshakeResult::kPlainHttp
                                                 : HandshakeResult::kFailed;
}

// Takes in what still comes for a moment, or the close would be a reset that takes the answer with
// it.
port::Task<void> answer_plain(EventLoop& loop, port::StreamPtr stream) {
  const std::string text = fmt::format(
      "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: {}\r\n"
      "connection: close\r\n\r\n{}",
      kSpeakTls.size(), kSpeakTls);
  const std::string_view piece = text;
  stream->try_write({&piece, 1});
  stream->close(port::CloseMode::kSendOnly);
  port::Timer timer([&stream] { stream->cancel(); });
  loop.arm(timer, loop.now() + kLinger);
  std::array<char, 4096> unread;
  while (true) {
    const IoStatus status = stream->try_read(unread).status;
    if (status == IoStatus::kOk) continue;
    if (status != IoStatus::kWouldBlock) co_return;
    if (co_await stream->readable() != IoStatus::kOk) co_return;
  }
}

port::Task<void> shake_hands(DeskPtr desk, port::StreamPtr plain) {
  EventLoop& loop = desk->loop;
  auto stream = std::make_unique<TlsStream>(loop.reactor(), std::move(plain), desk->server.make());
  const auto self = desk->shakes.insert(desk->shakes.end(), Shake{stream.get(), loop.now()});
  port::Timer timer([self] {
    self->late = true;
    self->stream->stop_handshake();
  });
  loop.arm(timer, loop.now() + desk->rules.timeout);
  const IoStatus end = co_await stream->handshake();
  loop.arm(timer, kNever);
  const HandshakeResult result = result_of(*self, *stream, end);
  const bool good = end == IoStatus::kOk && !self->late && !self->dropped;
  desk->shakes.erase(self);
  --desk->begun;
  if (desk->rules.told) {
    const std::string why = end == IoStatus::kError ? text_of(stream->last_trouble()) : "";
    const HandshakeEnd told{result, stream->peer(), why};
    desk->rules.told(told);
  }
  if (good) desk->ready.push_back(std::move(stream));
  desk->wake.set();
  desk->room.set();
  if (result == HandshakeResult::kPlainHttp) co_await answer_plain(loop, stream->give_up());
}

port::Task<void> take_all(DeskPtr desk, std::shared_ptr<port::Listener> inner) {
  EventLoop& loop = desk->loop;
  port::Timer timer([raw = desk.get()] { raw->room.set(); });
  while (!desk->closed) {
    auto stream = co_await inner->accept();
    // Nobody is cut before somebody is there to take the place.
    while (stream && desk->full()) {
      cut_oldest(*desk);
      loop.arm(timer, loop.now() + kPatience);
      co_await desk->room.wait();
    }
    if (stream) {
      ++desk->begun;
      loop.spawn(shake_hands(desk, std::move(*stream)));
      continue;
    }
    if (stream.error().code == ErrorCode::kUnavailable) break;
    desk->trouble = stream.error();
    desk->wake.set();
    co_await loop.sleep_until(loop.now() + kAcceptRest);
  }
  desk->closed = true;
  desk->wake.set();
}

class TlsListener final : public port::Listener {
 public:
  TlsListener(DeskPtr desk, std::shared_ptr<port::Listener> inner)
      : desk_(std::move(desk)), inner_(std::move(inner)) {}
  ~TlsListener() override { close(); }

  // Closed, it still gives the streams whose handshakes had begun. It may be gone while one waits
  // here: what is used after a wait is the desk's.
  port::Task<Result<port::StreamPtr>> accept() override {
    const DeskPtr desk = desk_;
    if (!std::exchange(taking_, true)) desk->loop.spawn(take_all(desk, inner_));
    while (desk->ready.empty()) {
      if (desk->trouble) {
        const Error trouble = *std::exchange(desk->trouble, std::nullopt);
        co_return std::unexpected(trouble);
      }
      if (desk->closed && desk->begun == 0) {
        co_return fail(ErrorCode::kUnavailable, fmt::format("{} is closed", desk->address));
      }
      co_await desk->wake.wait();
    }
    port::StreamPtr stream = std::move(desk->ready.front());
    desk->ready.pop_front();
    desk->room.set();
    co_return stream;
  }

  void close() override {
    if (std::exchange(closed_, true)) return;
    inner_->close();
    desk_->closed = true;
    desk_->room.set();
    desk_->wake.set();
  }

  std::string address() const override { return desk_->address; }

 private:
  DeskPtr desk_;
  std::shared_ptr<port::Listener> inner_;
  bool taking_ = false, closed_ = false;
};

}  // namespace

std::string_view to_string(HandshakeResult result) {
  constexpr std::array<std::string_view, 6> kNames{"ok",      "resumed", "failed",
                                                   "timeout", "dropped", "plain_http"};
  return kNames[static_cast<std::size_t>(result)];
}

std::unique_ptr<port::Listener> secure(EventLoop& loop, std::unique_ptr<port::Listener> inner,
                                       const TlsServer& server, HandshakeRules rules) {
  auto desk = std::make_shared<Desk>(loop, server, std::move(rules), inner->address());
  return std::make_unique<TlsListener>(std::move(desk), std::move(inner));
}

}  // namespace infermesh::io::tls

#include "control/admin_exchange.h"

#include <fmt/format.h>

#include <array>

#include "base/text.h"
#include "wire/http/write.h"

namespace infermesh::control {
namespace {

constexpr std::size_t kReadBytes = 16 * 1024;
constexpr std::size_t kDiscardBytesMax = std::size_t{8} << 20;
constexpr Duration kDiscardTime = 1s;

Error body_too_large(const AdminLimits& limits) {
  return {ErrorCode::kRequestTooLarge,
          fmt::format("the body is over the admin listener's limit of {}",
                      format_size(limits.body_bytes_max)),
          ""};
}

}  // namespace

std::optional<Error> refuse_foreign_origin(const http::RequestHead& head) {
  if (head.method == "GET" || head.method == "HEAD") return std::nullopt;
  const auto origin = http::find(head.headers, "origin");
  if (!origin) return std::nullopt;
  const auto host = http::find(head.headers, "host");
  const auto scheme = origin->find("://");
  if (host && scheme != std::string_view::npos && iequals(origin->substr(scheme + 3), *host)) {
    return std::nullopt;
  }
  return Error{ErrorCode::kForbidden, fmt::format("a page of {} may not change this mesh", *origin),
               "origin"};
}

AdminExchange::AdminExchange(port::Loop& loop, port::Stream& stream, const AdminLimits& limits)
    : stream_(stream), loop_(loop), limits_(limits), timer_([this] { stream_.cancel(); }) {}

port::Task<bool> AdminExchange::fill() {
  std::array<char, kReadBytes> bytes;
  while (true) {
    const port::IoResult got = stream_.try_read(bytes);
    if (got.status == port::IoStatus::kOk) {
      buffer_.append(bytes.data(), got.bytes);
      co_return true;
    }
    if (got.status != port::IoStatus::kWouldBlock) co_return false;
    if (co_await stream_.readable() != port::IoStatus::kOk) co_return false;
  }
}

port::Task<Incoming> AdminExchange::read() {
  idle_ = buffer_.empty();
  loop_.arm(timer_, loop_.now() + (idle_ ? limits_.idle_timeout : limits_.request_timeout));
  parser_.reset();
  while (true) {
    if (!buffer_.empty()) {
      const auto progress = parser_.feed(buffer_);
      if (!progress) co_return Incoming{{}, progress.error(), After::kClose};
      if (progress->state == http::HeadState::kDone) {
        const http::RequestHead& head = parser_.head();
        Incoming incoming;
        incoming.after = head.keep_alive ? After::kKeep : After::kClose;
        incoming.request = AdminRequest{
            std::string(head.method), std::string(head.path), std::string(head.query), {}, {}};
        if (auto refused = refuse_foreign_origin(head)) {
          co_return Incoming{{}, std::move(refused), After::kClose};
        }
        if (head.content_length.value_or(0) > limits_.body_bytes_max) {
          co_return Incoming{{}, body_too_large(limits_), After::kClose};
        }
        const bool asks = head.expect_continue;
        http::BodyDecoder decoder(head);
        buffer_.erase(0, progress->consumed);
        if (asks && !decoder.done() && !co_await send(http::kContinue)) co_return Incoming{};
        co_return co_await read_body(std::move(incoming), std::move(decoder));
      }
    }
    if (!co_await fill()) co_return Incoming{};
    if (idle_) {
      idle_ = false;
      loop_.arm(timer_, loop_.now() + limits_.request_timeout);
    }
  }
}

port::Task<Incoming> AdminExchange::read_body(Incoming incoming, http::BodyDecoder decoder) {
  while (!decoder.done()) {
    if (buffer_.empty() && !co_await fill()) co_return Incoming{};
    const http::BodyPiece piece = decoder.decode(buffer_);
    incoming.request->body += piece.payload;
    buffer_.erase(0, piece.consumed);
    if (piece.state == http::BodyState::kError) {
      co_return Incoming{{}, decoder.error(), After::kClose};
    }
    if (decoder.total() > limits_.body_bytes_max) {
      co_return Incoming{{}, body_too_large(limits_), After::kClose};
    }
  }
  loop_.arm(timer_, kNever);
  co_return incoming;
}

port::Task<void> AdminExchange::discard_rest() {
  loop_.arm(timer_, loop_.now() + kDiscardTime);
  std::size_t discarded = 0;
  while (discarded < kDiscardBytesMax && co_await fill()) {
    discarded += buffer_.size();
    buffer_.clear();
  }
  loop_.arm(timer_, kNever);
}

port::Task<bool> AdminExchange::send(std::string_view text) {
  while (!text.empty()) {
    const std::array<std::string_view, 1> pieces{text};
    const port::IoResult put = stream_.try_write(pieces);
    if (put.status == port::IoStatus::kOk) {
      text.remove_prefix(put.bytes);
      continue;
    }
    if (put.status != port::IoStatus::kWouldBlock) co_return false;
    if (co_await stream_.writable() != port::IoStatus::kOk) co_return false;
  }
  co_return true;
}

port::Task<bool> AdminExchange::write(const AdminReply& reply, std::string_view method,
                                      After after) {
  std::string text;
  http::append_status_line(text, reply.status);
  http::append_header(text, "content-type", reply.content_type);
  http::append_content_length(text, reply.body.size());
  http::append_header(text, "cache-control", "no-store");
  http::append_header(text, "x-content-type-options", "nosniff");
  if (!reply.allow.empty()) http::append_header(text, "allow", reply.allow);
  if (after == After::kClose) http::append_header(text, "connection", "close");
  http::append_head_end(text);
  if (method != "HEAD") text += reply.body;
  loop_.arm(timer_, loop_.now() + limits_.write_timeout);
  const bool sent = co_await send(text);
  loop_.arm(timer_, kNever);
  co_return sent;
}

}  // namespace infermesh::control

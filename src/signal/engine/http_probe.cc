#include "signal/engine/http_probe.h"

#include <fmt/format.h>

#include <algorithm>

#include "wire/http/body.h"
#include "wire/http/head.h"
#include "wire/http/write.h"

namespace infermesh::signal {
namespace {

using port::IoStatus;

constexpr std::size_t kReadBytes = 16 * 1024;

std::string copy_of(const http::Headers& headers, std::string_view name) {
  return std::string(http::find(headers, name).value_or(std::string_view{}));
}

ProbeAnswer broken(std::string detail) {
  ProbeAnswer answer;
  answer.failure = ProbeFailure::kBroken;
  answer.detail = std::move(detail);
  return answer;
}

}  // namespace

std::string HttpProbe::request_for(std::string_view path, const ProbeBody* body) const {
  std::string request;
  http::append_request_line(request, body == nullptr ? "GET" : "POST", path);
  http::append_header(request, "host", target_.authority);
  http::append_header(request, "user-agent", "infermesh-probe");
  http::append_header(request, "accept", "*/*");
  if (!target_.api_key.empty()) {
    http::append_header(request, "authorization", "Bearer " + target_.api_key);
  }
  if (body != nullptr) {
    http::append_header(request, "content-type", body->content_type);
    http::append_content_length(request, body->bytes.size());
  }
  http::append_head_end(request);
  if (body != nullptr) request += body->bytes;
  return request;
}

port::Task<ProbeAnswer> HttpProbe::get(std::string path, Duration timeout) {
  std::string request = request_for(path, nullptr);
  co_return co_await ask(std::move(request), timeout);
}

port::Task<ProbeAnswer> HttpProbe::post(std::string path, ProbeBody body, Duration timeout) {
  std::string request = request_for(path, &body);
  co_return co_await ask(std::move(request), timeout);
}

port::Task<ProbeAnswer> HttpProbe::ask(std::string request, Duration timeout) {
  const Instant deadline = loop_.now() + timeout;
  const bool kept = stream_ != nullptr;
  ProbeAnswer answer = co_await exchange(request, deadline);
  // An engine may close an idle connection at any moment, so silence on a kept one says nothing
  // about the engine.
  if (kept && fresh_ && answer.failure == ProbeFailure::kBroken && !cancelled_) {
    close();
    answer = co_await exchange(request, deadline);
  }
  if (answer.failure != ProbeFailure::kNone) close();
  co_return answer;
}

void HttpProbe::cancel() {
  cancelled_ = true;
  if (stream_) stream_->cancel();
}

void HttpProbe::close() {
  stream_.reset();
  input_ = {};
}

ProbeAnswer HttpProbe::failed(Instant deadline, std::string_view doing) const {
  ProbeAnswer answer;
  if (cancelled_) {
    answer.failure = ProbeFailure::kCancelled;
    answer.detail = "cancelled";
  } else if (loop_.now() >= deadline) {
    answer.failure = ProbeFailure::kMissed;
    answer.detail = fmt::format("no answer in time while {}", doing);
  } else {
    answer.failure = ProbeFailure::kBroken;
    answer.detail = fmt::format("the connection broke while {}", doing);
    if (const std::string why = stream_ ? stream_->trouble() : ""; !why.empty()) {
      answer.detail = why;
    }
  }
  return answer;
}

port::Task<ProbeAnswer> HttpProbe::exchange(const std::string& request, Instant deadline) {
  fresh_ = true;
  if (!stream_) {
    port::Target target{target_.host, target_.port, target_.tls, port::Protocol::kHttp1};
    auto connected = co_await loop_.connect(std::move(target), deadline);
    if (!connected || cancelled_) {
      ProbeAnswer answer = failed(deadline, "connecting");
      if (answer.failure == ProbeFailure::kBroken) answer.failure = ProbeFailure::kRefused;
      if (!connected && !cancelled_) answer.detail = std::move(connected.error().detail);
      co_return answer;
    }
    stream_ = std::move(*connected);
  }
  input_.clear();
  if (!co_await send(request, deadline)) co_return failed(deadline, "sending a request");
  co_return co_await receive(deadline);
}

port::Task<bool> HttpProbe::send(std::string_view text, Instant deadline) {
  while (!text.empty()) {
    const port::IoResult put = stream_->try_write({&text, 1});
    if (put.status == IoStatus::kOk) {
      text.remove_prefix(put.bytes);
      continue;
    }
    if (put.status != IoStatus::kWouldBlock) co_return false;
    port::Timer timer([this] { stream_->cancel(); });
    loop_.arm(timer, deadline);
    if (co_await stream_->writable() != IoStatus::kOk) co_return false;
  }
  co_return true;
}

// More input, or why there is none: kEnd, kError or kCancelled.
port::Task<IoStatus> HttpProbe::fill(Instant deadline) {
  for (;;) {
    const std::size_t had = input_.size();
    port::IoResult got;
    input_.resize_and_overwrite(had + kReadBytes, [&](char* data, std::size_t) {
      got = stream_->try_read({data + had, kReadBytes});
      return had + (got.status == IoStatus::kOk ? got.bytes : 0);
    });
    if (got.status != IoStatus::kWouldBlock) {
      if (got.status == IoStatus::kOk) fresh_ = false;
      co_return got.status;
    }
    port::Timer timer([this] { stream_->cancel(); });
    loop_.arm(timer, deadline);
    const IoStatus woken = co_await stream_->readable();
    if (woken == IoStatus::kCancelled || cancelled_) co_return IoStatus::kCancelled;
  }
}

port::Task<ProbeAnswer> HttpProbe::receive(Instant deadline) {
  http::ResponseHeadParser parser;
  http::HeadProgress progress;
  while (progress.state != http::HeadState::kDone) {
    if (co_await fill(deadline) != IoStatus::kOk)
      co_return failed(deadline, "waiting for an answer");
    const auto fed = parser.feed(input_);
    if (!fed) co_return broken(fed.error().detail);
    progress = *fed;
  }
  const http::ResponseHead& head = parser.head();
  ProbeAnswer answer;
  answer.status = static_cast<std::uint16_t>(head.status);
  answer.server = copy_of(head.headers, "server");
  answer.via = copy_of(head.headers, "via");
  answer.process_start = copy_of(head.headers, "process-start-time-unix");
  const bool keep_alive = head.keep_alive;
  http::BodyDecoder body(head);
  input_.erase(0, progress.consumed);
  answer.body.reserve(std::min<std::size_t>(body.expected(), kProbeBodyMax));
  while (!body.done()) {
    const http::BodyPiece piece = body.decode(input_);
    answer.body += piece.payload;
    input_.erase(0, piece.consumed);
    if (piece.state == http::BodyState::kError) co_return broken(body.error().detail);
    if (answer.body.size() > kProbeBodyMax) co_return broken("the answer is over 4 MiB");
    if (body.done() || !input_.empty()) continue;
    const IoStatus status = co_await fill(deadline);
    if (status == IoStatus::kEnd && body.finish_on_eof() == http::BodyEof::kClean) break;
    if (status != IoStatus::kOk) co_return failed(deadline, "reading an answer");
  }
  if (!keep_alive || !input_.empty()) close();
  input_ = {};  // an engine that is looked at every two seconds holds no buffer in between
  co_return answer;
}

}  // namespace infermesh::signal

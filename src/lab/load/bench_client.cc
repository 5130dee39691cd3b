#include "lab/load/bench_client.h"

#include <fmt/format.h>

#include <utility>

#include "lab/load/answer_scan.h"
#include "wire/http/body.h"
#include "wire/http/head.h"

namespace infermesh::lab {
namespace {

// One answer as it comes in: head, then body, until its end or something goes wrong.
struct Incoming {
  http::ResponseHeadParser parser;
  http::BodyDecoder decoder;
  bool head_done = false;
  bool keep_alive = true;
  int status = 0;
  bool event_stream = false;
};

// Takes what the input has. False when the bytes are not HTTP.
bool take_head(Connection& connection, Incoming& in, BenchAnswer& answer) {
  std::string& input = connection.input();
  if (input.empty()) return true;
  const auto progress = in.parser.feed(input);
  if (!progress) return false;
  if (progress->state != http::HeadState::kDone) return true;
  const http::ResponseHead& head = in.parser.head();
  in.head_done = true;
  in.status = head.status;
  in.keep_alive = head.keep_alive;
  in.event_stream =
      http::find(head.headers, "content-type").value_or("").starts_with("text/event-stream");
  answer.engine = http::find(head.headers, "x-infermesh-engine").value_or("");
  in.decoder = http::BodyDecoder(head);
  input.erase(0, progress->consumed);
  return true;
}

bool take_body(Connection& connection, Incoming& in, AnswerScan& scan, Instant now) {
  std::string& input = connection.input();
  std::size_t used = 0;
  while (used < input.size() && in.decoder.state() == http::BodyState::kNeedMore) {
    const auto piece = in.decoder.decode(std::string_view(input).substr(used));
    used += piece.consumed;
    if (in.event_stream) {
      scan.feed_stream(piece.payload, now);
    } else {
      scan.feed_whole(piece.payload);
    }
  }
  input.erase(0, used);
  return in.decoder.state() != http::BodyState::kError;
}

// The word for how an answer went that has been read to its end.
std::string verdict(const Incoming& in, const AnswerScan& scan, bool stream_wanted) {
  if (in.status != 200) return fmt::format("http_{}", in.status);
  if (stream_wanted && !in.event_stream) return "not_a_stream";
  if (stream_wanted && !scan.done()) return "truncated";
  return {};
}

// Reads until the answer is complete; the error word of what went wrong otherwise.
port::Task<std::string> receive(port::Loop& loop, Connection& connection, Incoming& in,
                                AnswerScan& scan, BenchAnswer& answer, Instant deadline) {
  while (true) {
    if (!in.head_done && !take_head(connection, in, answer)) co_return std::string("bad_response");
    if (in.head_done && !take_body(connection, in, scan, loop.now()))
      co_return std::string("bad_chunk");
    if (in.head_done && in.decoder.done()) co_return std::string();
    if (connection.ended()) {
      if (!in.head_done) co_return std::string("reset");
      const bool whole =
          !connection.broken() && in.decoder.finish_on_eof() == http::BodyEof::kClean;
      co_return std::string(whole ? "" : "truncated");
    }
    if (loop.now() >= deadline) co_return std::string("timeout");
    co_await connection.pause(deadline);
  }
}

}  // namespace

Result<BenchTarget> parse_target(std::string_view url) {
  constexpr std::string_view kScheme = "http://";
  const auto wrong = [&] {
    return fail(ErrorCode::kInvalidField,
                fmt::format("\"{}\" is not a URL such as http://127.0.0.1:6400", url), "url");
  };
  if (!url.starts_with(kScheme)) return wrong();
  std::string_view rest = url.substr(kScheme.size());
  BenchTarget target;
  const auto slash = rest.find('/');
  if (slash != std::string_view::npos) target.base = rest.substr(slash);
  while (target.base.ends_with('/')) target.base.pop_back();
  if (target.base.ends_with("/v1")) target.base.resize(target.base.size() - 3);
  target.host = rest.substr(0, slash);
  if (target.host.empty()) return wrong();
  const bool has_port = target.host.find(':') != std::string::npos && !target.host.ends_with(']');
  const auto address = parse_host_port(has_port ? target.host : target.host + ":80");
  if (!address) return wrong();
  target.address = *address;
  return target;
}

std::string BenchClient::head(std::string_view method, std::string_view path,
                              std::size_t body_bytes) const {
  std::string out = fmt::format("{} {}{} HTTP/1.1\r\nhost: {}\r\nuser-agent: infermesh-bench\r\n{}",
                                method, target_.base, path, target_.host, extra_headers_);
  if (method == "POST") {
    out += fmt::format("content-type: application/json\r\ncontent-length: {}\r\n", body_bytes);
  }
  return out + "\r\n";
}

port::Task<Result<BenchClient::ConnectionPtr>> BenchClient::open(Instant deadline) {
  auto stream = co_await loop_.connect(target_.address.host, target_.address.port, deadline);
  if (!stream) co_return std::unexpected(stream.error());
  co_return std::make_unique<Connection>(loop_, std::move(*stream));
}

BenchClient::ConnectionPtr BenchClient::take_idle() {
  while (!idle_.empty()) {
    ConnectionPtr connection = std::move(idle_.back());
    idle_.pop_back();
    if (connection->alive()) return connection;
  }
  return nullptr;
}

void BenchClient::give_back(ConnectionPtr connection) {
  if (idle_.size() < kIdleMax) idle_.push_back(std::move(connection));
}

port::Task<BenchAnswer> BenchClient::post(BenchCall call, LatencyHistogram* inter_token) {
  const std::string head_text = head("POST", call.path, call.body.size());
  BenchAnswer answer;
  answer.sent = loop_.now();
  ConnectionPtr connection = take_idle();
  // A kept connection may be closed by the server just now: that is not an error of the request, so
  // it is tried again on a fresh one.
  for (bool reused = connection != nullptr;; reused = false) {
    if (!reused) {
      auto opened = co_await open(call.deadline);
      if (!opened) {
        answer.error = "connect";
        answer.message = opened.error().detail;
        answer.end = loop_.now();
        co_return answer;
      }
      connection = std::move(*opened);
    }
    Incoming in;
    AnswerScan scan(answer, inter_token);
    std::string wrong = "reset";
    bool written = co_await connection->write(head_text, call.deadline);
    if (written) written = co_await connection->write(call.body, call.deadline);
    if (written) wrong = co_await receive(loop_, *connection, in, scan, answer, call.deadline);
    if (reused && !in.head_done && wrong == "reset") continue;
    answer.end = loop_.now();
    if (!in.event_stream) scan.end_whole();
    // A server that says in its stream that it failed and then breaks off has told more than the
    // break.
    if (scan.failed()) wrong = "stream_error";
    if (wrong.empty()) wrong = verdict(in, scan, call.stream);
    if (!wrong.empty() && answer.message.empty()) answer.message = scan.text().substr(0, 200);
    const bool reusable =
        in.head_done && in.decoder.done() && in.keep_alive && !connection->ended();
    answer.error = std::move(wrong);
    if (reusable) give_back(std::move(connection));
    co_return answer;
  }
}

port::Task<Result<std::string>> BenchClient::get(std::string path, Instant deadline) {
  auto opened = co_await open(deadline);
  if (!opened) co_return std::unexpected(opened.error());
  Connection& connection = **opened;
  const std::string head_text = head("GET", path, 0);
  BenchAnswer answer;
  Incoming in;
  AnswerScan scan(answer, nullptr);
  std::string wrong = "reset";
  const bool written = co_await connection.write(head_text, deadline);
  if (written) {
    wrong = co_await receive(loop_, connection, in, scan, answer, deadline);
  }
  if (wrong.empty() && in.status != 200) wrong = fmt::format("status {}", in.status);
  if (!wrong.empty()) {
    co_return fail(ErrorCode::kUnavailable,
                   fmt::format("GET {}{} of {}: {}", target_.base, path, target_.host, wrong));
  }
  co_return scan.text();
}

}  // namespace infermesh::lab

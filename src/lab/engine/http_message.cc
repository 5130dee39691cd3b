#include "lab/engine/http_message.h"

#include <fmt/format.h>

#include <array>

#include "wire/http/body.h"
#include "wire/http/write.h"

namespace infermesh::lab {
namespace {

std::string copied(const http::Headers& headers, std::string_view name) {
  return std::string(http::find(headers, name).value_or(std::string_view{}));
}

std::unexpected<Error> silent() {
  return fail(ErrorCode::kUnavailable, "the client has gone");
}

void append_common(std::string& out, WallTime now, const ReplyHead& head) {
  http::append_status_line(out, head.status);
  http::append_header(out, "date", http_date(now));
  http::append_header(out, "server", "uvicorn");
  if (!head.content_type.empty()) http::append_header(out, "content-type", head.content_type);
  if (!head.request_id.empty()) http::append_header(out, "x-request-id", head.request_id);
  out += head.extra;
}

port::Task<Result<void>> read_body(Connection& connection, http::BodyDecoder decoder,
                                   std::string& body) {
  std::string& input = connection.input();
  while (decoder.state() == http::BodyState::kNeedMore) {
    std::size_t used = 0;
    while (used < input.size() && decoder.state() == http::BodyState::kNeedMore) {
      const auto piece = decoder.decode(std::string_view(input).substr(used));
      body.append(piece.payload);
      used += piece.consumed;
    }
    input.erase(0, used);
    if (body.size() > kBodyBytesMax)
      co_return fail(ErrorCode::kRequestTooLarge, "the body is over 64 MiB");
    if (decoder.state() != http::BodyState::kNeedMore) break;
    if (connection.ended()) co_return silent();
    co_await connection.pause(kNever);
  }
  if (decoder.state() == http::BodyState::kError) co_return std::unexpected(decoder.error());
  co_return Result<void>{};
}

}  // namespace

port::Task<Result<HttpRequest>> read_request(port::Loop& loop, Connection& connection,
                                             http::RequestHeadParser& parser, Duration idle) {
  parser.reset();
  const Instant deadline = loop.now() + idle;
  std::size_t head_bytes = 0;
  while (true) {
    if (!connection.input().empty()) {
      const auto progress = parser.feed(connection.input());
      if (!progress) co_return std::unexpected(progress.error());
      if (progress->state == http::HeadState::kDone) {
        head_bytes = progress->consumed;
        break;
      }
    }
    if (connection.ended() || loop.now() >= deadline) co_return silent();
    co_await connection.pause(deadline);
  }
  const http::RequestHead& head = parser.head();
  HttpRequest request;
  request.method = head.method;
  request.path = head.path;
  request.request_id = copied(head.headers, "x-request-id");
  request.fault = copied(head.headers, "x-fault");
  request.keep_alive = head.keep_alive;
  const bool expects = head.expect_continue;
  http::BodyDecoder decoder(head);
  connection.input().erase(0, head_bytes);
  if (expects && !co_await connection.write(http::kContinue, kNever)) co_return silent();
  auto read = co_await read_body(connection, std::move(decoder), request.body);
  if (!read) co_return std::unexpected(read.error());
  co_return request;
}

std::string http_date(WallTime now) {
  using namespace std::chrono;
  constexpr std::array kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                               "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto day = floor<days>(now);
  const year_month_day date(day);
  const hh_mm_ss time(floor<seconds>(now - day));
  return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT", kDays[weekday(day).c_encoding()],
                     static_cast<unsigned>(date.day()),
                     kMonths[static_cast<unsigned>(date.month()) - 1],
                     static_cast<int>(date.year()), time.hours().count(), time.minutes().count(),
                     time.seconds().count());
}

std::string whole_reply(WallTime now, const ReplyHead& head, std::string_view body) {
  std::string out;
  append_common(out, now, head);
  http::append_content_length(out, body.size());
  http::append_head_end(out);
  out += body;
  return out;
}

std::string chunked_head(WallTime now, const ReplyHead& head) {
  std::string out;
  append_common(out, now, head);
  http::append_chunked(out);
  http::append_head_end(out);
  return out;
}

void append_chunk(std::string& out, std::string_view bytes) {
  if (bytes.empty()) return;
  http::append_chunk_head(out, bytes.size());
  out += bytes;
  out += http::kChunkEnd;
}

}  // namespace infermesh::lab

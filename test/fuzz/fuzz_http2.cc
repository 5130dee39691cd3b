// HTTP/2 connections, as a server and as a client read them. Whatever comes: heads that are handed
// out keep the rules of wire/http, a stream is told of its end once and not after it was closed,
// what a session makes is bounded while nothing is asked of it, and a fault ends the connection.
#include <map>
#include <memory>
#include <string>

#include "fuzz_cuts.h"
#include "wire/http2/session.h"

namespace {

using namespace infermesh;
using http2::Body;
using http2::StreamId;

class Stream final : public http2::StreamPeer {
 public:
  void on_response(http2::FieldBlock block, Body body) override {
    IM_ASSERT(!closed);
    const auto head = http2::read_response_head(block, body);
    if (head) IM_ASSERT(head->status >= 200);
  }
  void on_body(std::string_view bytes) override {
    IM_ASSERT(!closed && !ended);
    unread += bytes.size();
  }
  void on_end(http2::FieldBlock) override {
    IM_ASSERT(!closed && !ended);
    ended = true;
  }
  void on_closed(http2::Code) override {
    IM_ASSERT(!closed);
    closed = true;
  }
  http2::Offer offer(std::size_t most) override {
    const std::size_t size = std::min<std::size_t>(most, left);
    http2::Offer offered;
    offered.bytes = size;
    if (size == left) offered.then = http2::Offer::Then::kEnd;
    return offered;
  }
  void take(std::size_t bytes, std::string& out) override {
    IM_ASSERT(bytes <= left);
    left -= bytes;
    out.append(bytes, 'x');
  }
  std::size_t unread = 0, left = 100;
  bool ended = false, closed = false;
};

class Connection final : public http2::SessionPeer {
 public:
  explicit Connection(http2::Session::Role role) : session(role, limits(), *this) {}
  static http2::Session::Limits limits() {
    http2::Session::Limits small;
    small.streams_max = 8;
    small.head_bytes_max = 4096;
    return small;
  }
  http2::StreamPeer* on_request(StreamId id, Result<http::RequestHead> head,
                                http2::FieldBlock block) override {
    IM_ASSERT(block.bytes() <= limits().head_bytes_max + 4096);
    if (head) check(*head);
    asked.push_back(id);
    return streams.emplace(id, std::make_unique<Stream>()).first->second.get();
  }
  void on_goaway(StreamId, http2::Code) override {}
  void on_pong() override {}

  static void check(const http::RequestHead& head) {
    IM_ASSERT(!head.method.empty() && !head.path.empty());
    for (const http::Header& header : head.headers) {
      IM_ASSERT(!header.name.empty() && header.name.front() != ':');
      IM_ASSERT(header.value.find('\n') == std::string_view::npos);
      IM_ASSERT(header.id != http::HeaderName::kTransferEncoding);
    }
  }
  // Answers what was asked, reads what came.
  void turn(std::string& out) {
    for (const StreamId id : asked) {
      if (!streams[id]->closed) session.respond(id, {{":status", "200"}}, Body::kFollows);
    }
    asked.clear();
    for (auto& [id, stream] : streams) {
      session.consume_connection(stream->unread);
      if (!stream->closed) session.consume(id, stream->unread);
      stream->unread = 0;
    }
    session.produce(out, 1 << 20);
    IM_ASSERT(out.size() < (2 << 20));
  }

  std::map<StreamId, std::unique_ptr<Stream>> streams;
  std::vector<StreamId> asked;
  http2::Session session;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = fuzz::read_input(data, size);
  const bool server = input.choice % 2 == 0;
  Connection connection(server ? http2::Session::Role::kServer : http2::Session::Role::kClient);
  std::string out;
  Instant now{};
  bool good = true;
  if (server) {
    good = connection.session.feed(http2::kClientPreface, now);
  } else {
    const http::Headers head{
        {":method", "POST"}, {":scheme", "http"}, {":path", "/a"}, {":authority", "x"}};
    auto& stream = connection.streams[1] = std::make_unique<Stream>();
    IM_ASSERT(connection.session.request(head, *stream, Body::kFollows) == 1);
  }
  fuzz::for_each_piece(input, [&](std::string_view piece) {
    if (!good || connection.session.over()) return;
    const fuzz::Exact exact(piece);
    now += 1us;
    good = connection.session.feed(exact.view(), now);
    out.clear();
    connection.turn(out);
  });
  return 0;
}

// Chunked bodies. Cut anywhere they read alike; where llhttp, an independent decoder that takes
// more, also sees a whole body, it sees the same payload and the same end; and a payload chunked
// again reads back the same.
#include <llhttp.h>

#include <string>

#include "fuzz_cuts.h"
#include "wire/http/body.h"
#include "wire/http/write.h"

namespace {

using namespace infermesh;

struct Read {
  std::string payload;
  std::size_t consumed = 0;
  http::BodyState state = http::BodyState::kNeedMore;
  Error error;
  bool operator==(const Read&) const = default;
};

void read_piece(http::BodyDecoder& decoder, std::string_view piece, Read& read) {
  const fuzz::Exact exact(piece);
  std::string_view rest = exact.view();
  while (!rest.empty() && decoder.state() == http::BodyState::kNeedMore) {
    const auto part = decoder.decode(rest);
    IM_ASSERT(part.consumed > 0 || part.state == http::BodyState::kError);
    read.payload += part.payload;
    read.consumed += part.consumed;
    rest.remove_prefix(part.consumed);
  }
  read.state = decoder.state();
  if (read.state == http::BodyState::kError) read.error = decoder.error();
}

http::BodyDecoder chunked() {
  return {http::BodyFraming::kChunked, 0, ErrorCode::kUpstreamBadResponse};
}

struct Peer {
  std::string payload;
  bool complete = false;
};

void check_against_llhttp(const Read& read, std::string_view body) {
  Peer peer;
  llhttp_settings_t settings;
  llhttp_settings_init(&settings);
  settings.on_body = [](llhttp_t* parser, const char* at, std::size_t length) {
    static_cast<Peer*>(parser->data)->payload.append(at, length);
    return 0;
  };
  settings.on_message_complete = [](llhttp_t* parser) {
    static_cast<Peer*>(parser->data)->complete = true;
    return int{HPE_PAUSED};
  };
  llhttp_t parser;
  llhttp_init(&parser, HTTP_RESPONSE, &settings);
  parser.data = &peer;
  const std::string message =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + std::string(body);
  llhttp_execute(&parser, message.data(), message.size());
  if (!peer.complete || read.state != http::BodyState::kDone) return;
  IM_ASSERT(peer.payload == read.payload);
  const auto end = static_cast<std::size_t>(llhttp_get_error_pos(&parser) - message.data());
  IM_ASSERT(message.size() - end == body.size() - read.consumed);
}

void check_chunked_again(const std::string& payload) {
  std::string again;
  if (!payload.empty()) {
    http::append_chunk_head(again, payload.size());
    again += payload;
    again += http::kChunkEnd;
  }
  http::append_last_chunk(again);
  auto decoder = chunked();
  Read read;
  read_piece(decoder, again, read);
  IM_ASSERT(read.payload == payload && read.state == http::BodyState::kDone);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = fuzz::read_input(data, size);
  auto whole = chunked(), cut = chunked();
  Read first, second;
  read_piece(whole, input.bytes, first);
  fuzz::for_each_piece(input, [&](std::string_view piece) { read_piece(cut, piece, second); });
  IM_ASSERT(first == second);
  const bool done = first.state == http::BodyState::kDone;
  IM_ASSERT((whole.finish_on_eof() == http::BodyEof::kClean) == done);
  IM_ASSERT(whole.total() == first.payload.size());
  check_against_llhttp(first, input.bytes);
  if (done) check_chunked_again(first.payload);
  return 0;
}

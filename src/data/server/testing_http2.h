// Http2Client: a client of HTTP/2 for tests, on the fake network. It reads frames and answers
// nothing by itself, so that every window and acknowledgement is the test's.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "data/http2/testing_hpack.h"
#include "data/http2/testing_http2_frames.h"
#include "data/server/testing_client.h"
#include "wire/http2/session.h"

namespace infermesh::data {

class Http2Client {
 public:
  struct Answer {
    std::map<std::string, std::string> head, trailers;
    std::string body;
    bool ended = false;
    std::optional<std::uint32_t> reset;  // its code
    int status() const { return head.contains(":status") ? std::stoi(head.at(":status")) : 0; }
  };

  explicit Http2Client(port::fake::World& world, std::uint16_t port = 6400)
      : world_(&world), raw(world, port) {}
  // The preface and SETTINGS (of `settings`' payload), and an acknowledgement of the server's.
  Http2Client& greet(std::string_view settings = {}) {
    send(std::string(http2::kClientPreface) + frame(kSettings, 0, 0, settings) +
         frame(kSettings, kAck, 0));
    return *this;
  }
  void send(std::string_view bytes) {
    raw.send(bytes);
    read();
  }
  void post(std::uint32_t stream, std::string_view body, std::string_view more = {}) {
    send(frame(kHeaders, kEndHeaders, stream, chat_head(more)) +
         frame(kData, kEndStream, stream, body));
  }
  void get(std::uint32_t stream, std::string_view path) {
    send(frame(kHeaders, kEndHeaders | kEndStream, stream, head_of("GET", path)));
  }
  Answer& wait(std::uint32_t stream, Duration limit = 60s) {  // until it has ended, or the time has
    world_->run_until(
        [&] {
          read();
          const Answer& got = answers[stream];
          return got.ended || got.reset || goaway || raw.ended || raw.reset;
        },
        limit);
    return answers[stream];
  }
  void read() {
    raw.read();
    while (raw.input.size() >= 9) {
      const std::size_t size = number_at(raw.input, 0, 3);
      if (raw.input.size() < 9 + size) return;
      Http2Frame got{static_cast<std::uint8_t>(raw.input[3]),
                     static_cast<std::uint8_t>(raw.input[4]), number_at(raw.input, 5),
                     raw.input.substr(9, size)};
      raw.input.erase(0, 9 + size);
      take(got);
      frames.push_back(std::move(got));
    }
  }
  std::size_t count(std::uint8_t type, std::uint8_t flags = 0) const {
    std::size_t found = 0;
    for (const auto& got : frames) found += got.type == type && (got.flags & flags) == flags;
    return found;
  }
  bool closed() {
    read();
    return raw.closed();
  }

  std::vector<Http2Frame> frames;
  std::map<std::uint32_t, Answer> answers;
  std::optional<std::uint32_t> goaway;  // the code of the last one
  std::uint32_t goaway_last = 0;

 private:
  void take(const Http2Frame& got) {
    Answer& answer = answers[got.stream];
    if (got.type == kGoaway) {
      goaway_last = number_at(got.payload, 0);
      goaway = number_at(got.payload, 4);
    } else if (got.type == kReset) {
      answer.reset = number_at(got.payload, 0);
    } else if (got.type == kHeaders) {
      reader_.read(got.payload, answer.head.contains(":status") && answer.status() >= 200
                                    ? answer.trailers
                                    : answer.head);
    } else if (got.type == kData) {
      answer.body += got.payload;
    }
    const bool may_end = got.type == kHeaders || got.type == kData;
    answer.ended = answer.ended || (may_end && (got.flags & kEndStream) != 0);
  }
  port::fake::World* world_;

 public:
  TestClient raw;

 private:
  HpackReader reader_;
};

}  // namespace infermesh::data

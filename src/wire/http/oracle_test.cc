// Heads with random bytes changed: whatever is still accepted, llhttp reads alike. The fuzz targets
// ask the same for longer.
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "base/rng.h"
#include "wire/http/oracle_test.h"

namespace infermesh::http {
namespace {

constexpr std::array<std::string_view, 6> kRequests{
    "POST /v1/chat/completions?a=1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 12\r\nX-A: b\r\n\r\n",
    "GET http://a.example/x HTTP/1.1\r\nhost: a\r\nConnection: keep-alive, te\r\nTE: x\r\n\r\n",
    "PUT /x HTTP/1.0\r\nContent-Length: 3\r\nConnection: close\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: [::1]:80\r\nTransfer-Encoding: chunked\r\nExpect: "
    "100-continue\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost:\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nX:\t y \t\r\n\r\n",
    "DELETE /a HTTP/1.1\r\nHost: a\r\nContent-Length:0\r\nTransfer-Encodin: chunked\r\n\r\n"};
constexpr std::array<std::string_view, 4> kResponses{
    "HTTP/1.1 200 OK\r\ncontent-length: 22\r\nX-Empty: \r\nserver: uvicorn\r\n\r\n",
    "HTTP/1.1 204\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
    "HTTP/1.0 404 Not Found\r\nContent-Type: a/b; c=d\r\n\r\n",
    "HTTP/1.1 304 \r\nContent-Length: 9\r\nConnection: keep-alive\r\nUpgrade: x\r\n\r\n"};
constexpr std::string_view kBytes = " \t\r\n:;,/?#@*%01569aHTPcC-_.\"(){}\x7f\x80\xff";

std::string changed(std::string_view head, Rng& rng) {
  std::string text(head);
  for (std::uint64_t times = 1 + rng.below(3); times > 0; --times) {
    const std::size_t at = rng.below(text.size());
    const char byte = kBytes[rng.below(kBytes.size())];
    switch (rng.below(4)) {
      case 0:
        text.erase(at, 1 + rng.below(3));
        break;
      case 1:
        text.insert(at, 1, byte);
        break;
      case 2:
        text.insert(at, text.substr(rng.below(text.size()), rng.below(20)));
        break;
      default:
        text[at] = byte;
    }
    if (text.empty()) text = "G";
  }
  return text;
}

template <typename Parser, std::size_t N>
int accepted_of(const std::array<std::string_view, N>& heads, Parser parser) {
  constexpr std::uint64_t kSeed = 20240611;
  Rng rng(kSeed);
  int accepted = 0;
  for (int round = 0; round < 40'000; ++round) {
    const std::string text = changed(heads[rng.below(N)], rng);
    Parser fresh = parser;
    const auto progress = fresh.feed(text);
    if (!progress || progress->state != HeadState::kDone) continue;
    if constexpr (requires { fresh.head().status; }) {
      if (text.substr(0, progress->consumed).find("\r\n\r\n") + 4 != progress->consumed) continue;
    }
    ++accepted;
    const std::size_t begin = text.find_first_not_of("\r\n");
    const auto whole = std::string_view(text).substr(begin, progress->consumed - begin);
    EXPECT_EQ(testing::difference(whole, fresh.head()), "") << whole;
  }
  return accepted;
}

TEST(Oracle, ReadsEveryAcceptedRequestAlike) {
  EXPECT_GT(accepted_of(kRequests, RequestHeadParser()), 4000);
}

TEST(Oracle, ReadsEveryAcceptedResponseAlike) {
  EXPECT_GT(accepted_of(kResponses, ResponseHeadParser()), 4000);
}

}  // namespace
}  // namespace infermesh::http

// HTTP/1.1 message heads: the nouns and their incremental parsers. Sans I/O: the caller owns one
// contiguous buffer per connection and hands in everything from the first byte of the message; all
// views point into that buffer and are good while it stays where it is. A parser belongs to one
// connection, on its loop.
//
// Strict on purpose (RFC 9112; request smuggling): bare CR or LF, NUL and other controls, folded
// lines, space before the colon, names that are not tokens, and any doubt about the body's length
// are refused. llhttp checks it in the tests (docs/design/0004-llhttp.md). Limits: head bytes (64
// KiB, kHeaderTooLarge), 200 headers (same). Errors: kBadRequest for requests, kUpstreamBadResponse
// for responses; kExpectationFailed for an unknown Expect.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "wire/http/head_scan.h"

namespace infermesh::http {

constexpr std::size_t kHeadBytesMax = 64 * 1024;

// The first header of that name; nullopt when absent.
std::optional<std::string_view> find(const Headers& headers, HeaderName name);
std::optional<std::string_view> find(const Headers& headers, std::string_view name);
// Whether a Connection header lists this token ("close", or a header that must not be passed on
// either).
bool connection_lists(const Headers& headers, std::string_view token);

enum class BodyFraming : std::uint8_t { kNone, kLength, kChunked, kUntilClose };

struct RequestHead {
  std::string_view method;  // as sent; one of framing.cc
  std::string_view target;  // as sent
  std::string_view path;    // never empty: "/v1/models", or "*" of OPTIONS
  std::string_view query;   // without "?"
  int version_minor = 1;
  Headers headers;
  std::optional<std::uint64_t> content_length;
  bool chunked = false;
  bool keep_alive = true;
  bool has_connection = false;  // there is a Connection header
  bool expect_continue = false;
  bool until_end = false;  // HTTP/2 without a length

  BodyFraming framing() const;
};

struct ResponseHead {
  int status = 0;
  std::string_view reason;  // may be empty
  int version_minor = 1;
  Headers headers;
  std::optional<std::uint64_t> content_length;  // as the header says, also where there is no body
  BodyFraming framing = BodyFraming::kNone;
  bool keep_alive = true;       // false whenever the end of this message is not certain
  bool has_connection = false;  // there is a Connection header
};

// Splits the target, and obeys the headers that the router itself must. nullopt: nothing wrong.
std::optional<Error> complete_request(RequestHead& head);

// Keeps of the head's text only method and path, in `text`, and frees the rest. The views may have
// pointed into `text`.
void forget_headers(RequestHead& head, std::string& text);

enum class HeadState : std::uint8_t { kNeedMore, kDone };

struct HeadProgress {
  HeadState state = HeadState::kNeedMore;
  std::size_t consumed = 0;  // bytes of the head when kDone: the body begins there
};

class RequestHeadParser {
 public:
  explicit RequestHeadParser(std::size_t head_bytes_max = kHeadBytesMax);
  // `buffer` begins with the message's first byte and only grows between calls. After an error or
  // kDone: reset().
  Result<HeadProgress> feed(std::string_view buffer);
  const RequestHead& head() const { return head_; }  // after kDone
  RequestHead& head() { return head_; }
  void reset();  // for the next message; keeps capacity

 private:
  Result<void> complete(std::string_view buffer);

  HeadScan scan_;
  RequestHead head_;
};

// What the response answers: one to HEAD has no body whatever its headers say; one to a request for
// another protocol may be 101.
enum class ResponseTo : std::uint8_t { kHead, kUpgrade, kOther };

// Skips interim responses (100, 102, 103); refuses 101 where it was not asked for.
class ResponseHeadParser {
 public:
  explicit ResponseHeadParser(ResponseTo answers = ResponseTo::kOther,
                              std::size_t head_bytes_max = kHeadBytesMax);
  Result<HeadProgress> feed(
      std::string_view buffer);  // as above; `consumed` includes interim heads
  const ResponseHead& head() const { return head_; }
  void reset(ResponseTo answers);

 private:
  void complete(std::string_view buffer);

  HeadScan scan_;
  ResponseHead head_;
  ResponseTo answers_;
};

}  // namespace infermesh::http

#include "wire/http/head.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "wire/http/head_split.h"

namespace infermesh::http {
namespace {

constexpr std::array<std::string_view, 9> kHopByHop = {
    "connection", "keep-alive", "proxy-connection",   "transfer-encoding",
    "te",         "trailer",    "proxy-authenticate", "proxy-authorization",
    "upgrade"};

constexpr int kStatusNoContent = 204, kStatusNotModified = 304, kStatusSwitching = 101;

// Host is a name or address with an optional port; anything else is a second reading for somebody.
bool is_host(std::string_view host) {
  return std::ranges::all_of(host, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-._~%!$&'()*+;=:[]").find(c) != std::string_view::npos;
  });
}

std::optional<Error> check_host(const RequestHead& head) {
  const auto is_named_host = [](const Header& header) { return is_named(header.name, "host"); };
  const auto hosts = std::ranges::count_if(head.headers, is_named_host);
  if (hosts > 1) return Error{ErrorCode::kBadRequest, "Host is given twice.", "host"};
  if (hosts == 0 && head.version_minor >= 1) {
    return Error{ErrorCode::kBadRequest, "An HTTP/1.1 request needs a Host header.", "host"};
  }
  if (hosts == 1 && !is_host(*find(head.headers, "host"))) {
    return Error{ErrorCode::kBadRequest, "Host is not a host name with an optional port.", "host"};
  }
  return std::nullopt;
}

std::optional<Error> check_expect(RequestHead& head) {
  const auto is_expect = [](const Header& header) { return is_named(header.name, "expect"); };
  for (const Header& header : head.headers) {
    if (!is_expect(header)) continue;
    if (!iequals(header.value, "100-continue")) {
      return Error{ErrorCode::kExpectationFailed, "Only Expect: 100-continue is understood.",
                   "expect"};
    }
    head.expect_continue = head.version_minor >= 1;  // RFC 9110 10.1.1: ignored in HTTP/1.0
  }
  return std::nullopt;
}

void split_target(RequestHead& head) {
  std::string_view rest = head.target;
  if (!rest.starts_with('/') && rest != "*") {  // absolute-form: leave out scheme and authority
    rest.remove_prefix(rest.find("://") + 3);
    rest.remove_prefix(std::min(rest.find_first_of("/?"), rest.size()));
  }
  const auto question = rest.find('?');
  head.path = rest.substr(0, question);
  head.query = question == std::string_view::npos ? std::string_view{} : rest.substr(question + 1);
  if (head.path.empty()) head.path = "/";
}

Result<RequestHead> make_request(std::string_view bytes, const Framing& framing, Headers headers) {
  RequestHead head;
  head.headers = std::move(headers);
  auto split = split_head(MessageKind::kRequest, bytes, framing, head.headers);
  if (!split) return std::unexpected(std::move(split).error());
  head.method = split->method;
  head.target = split->target;
  head.version_minor = framing.version_minor;
  head.content_length = framing.content_length;
  head.chunked = framing.chunked;
  head.keep_alive = split->keep_alive;
  split_target(head);
  if (auto wrong = check_host(head)) return std::unexpected(std::move(*wrong));
  if (auto wrong = check_expect(head)) return std::unexpected(std::move(*wrong));
  return head;
}

// RFC 9112 6.3: which rule says where the body ends.
void set_body(ResponseHead& head, const Framing& framing, ResponseTo answers) {
  const bool has_body = answers != ResponseTo::kHead && head.status != kStatusSwitching &&
                        head.status != kStatusNoContent && head.status != kStatusNotModified;
  if (!has_body) {
    // A 204 that announces a body may be followed by one: not a connection to use again.
    const bool odd = head.status == kStatusNoContent &&
                     (framing.chunked || framing.content_length.value_or(0) > 0);
    if (odd) head.keep_alive = false;
    return;
  }
  if (framing.chunked) {
    head.framing = BodyFraming::kChunked;
  } else if (framing.content_length) {
    head.framing = *framing.content_length == 0 ? BodyFraming::kNone : BodyFraming::kLength;
  } else {
    head.framing = BodyFraming::kUntilClose;
    head.keep_alive = false;
  }
}

Result<ResponseHead> make_response(std::string_view bytes, const Framing& framing, Headers headers,
                                   ResponseTo answers) {
  ResponseHead head;
  head.headers = std::move(headers);
  auto split = split_head(MessageKind::kResponse, bytes, framing, head.headers);
  if (!split) return std::unexpected(std::move(split).error());
  head.status = split->status;
  head.reason = split->reason;
  head.version_minor = framing.version_minor;
  head.content_length = framing.content_length;
  head.keep_alive = split->keep_alive;
  set_body(head, framing, answers);
  return head;
}

}  // namespace

std::optional<std::string_view> find(const Headers& headers, std::string_view name) {
  for (const Header& header : headers) {
    if (is_named(header.name, name)) return header.value;
  }
  return std::nullopt;
}

bool is_hop_by_hop(std::string_view name) {
  return std::ranges::any_of(kHopByHop,
                             [name](std::string_view hop) { return is_named(name, hop); });
}

bool connection_lists(const Headers& headers, std::string_view token) {
  for (const Header& header : headers) {
    if (!iequals(header.name, "connection")) continue;
    std::string_view rest = header.value;
    while (!rest.empty()) {
      const auto comma = std::min(rest.find(','), rest.size());
      if (iequals(trim(rest.substr(0, comma)), token)) return true;
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
  }
  return false;
}

BodyFraming RequestHead::framing() const {
  if (chunked) return BodyFraming::kChunked;
  return content_length.value_or(0) > 0 ? BodyFraming::kLength : BodyFraming::kNone;
}

RequestHeadParser::RequestHeadParser(std::size_t head_bytes_max)
    : scan_(MessageKind::kRequest, head_bytes_max) {}

Result<HeadProgress> RequestHeadParser::feed(std::string_view buffer) {
  auto end = scan_.advance(buffer);
  if (!end) return std::unexpected(std::move(end).error());
  if (!*end) return HeadProgress{};
  const auto begin = scan_.begin();
  auto head =
      make_request(buffer.substr(begin, **end - begin), scan_.framing(), std::move(head_.headers));
  if (!head) return std::unexpected(std::move(head).error());
  head_ = std::move(*head);
  return HeadProgress{HeadState::kDone, **end};
}

void RequestHeadParser::reset() {
  scan_.restart(0);
  Headers kept = std::move(head_.headers);
  kept.clear();
  head_ = {};
  head_.headers = std::move(kept);
}

ResponseHeadParser::ResponseHeadParser(ResponseTo answers, std::size_t head_bytes_max)
    : scan_(MessageKind::kResponse, head_bytes_max), answers_(answers) {}

Result<HeadProgress> ResponseHeadParser::feed(std::string_view buffer) {
  while (true) {
    auto end = scan_.advance(buffer);
    if (!end) return std::unexpected(std::move(end).error());
    if (!*end) return HeadProgress{};
    const auto begin = scan_.begin();
    auto head = make_response(buffer.substr(begin, **end - begin), scan_.framing(),
                              std::move(head_.headers), answers_);
    if (!head) return std::unexpected(std::move(head).error());
    head_ = std::move(*head);
    if (head_.status == kStatusSwitching && answers_ == ResponseTo::kUpgrade) {
      return HeadProgress{HeadState::kDone, **end};
    }
    if (head_.status == kStatusSwitching) {
      return fail(ErrorCode::kUpstreamBadResponse, "The engine switched protocols unasked (101).");
    }
    if (head_.status >= 200) return HeadProgress{HeadState::kDone, **end};
    scan_.restart(**end);
  }
}

void ResponseHeadParser::reset(ResponseTo answers) {
  scan_.restart(0);
  Headers kept = std::move(head_.headers);
  kept.clear();
  head_ = {};
  head_.headers = std::move(kept);
  answers_ = answers;
}

}  // namespace infermesh::http

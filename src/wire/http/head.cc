#include "wire/http/head.h"

#include <algorithm>

#include "base/text.h"

namespace infermesh::http {
namespace {

// The members of a comma-separated list, without blanks around them.
template <typename Take>
void for_each_token(std::string_view list, Take take) {
  while (!list.empty()) {
    const auto comma = std::min(list.find(','), list.size());
    take(trim_blanks(list.substr(0, comma)));
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
}

constexpr int kStatusNoContent = 204, kStatusNotModified = 304, kStatusSwitching = 101;

// What the Connection headers say of the connection itself.
struct Persistence {
  bool told = false;
  bool close = false;
  bool keep_alive = false;

  void take(std::string_view value) {
    told = true;
    for_each_token(value, [this](std::string_view token) {
      close = close || iequals(token, "close");
      keep_alive = keep_alive || iequals(token, "keep-alive");
    });
  }
  bool stays_open(int version_minor) const { return !close && (version_minor >= 1 || keep_alive); }
};

// The headers of a request that the router itself obeys.
std::optional<Error> obey(RequestHead& head) {
  Persistence persistence;
  int hosts = 0;
  for (const Header& header : head.headers) {
    switch (header.id) {
      case HeaderName::kConnection:
        persistence.take(header.value);
        break;
      case HeaderName::kHost:
        if (++hosts > 1) return Error{ErrorCode::kBadRequest, "Host is given twice.", "host"};
        if (!is_host(header.value)) {
          return Error{ErrorCode::kBadRequest, "Host is not a host name with an optional port.",
                       "host"};
        }
        break;
      case HeaderName::kExpect:
        if (!iequals(header.value, "100-continue")) {
          return Error{ErrorCode::kExpectationFailed, "Only Expect: 100-continue is understood.",
                       "expect"};
        }
        head.expect_continue = head.version_minor >= 1;  // RFC 9110 10.1.1: ignored in HTTP/1.0
        break;
      default:
        break;
    }
  }
  if (hosts == 0 && head.version_minor >= 1) {
    return Error{ErrorCode::kBadRequest, "An HTTP/1.1 request needs a Host header.", "host"};
  }
  head.keep_alive = persistence.stays_open(head.version_minor);
  head.has_connection = persistence.told;
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

}  // namespace

std::optional<Error> complete_request(RequestHead& head) {
  split_target(head);
  return obey(head);
}

void forget_headers(RequestHead& head, std::string& text) {
  std::string kept;
  kept.reserve(head.method.size() + head.path.size());
  kept += head.method;
  kept += head.path;
  text.swap(kept);
  head.path = std::string_view(text).substr(head.method.size());
  head.method = std::string_view(text).substr(0, head.method.size());
  head.target = head.query = {};
  Headers().swap(head.headers);
}

std::optional<std::string_view> find(const Headers& headers, HeaderName name) {
  for (const Header& header : headers) {
    if (header.id == name) return header.value;
  }
  return std::nullopt;
}

std::optional<std::string_view> find(const Headers& headers, std::string_view name) {
  const HeaderName id = header_name(name);
  if (id != HeaderName::kOther) return find(headers, id);
  for (const Header& header : headers) {
    if (header.name.size() == name.size() && iequals(header.name, name)) return header.value;
  }
  return std::nullopt;
}

bool connection_lists(const Headers& headers, std::string_view token) {
  bool listed = false;
  for (const Header& header : headers) {
    if (header.id != HeaderName::kConnection) continue;
    for_each_token(header.value,
                   [&](std::string_view entry) { listed = listed || iequals(entry, token); });
  }
  return listed;
}

BodyFraming RequestHead::framing() const {
  if (chunked) return BodyFraming::kChunked;
  if (until_end) return BodyFraming::kUntilClose;
  return content_length.value_or(0) > 0 ? BodyFraming::kLength : BodyFraming::kNone;
}

RequestHeadParser::RequestHeadParser(std::size_t head_bytes_max)
    : scan_(MessageKind::kRequest, head_bytes_max) {}

Result<HeadProgress> RequestHeadParser::feed(std::string_view buffer) {
  switch (scan_.advance(buffer, head_.headers)) {
    case HeadScan::Step::kMore:
      return HeadProgress{};
    case HeadScan::Step::kRefused:
      return std::unexpected(scan_.error());
    case HeadScan::Step::kDone:
      break;
  }
  IM_TRY(complete(buffer));
  return HeadProgress{HeadState::kDone, scan_.end()};
}

Result<void> RequestHeadParser::complete(std::string_view buffer) {
  const StartLine& start = scan_.start_line();
  const std::string_view line = buffer.substr(scan_.begin());
  head_.method = line.substr(0, start.method_size);
  head_.target = line.substr(start.target_begin, start.target_size);
  head_.version_minor = start.version_minor;
  head_.content_length = scan_.framing().content_length;
  head_.chunked = scan_.framing().chunked;
  head_.expect_continue = false;
  if (auto wrong = complete_request(head_)) return std::unexpected(std::move(*wrong));
  return {};
}

void RequestHeadParser::reset() {
  scan_.restart(0);
  head_.headers.clear();
}

ResponseHeadParser::ResponseHeadParser(ResponseTo answers, std::size_t head_bytes_max)
    : scan_(MessageKind::kResponse, head_bytes_max), answers_(answers) {}

Result<HeadProgress> ResponseHeadParser::feed(std::string_view buffer) {
  while (true) {
    switch (scan_.advance(buffer, head_.headers)) {
      case HeadScan::Step::kMore:
        return HeadProgress{};
      case HeadScan::Step::kRefused:
        return std::unexpected(scan_.error());
      case HeadScan::Step::kDone:
        break;
    }
    complete(buffer);
    if (head_.status == kStatusSwitching && answers_ == ResponseTo::kUpgrade) {
      return HeadProgress{HeadState::kDone, scan_.end()};
    }
    if (head_.status == kStatusSwitching) {
      return fail(ErrorCode::kUpstreamBadResponse, "The engine switched protocols unasked (101).");
    }
    if (head_.status >= 200) return HeadProgress{HeadState::kDone, scan_.end()};
    scan_.restart(scan_.end());
    head_.headers.clear();
  }
}

void ResponseHeadParser::complete(std::string_view buffer) {
  const StartLine& start = scan_.start_line();
  head_.status = start.status;
  head_.reason = buffer.substr(scan_.begin() + start.reason_begin, start.reason_size);
  head_.version_minor = start.version_minor;
  head_.content_length = scan_.framing().content_length;
  head_.framing = BodyFraming::kNone;
  Persistence persistence;
  for (const Header& header : head_.headers) {
    if (header.id == HeaderName::kConnection) persistence.take(header.value);
  }
  head_.keep_alive = persistence.stays_open(head_.version_minor);
  head_.has_connection = persistence.told;
  set_body(head_, scan_.framing(), answers_);
}

void ResponseHeadParser::reset(ResponseTo answers) {
  scan_.restart(0);
  head_.headers.clear();
  answers_ = answers;
}

}  // namespace infermesh::http

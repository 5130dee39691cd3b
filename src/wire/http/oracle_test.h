// A second opinion on message heads for the tests: llhttp, which is the work of others. What our
// parsers accept it must accept too, and read alike.
#pragma once

#include <llhttp.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "wire/http/head.h"

namespace infermesh::http::testing {

struct OracleHead {
  std::string method, target, reason;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string name;  // of the header being read
  bool complete = false;
};

inline OracleHead& oracle_of(llhttp_t* parser) {
  return *static_cast<OracleHead*>(parser->data);
}

inline llhttp_settings_t oracle_settings() {
  llhttp_settings_t settings;
  llhttp_settings_init(&settings);
  settings.on_method = [](llhttp_t* parser, const char* at, std::size_t size) {
    oracle_of(parser).method.append(at, size);
    return int{HPE_OK};
  };
  settings.on_url = [](llhttp_t* parser, const char* at, std::size_t size) {
    oracle_of(parser).target.append(at, size);
    return int{HPE_OK};
  };
  settings.on_status = [](llhttp_t* parser, const char* at, std::size_t size) {
    oracle_of(parser).reason.append(at, size);
    return int{HPE_OK};
  };
  settings.on_header_field = [](llhttp_t* parser, const char* at, std::size_t size) {
    oracle_of(parser).name.append(at, size);
    return int{HPE_OK};
  };
  settings.on_header_field_complete = [](llhttp_t* parser) {
    OracleHead& head = oracle_of(parser);
    head.headers.emplace_back(std::exchange(head.name, {}), "");
    return int{HPE_OK};
  };
  settings.on_header_value = [](llhttp_t* parser, const char* at, std::size_t size) {
    oracle_of(parser).headers.back().second.append(at, size);
    return int{HPE_OK};
  };
  settings.on_headers_complete = [](llhttp_t* parser) {
    oracle_of(parser).complete = true;
    return int{HPE_PAUSED};  // the body is not its business
  };
  return settings;
}

// What the two read differently, empty when nothing.
inline std::string header_difference(const Headers& ours, const OracleHead& theirs) {
  if (ours.size() != theirs.headers.size()) return "the number of headers";
  for (std::size_t i = 0; i < ours.size(); ++i) {
    if (ours[i].name != theirs.headers[i].first) return "the name " + theirs.headers[i].first;
    if (ours[i].value != trim_blanks(theirs.headers[i].second)) {
      return "the value " + theirs.headers[i].second;
    }
  }
  return {};
}

inline std::string framing_difference(const llhttp_t& parser, int version_minor, bool chunked,
                                      std::optional<std::uint64_t> length) {
  if (((parser.flags & F_CHUNKED) != 0) != chunked) return "whether it is chunked";
  if (((parser.flags & F_CONTENT_LENGTH) != 0) != length.has_value())
    return "whether it has a length";
  if (length && parser.content_length != *length) return "the length";
  return parser.http_major == 1 && parser.http_minor == version_minor ? "" : "the version";
}

struct Oracle {
  explicit Oracle(llhttp_type_t type, std::string_view text) : settings(oracle_settings()) {
    llhttp_init(&parser, type, &settings);
    parser.data = &head;
    const llhttp_errno_t code = llhttp_execute(&parser, text.data(), text.size());
    if (!head.complete) error = llhttp_errno_name(code);
  }
  Oracle(const Oracle&) = delete;
  Oracle& operator=(const Oracle&) = delete;

  llhttp_settings_t settings;
  llhttp_t parser;
  OracleHead head;
  std::string error;  // why it did not accept the head
};

// `text` is the whole head that gave `head`, from its start line to its blank line.
inline std::string difference(std::string_view text, const RequestHead& head) {
  const Oracle oracle(HTTP_REQUEST, text);
  if (!oracle.error.empty()) return oracle.error;
  if (head.method != oracle.head.method) return "the method";
  if (head.target != oracle.head.target) return "the target";
  if (auto wrong = header_difference(head.headers, oracle.head); !wrong.empty()) return wrong;
  return framing_difference(oracle.parser, head.version_minor, head.chunked, head.content_length);
}

// The same of an answer, interim ones before it left out.
inline std::string difference(std::string_view text, const ResponseHead& head) {
  const Oracle oracle(HTTP_RESPONSE, text);
  if (!oracle.error.empty()) return oracle.error;
  if (head.status != oracle.parser.status_code) return "the status";
  if (head.reason != oracle.head.reason) return "the reason";
  if (auto wrong = header_difference(head.headers, oracle.head); !wrong.empty()) return wrong;
  const bool chunked = find(head.headers, HeaderName::kTransferEncoding).has_value();
  return framing_difference(oracle.parser, head.version_minor, chunked, head.content_length);
}

}  // namespace infermesh::http::testing

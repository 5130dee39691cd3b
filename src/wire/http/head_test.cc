#include "wire/http/head.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/text.h"

namespace infermesh::http {
namespace {

using testing::HasSubstr;

std::string get(std::string_view headers) {
  return "GET / HTTP/1.1\r\nHost: a\r\n" + std::string(headers) + "\r\n";
}

Result<HeadProgress> parse_whole(std::string_view bytes, RequestHeadParser& parser) {
  return parser.feed(bytes);
}

// Feeds one byte more at a time, from a fresh buffer each time: views must not outlive a call that
// needs more.
Result<HeadProgress> parse_bytewise(std::string_view bytes, RequestHeadParser& parser) {
  std::string buffer;
  for (std::size_t size = 1; size < bytes.size(); ++size) {
    buffer = std::string(bytes.substr(0, size));
    auto progress = parser.feed(buffer);
    if (!progress || progress->state == HeadState::kDone) return progress;
  }
  return parser.feed(bytes);
}

TEST(RequestHead, ReadsEveryPartOfAnOrdinaryRequest) {
  const std::string bytes =
      "POST /v1/chat/completions?trace=1 HTTP/1.1\r\nHost: mesh.example:8080\r\n"
      "Content-Type: application/json\r\nContent-Length:  12 \r\nX-Empty:\r\n\r\n{\"model\":1}\n";
  RequestHeadParser parser;
  const auto progress = parse_whole(bytes, parser);
  ASSERT_TRUE(progress) << progress.error().detail;
  EXPECT_EQ(progress->state, HeadState::kDone);
  EXPECT_EQ(bytes.substr(progress->consumed), "{\"model\":1}\n");
  const RequestHead& head = parser.head();
  EXPECT_EQ(head.method, "POST");
  EXPECT_EQ(head.target, "/v1/chat/completions?trace=1");
  EXPECT_EQ(head.path, "/v1/chat/completions");
  EXPECT_EQ(head.query, "trace=1");
  EXPECT_EQ(head.version_minor, 1);
  EXPECT_EQ(head.headers.size(), 4U);
  EXPECT_EQ(find(head.headers, "content-type"), "application/json");
  EXPECT_EQ(find(head.headers, "x-empty"), "");
  EXPECT_EQ(find(head.headers, "x-absent"), std::nullopt);
  EXPECT_EQ(head.content_length, 12U);
  EXPECT_EQ(head.framing(), BodyFraming::kLength);
  EXPECT_TRUE(head.keep_alive);
  EXPECT_FALSE(head.expect_continue);
}

struct Refused {
  const char* name;
  std::string bytes;
  ErrorCode code;
  const char* says;
};

void PrintTo(const Refused& refused, std::ostream* out) {
  *out << refused.name;
}

std::vector<Refused> refused_requests() {
  using namespace std::string_literals;
  const auto bad = ErrorCode::kBadRequest;
  return {
      // The length of the body in doubt.
      {"both_lengths", get("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), bad, "both"},
      {"both_lengths_other_order", get("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), bad,
       "both"},
      {"two_lengths", get("Content-Length: 5\r\nContent-Length: 6\r\n"), bad, "twice"},
      {"two_equal_lengths", get("Content-Length: 5\r\nContent-Length: 5\r\n"), bad, "twice"},
      {"length_list", get("Content-Length: 5, 5\r\n"), bad, "decimal"},
      {"length_plus", get("Content-Length: +5\r\n"), bad, "decimal"},
      {"length_minus", get("Content-Length: -5\r\n"), bad, "decimal"},
      {"length_hex", get("Content-Length: 0x5\r\n"), bad, "decimal"},
      {"length_inner_space", get("Content-Length: 1 2\r\n"), bad, "decimal"},
      {"length_empty", get("Content-Length:\r\n"), bad, "decimal"},
      {"length_overflow", get("Content-Length: 99999999999999999999\r\n"), bad, "decimal"},
      {"length_over_signed", get("Content-Length: 9223372036854775808\r\n"), bad, "too large"},
      {"encoding_gzip_chunked", get("Transfer-Encoding: gzip, chunked\r\n"), bad, "exactly"},
      {"encoding_chunked_identity", get("Transfer-Encoding: chunked, identity\r\n"), bad,
       "exactly"},
      {"encoding_identity", get("Transfer-Encoding: identity\r\n"), bad, "exactly"},
      {"encoding_xchunked", get("Transfer-Encoding: xchunked\r\n"), bad, "exactly"},
      {"encoding_quoted", get("Transfer-Encoding: \"chunked\"\r\n"), bad, "exactly"},
      {"encoding_empty", get("Transfer-Encoding:\r\n"), bad, "exactly"},
      {"encoding_twice", get("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), bad,
       "twice"},
      {"encoding_twice_second_odd", get("Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n"),
       bad, "twice"},
      {"encoding_vertical_tab",
       get("Transfer-Encoding: \x0b"
           "chunked\r\n"),
       bad, "control"},
      {"encoding_in_http10", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
       bad, "HTTP/1.0"},
      // Lines and names.
      {"folded_header", get("X-A: 1\r\n Content-Length: 5\r\n"), bad, "folded"},
      {"folded_with_tab", get("X-A: 1\r\n\tb\r\n"), bad, "folded"},
      {"folded_first_header", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", bad, "folded"},
      {"bare_lf_header", get("X-A: 1\nX-B: 2\r\n"), bad, "bare LF"},
      {"bare_lf_request_line", "GET / HTTP/1.1\nHost: a\r\n\r\n", bad, "bare LF"},
      {"bare_lf_blank_line", "GET / HTTP/1.1\r\nHost: a\r\n\n", bad, "bare LF"},
      {"bare_lf_everywhere", "GET / HTTP/1.1\nHost: a\n\n", bad, "bare LF"},
      {"bare_lf_first", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", bad, "bare LF"},
      {"bare_cr_in_value", get("X-A: 1\rX-B: 2\r\n"), bad, "CR that no LF"},
      {"bare_cr_in_request_line", "GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", bad, "CR that no LF"},
      {"two_crs", get("X-A: 1\r\r\n"), bad, "CR that no LF"},
      {"space_before_colon", get("Content-Length : 5\r\n"), bad, "blank before the colon"},
      {"tab_before_colon", get("Content-Length\t: 5\r\n"), bad, "blank before the colon"},
      {"space_in_name", get("Content Length: 5\r\n"), bad, "not a token"},
      {"no_name", get(": 5\r\n"), bad, "not a token"},
      {"no_colon", get("Content-Length 5\r\n"), bad, "no colon"},
      {"odd_name", get("X(A): 5\r\n"), bad, "not a token"},
      {"non_ascii_name", get("Content-L\xc3\xa9ngth: 5\r\n"), bad, "not a token"},
      {"nul_in_value", get("X-A: a\0b\r\n"s), bad, "NUL"},
      {"nul_in_name", get("X\0A: b\r\n"s), bad, "NUL"},
      {"nul_in_target", "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n"s, bad, "NUL"},
      {"escape_in_value", get("X-A: \x1b[31m\r\n"), bad, "control"},
      {"delete_in_value", get("X-A: \x7f\r\n"), bad, "control"},
      // Host.
      {"no_host", "GET / HTTP/1.1\r\n\r\n", bad, "Host"},
      {"two_hosts", "GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", bad, "twice"},
      {"two_equal_hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", bad, "twice"},
      {"host_list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", bad, "Host is not"},
      {"host_path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", bad, "Host is not"},
      {"host_user", "GET / HTTP/1.1\r\nHost: me@a\r\n\r\n", bad, "Host is not"},
      {"two_hosts_http10", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", bad, "twice"},
      // The request line.
      {"two_spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", bad, "space"},
      {"space_in_target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", bad, "space"},
      {"space_at_end", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", bad, "space"},
      {"leading_space", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", bad, "begin"},
      {"tab_separator", "GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n", bad, "request line"},
      {"http09", "GET /\r\n\r\n", bad, "request line"},
      {"http20", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", bad, "version"},
      {"http12", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", bad, "version"},
      {"http11_long", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", bad, "version"},
      {"http_lower", "GET / http/1.1\r\nHost: a\r\n\r\n", bad, "version"},
      {"h2_preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", bad, "version"},
      {"rtsp", "GET / RTSP/1.0\r\nHost: a\r\n\r\n", bad, "version"},
      {"unknown_method", "BREW / HTTP/1.1\r\nHost: a\r\n\r\n", bad, "BREW"},
      {"lower_method", "get / HTTP/1.1\r\nHost: a\r\n\r\n", bad, "get"},
      {"rtsp_method", "PLAY / HTTP/1.1\r\nHost: a\r\n\r\n", bad, ""},
      {"odd_method", "GE(T / HTTP/1.1\r\nHost: a\r\n\r\n", bad, "token"},
      {"authority_form", "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", bad, "target"},
      {"asterisk_of_get", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", bad, "target"},
      {"relative_target", "GET models HTTP/1.1\r\nHost: a\r\n\r\n", bad, "target"},
      {"other_scheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", bad, "target"},
      {"absolute_no_host", "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", bad, "no host"},
      {"absolute_user", "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", bad, "user"},
      {"fragment", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", bad, "fragment"},
      {"non_ascii_target", "GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", bad, "percent"},
      {"tab_in_target", "GET /\t HTTP/1.1\r\nHost: a\r\n\r\n", bad, "percent"},
      {"tls", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", bad, "TLS"},
      {"binary", "\x80\x81 / HTTP/1.1\r\n", bad, "begin"},
      {"too_many_empty_lines", "\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", bad,
       "empty lines"},
      {"unknown_expect", get("Expect: 200-ok\r\n"), ErrorCode::kExpectationFailed, "100-continue"},
  };
}

// Where llhttp is the stricter one.
std::vector<Refused> refused_by_others() {
  const auto bad = ErrorCode::kBadRequest;
  return {{"length_tab_after", get("Content-Length: 5\t\r\n"), bad, "decimal"},
          {"absolute_odd_host", "GET http://a\"b/ HTTP/1.1\r\nHost: a\r\n\r\n", bad, "no host"},
          {"tunnel_to_a_path", "CONNECT /a HTTP/1.1\r\nHost: a\r\n\r\n", bad, "target"}};
}

class RefusedRequest : public testing::TestWithParam<Refused> {};

TEST_P(RefusedRequest, IsAnErrorWholeAndByteByByte) {
  const Refused& refused = GetParam();
  RequestHeadParser whole, bytewise;
  const auto first = parse_whole(refused.bytes, whole);
  ASSERT_FALSE(first) << "accepted";
  EXPECT_EQ(first.error().code, refused.code);
  EXPECT_THAT(first.error().detail, HasSubstr(refused.says));
  const auto second = parse_bytewise(refused.bytes, bytewise);
  ASSERT_FALSE(second) << "accepted byte by byte";
  EXPECT_EQ(first.error(), second.error());
}

INSTANTIATE_TEST_SUITE_P(Smuggling, RefusedRequest, testing::ValuesIn(refused_requests()),
                         [](const auto& test) { return std::string(test.param.name); });
INSTANTIATE_TEST_SUITE_P(Others, RefusedRequest, testing::ValuesIn(refused_by_others()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(RequestHead, AcceptsWhatIsOddButClear) {
  for (const std::string& bytes : {
           get("Content-Length: 0005\r\n"),
           get("transfer-ENCODING: \tCHUNKED \r\n"),
           get("X-A: caf\xc3\xa9 \t end\r\n"),
           get("X!#$%&'*+-.^_`|~9: x\r\n"),
           std::string("GET / HTTP/1.1\r\nHost:\r\n\r\n"),
           std::string("GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n"),
           std::string("GET / HTTP/1.0\r\n\r\n"),
           std::string("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
           std::string("GET /{a}|b\"c HTTP/1.1\r\nHost: a\r\n\r\n"),
           std::string("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
       }) {
    RequestHeadParser whole, bytewise;
    const auto first = parse_whole(bytes, whole);
    ASSERT_TRUE(first) << bytes << first.error().detail;
    EXPECT_EQ(first->state, HeadState::kDone);
    EXPECT_EQ(first->consumed, bytes.size());
    const auto second = parse_bytewise(bytes, bytewise);
    ASSERT_TRUE(second) << bytes;
    EXPECT_EQ(second->consumed, first->consumed);
    EXPECT_EQ(whole.head().target, bytewise.head().target);
  }
}

TEST(RequestHead, SplitsAnAbsoluteTarget) {
  const auto path_of = [](std::string_view target) {
    RequestHeadParser parser;
    const std::string bytes = "GET " + std::string(target) + " HTTP/1.1\r\nHost: a\r\n\r\n";
    EXPECT_TRUE(parser.feed(bytes));
    return std::string(parser.head().path) + " " + std::string(parser.head().query);
  };
  EXPECT_EQ(path_of("http://a:80/v1/models?x=1"), "/v1/models x=1");
  EXPECT_EQ(path_of("HTTP://a"), "/ ");
  EXPECT_EQ(path_of("https://a?x"), "/ x");
  EXPECT_EQ(path_of("/a?b=http://c/?d"), "/a b=http://c/?d");
}

TEST(RequestHead, PipelinedMessagesComeOutOneAfterTheOther) {
  const std::string bytes =
      "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: "
      "3\r\n\r\nabc"
      "\r\nGET /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  RequestHeadParser parser;
  std::string_view rest = bytes;
  std::string paths;
  for (int message = 0; message < 3; ++message) {
    parser.reset();
    const auto progress = parser.feed(rest);
    ASSERT_TRUE(progress) << progress.error().detail;
    ASSERT_EQ(progress->state, HeadState::kDone);
    paths += parser.head().path;
    EXPECT_EQ(parser.head().keep_alive, message < 2);
    rest.remove_prefix(progress->consumed + parser.head().content_length.value_or(0));
  }
  EXPECT_EQ(paths, "/1/2/3");
  EXPECT_TRUE(rest.empty());
}

TEST(RequestHead, KeepAliveFollowsVersionAndConnection) {
  const auto keeps = [](std::string_view version, std::string_view headers) {
    RequestHeadParser parser;
    const std::string bytes =
        "GET / HTTP/" + std::string(version) + "\r\nHost: a\r\n" + std::string(headers) + "\r\n";
    EXPECT_TRUE(parser.feed(bytes)) << bytes;
    return parser.head().keep_alive;
  };
  EXPECT_TRUE(keeps("1.1", ""));
  EXPECT_FALSE(keeps("1.1", "Connection: Close\r\n"));
  EXPECT_FALSE(keeps("1.1", "Connection: te, close\r\n"));
  EXPECT_FALSE(keeps("1.1", "Connection: keep-alive\r\nConnection: close\r\n"));
  EXPECT_FALSE(keeps("1.0", ""));
  EXPECT_TRUE(keeps("1.0", "Connection: Keep-Alive\r\n"));
  EXPECT_FALSE(keeps("1.0", "Connection: keep-alive, close\r\n"));
  EXPECT_TRUE(keeps("1.1", "Connection: upgrade\r\nUpgrade: h2c\r\n"));
}

TEST(RequestHead, ExpectContinueIsForHttp11Only) {
  RequestHeadParser parser;
  std::string bytes = get("Expect: 100-Continue\r\nContent-Length: 1\r\n");
  ASSERT_TRUE(parser.feed(bytes));
  EXPECT_TRUE(parser.head().expect_continue);
  parser.reset();
  bytes = "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n";
  ASSERT_TRUE(parser.feed(bytes));
  EXPECT_FALSE(parser.head().expect_continue);
}

TEST(RequestHead, HeadLimitHoldsWholeAndByteByByte) {
  const std::string fits = get("X-A: " + std::string(60, 'a') + "\r\n");
  for (const std::size_t limit : {fits.size(), fits.size() - 1}) {
    RequestHeadParser whole(limit), bytewise(limit);
    const auto first = parse_whole(fits, whole);
    const auto second = parse_bytewise(fits, bytewise);
    EXPECT_EQ(first.has_value(), limit == fits.size());
    EXPECT_EQ(second.has_value(), limit == fits.size());
    if (first) continue;
    EXPECT_EQ(first.error().code, ErrorCode::kHeaderTooLarge);
    EXPECT_EQ(second.error(), first.error());
  }
  RequestHeadParser endless(100);
  EXPECT_FALSE(endless.feed("GET /" + std::string(100, 'a')));
}

TEST(RequestHead, MoreThan200HeadersAreRefused) {
  std::string headers;
  for (int i = 0; i < 199; ++i) headers += "X-" + std::to_string(i) + ": v\r\n";
  RequestHeadParser parser;
  const std::string fits = get(headers);
  ASSERT_TRUE(parser.feed(fits));
  EXPECT_EQ(parser.head().headers.size(), kHeadersMax);
  parser.reset();
  const auto refused = parser.feed(get(headers + "X-More: v\r\n"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kHeaderTooLarge);
}

TEST(RequestHead, ALongHeadFedByteByByteEndsWhereItShould) {
  // 2 GiB.
  std::string bytes = "GET / HTTP/1.1\r\nHost: a\r\n";
  while (bytes.size() < 60'000) bytes += "X-Long: " + std::string(990, 'v') + "\r\n";
  bytes += "\r\n";
  RequestHeadParser parser;
  for (std::size_t size = 1; size < bytes.size(); ++size) {
    const auto progress = parser.feed(std::string_view(bytes).substr(0, size));
    ASSERT_TRUE(progress);
    ASSERT_EQ(progress->state, HeadState::kNeedMore);
  }
  const auto progress = parser.feed(bytes);
  ASSERT_TRUE(progress);
  EXPECT_EQ(progress->consumed, bytes.size());
}

TEST(HeadScan, ControlBytesAreFoundAtEveryPlace) {
  for (std::size_t at = 0; at < 20; ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string value(20, 'v');
      value[at] = static_cast<char>(byte);
      const bool allowed = byte == '\t' || (byte >= 0x20 && byte != 0x7f);
      EXPECT_EQ(is_field_content(value), allowed) << at << " " << byte;
    }
  }
}

TEST(HeaderName, EachIsFoundInAnyCaseAndNothingElseIs) {
  for (std::size_t i = 1; i < kHeaderNames; ++i) {
    const auto id = static_cast<HeaderName>(i);
    std::string name(to_string(id));
    EXPECT_EQ(header_name(name), id) << name;
    for (char& c : name) {
      if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
    }
    EXPECT_EQ(header_name(name), id) << name;
    for (std::size_t at = 0; at < name.size(); ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string other = name;
        other[at] = static_cast<char>(byte);
        if (iequals(other, name)) continue;
        EXPECT_NE(header_name(other), id) << other;
      }
    }
  }
  EXPECT_EQ(header_name(""), HeaderName::kOther);
  EXPECT_EQ(header_name("x"), HeaderName::kOther);
}

TEST(Headers, HopByHopNamesAreKnownInAnyCase) {
  const auto is_hop_by_hop = [](std::string_view name) { return kHopByHop.has(header_name(name)); };
  EXPECT_TRUE(is_hop_by_hop("Connection"));
  EXPECT_TRUE(is_hop_by_hop("TRANSFER-ENCODING"));
  EXPECT_TRUE(is_hop_by_hop("keep-alive"));
  EXPECT_FALSE(is_hop_by_hop("content-type"));
  EXPECT_FALSE(is_hop_by_hop("x-other"));
  const Headers headers = {{"connection", "close, X-Private"}, {"x-private", "1"}};
  EXPECT_TRUE(connection_lists(headers, "x-private"));
  EXPECT_FALSE(connection_lists(headers, "x-priv"));
}

TEST(RequestHead, ForgettingItsHeadersLeavesMethodAndPath) {
  std::string text =
      "POST /v1/chat/completions?a=b HTTP/1.1\r\nhost: x\r\nx-long: " + std::string(1000, 'y') +
      "\r\n\r\n";
  RequestHeadParser parser;
  ASSERT_EQ(parser.feed(text)->state, HeadState::kDone);
  forget_headers(parser.head(), text);
  EXPECT_EQ(parser.head().method, "POST");
  EXPECT_EQ(parser.head().path, "/v1/chat/completions");
  EXPECT_EQ(parser.head().query, "");
  EXPECT_EQ(parser.head().headers.capacity(), 0u);
  EXPECT_EQ(text, "POST/v1/chat/completions");
  parser.reset();
  EXPECT_EQ(parser.feed("GET / HTTP/1.1\r\nhost: x\r\n\r\n")->state, HeadState::kDone);
  EXPECT_EQ(parser.head().method, "GET");
}

}  // namespace
}  // namespace infermesh::http

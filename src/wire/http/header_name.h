// HeaderName: the fields that something in the router asks for, so that each header's name is
// compared once, when its head is read, and never again. All others are kOther; they are found by
// their text.
#pragma once

#include <cstdint>
#include <string_view>

namespace infermesh::http {

// The order is that of the table in the source.
enum class HeaderName : std::uint8_t {
  kOther,
  kAccept,
  kAcceptEncoding,
  kAnthropicVersion,
  kApiKey,
  kAuthorization,
  kConnection,
  kContentLength,
  kContentType,
  kCookie,
  kDate,
  kEndpointLoadMetrics,
  kEndpointLoadMetricsFormat,
  kExpect,
  kHost,
  kKeepAlive,
  kOrigin,
  kProcessStartTimeUnix,
  kProxyAuthenticate,
  kProxyAuthorization,
  kProxyConnection,
  kRequestId,
  kRetryAfter,
  kRetryAfterMs,
  kSecWebsocketAccept,
  kSecWebsocketExtensions,
  kSecWebsocketKey,
  kSecWebsocketProtocol,
  kSecWebsocketVersion,
  kServer,
  kTe,
  kTraceparent,
  kTracestate,
  kTrailer,
  kTransferEncoding,
  kUpgrade,
  kUserAgent,
  kVia,
  kXApiKey,
  kXGoogApiKey,
  kXInfermeshPriority,
  kXInfermeshTimeoutMs,
  kXRequestId,
  kXShouldRetry,
  kXStainlessReadTimeout,
};
constexpr std::size_t kHeaderNames = 45;

HeaderName header_name(std::string_view name);  // ASCII case-insensitive
std::string_view to_string(HeaderName name);    // in lower case; empty for kOther

// A set of names, for "is it one of these".
class HeaderNames {
 public:
  template <typename... Names>
  explicit constexpr HeaderNames(Names... names)
      : bits_(((std::uint64_t{1} << static_cast<unsigned>(names)) | ...)) {}
  constexpr bool has(HeaderName name) const { return (bits_ >> static_cast<unsigned>(name)) & 1; }

 private:
  static_assert(kHeaderNames <= 64);
  std::uint64_t bits_;
};

// Fields of one connection only, never passed on (RFC 9110 7.6.1), whether or not Connection names
// them.
constexpr HeaderNames kHopByHop{HeaderName::kConnection,
                                HeaderName::kKeepAlive,
                                HeaderName::kProxyConnection,
                                HeaderName::kTransferEncoding,
                                HeaderName::kTe,
                                HeaderName::kTrailer,
                                HeaderName::kProxyAuthenticate,
                                HeaderName::kProxyAuthorization,
                                HeaderName::kUpgrade};

}  // namespace infermesh::http

#include "wire/grpc/status.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace infermesh::grpc {
namespace {

struct Unit {
  char name;
  Duration one;
};
constexpr std::array<Unit, 6> kUnits{
    {{'n', 1ns}, {'u', 1us}, {'m', 1ms}, {'S', 1s}, {'M', 1min}, {'H', 1h}}};
constexpr std::size_t kDigitsMax = 8;
constexpr std::int64_t kNumberMax = 99'999'999;

}  // namespace

Status status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kClientClosed:
      return Status::kCancelled;
    case ErrorCode::kDeadlineExceeded:
    case ErrorCode::kQueueDeadline:
    case ErrorCode::kFirstByteTimeout:
    case ErrorCode::kStreamStalled:
    case ErrorCode::kRequestTimeout:
      return Status::kDeadlineExceeded;
    case ErrorCode::kModelNotFound:
    case ErrorCode::kNotFound:
      return Status::kNotFound;
    case ErrorCode::kUnknownPath:
    case ErrorCode::kMethodNotAllowed:
    case ErrorCode::kApiNotServed:
      return Status::kUnimplemented;
    case ErrorCode::kForbidden:
      return Status::kPermissionDenied;
    case ErrorCode::kUnauthorized:
      return Status::kUnauthenticated;
    case ErrorCode::kRequestTooLarge:
    case ErrorCode::kHeaderTooLarge:
    case ErrorCode::kConcurrencyLimit:
    case ErrorCode::kShed:
      return Status::kResourceExhausted;
    case ErrorCode::kQueueFull:
    case ErrorCode::kNoHealthyBackend:
    case ErrorCode::kDraining:
    case ErrorCode::kUnavailable:
    case ErrorCode::kUpstreamConnectFailed:
    case ErrorCode::kUpstreamReset:
      return Status::kUnavailable;
    default:
      return error_info(code).status < 500 ? Status::kInvalidArgument : Status::kInternal;
  }
}

Status status_of_http(int status) {
  switch (status) {
    case 400:
      return Status::kInternal;
    case 401:
      return Status::kUnauthenticated;
    case 403:
      return Status::kPermissionDenied;
    case 404:
      return Status::kUnimplemented;
    case 429:
    case 502:
    case 503:
    case 504:
      return Status::kUnavailable;
    default:
      return Status::kUnknown;
  }
}

std::optional<Status> parse_status(std::string_view text) {
  const auto number = parse_u64(text);
  if (!number || *number > 16) return std::nullopt;
  return static_cast<Status>(*number);
}

int http_of(Status status) {
  constexpr std::array<int, 17> kHttp{200, 499, 500, 400, 504, 404, 409, 403, 429,
                                      400, 409, 400, 501, 500, 503, 500, 401};
  return kHttp[static_cast<std::size_t>(status)];
}

std::string escape_message(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f && c != '%') {
      out += c;
    } else {
      out += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out;
}

std::optional<Duration> parse_timeout(std::string_view text) {
  if (text.size() < 2 || text.size() > kDigitsMax + 1) return std::nullopt;
  const auto unit = std::ranges::find(kUnits, text.back(), &Unit::name);
  const auto number = parse_u64(text.substr(0, text.size() - 1));
  if (unit == kUnits.end() || !number) return std::nullopt;
  const Duration most = Duration::max() / 4;
  const auto count = static_cast<std::int64_t>(*number);
  return count > most / unit->one ? most : unit->one * count;
}

std::string format_timeout(Duration left) {
  left = std::max(left, Duration(1));
  for (const Unit& unit : kUnits) {
    if (left / unit.one <= kNumberMax) return std::to_string(left / unit.one) + unit.name;
  }
  return std::to_string(kNumberMax) + kUnits.back().name;
}

}  // namespace infermesh::grpc

// Status and deadline of a gRPC call as its headers and trailers carry them (gRPC over HTTP/2,
// grpc/doc/PROTOCOL-HTTP2.md), and how infermesh's own errors become statuses.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace infermesh::grpc {

enum class Status : std::uint8_t {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

Status status_of(ErrorCode code);
// The status of a peer that answered without one (HTTP 502 of a proxy, say).
Status status_of_http(int status);
std::optional<Status> parse_status(std::string_view text);
// For metrics and records: the HTTP status that says the same.
int http_of(Status status);

// grpc-message: bytes outside of printable ASCII, and %, as %XX.
std::string escape_message(std::string_view text);

// "5S", "100m": at most 8 digits and a unit of H M S m u n. nullopt: malformed.
std::optional<Duration> parse_timeout(std::string_view text);
// As exact as 8 digits allow; at least 1n.
std::string format_timeout(Duration left);

}  // namespace infermesh::grpc

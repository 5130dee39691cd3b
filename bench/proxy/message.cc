#include "message.h"

#include <strings.h>

#include <cerrno>
#include <charconv>

namespace infermesh::bench {
namespace {

// The value of a header whose name is `name`; empty when the line is another one.
std::string_view value_of(std::string_view line, std::string_view name) {
  if (line.size() <= name.size() || line[name.size()] != ':') return {};
  if (strncasecmp(line.data(), name.data(), name.size()) != 0) return {};
  line.remove_prefix(name.size() + 1);
  while (!line.empty() && line.front() == ' ') line.remove_prefix(1);
  return line;
}

}  // namespace

std::optional<Head> read_head(std::string_view bytes) {
  const auto end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos) return std::nullopt;
  Head head;
  head.size = end + 4;
  std::string_view rest = bytes.substr(0, end + 2);
  head.first_line = rest.substr(0, rest.find("\r\n"));
  rest.remove_prefix(head.first_line.size() + 2);
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find("\r\n"));
    rest.remove_prefix(line.size() + 2);
    if (const auto length = value_of(line, "content-length"); !length.empty())
      std::from_chars(length.data(), length.data() + length.size(), head.length);
    else if (value_of(line, "transfer-encoding") == "chunked")
      head.chunked = true;
    else if (value_of(line, "connection") == "close")
      head.close = true;
  }
  return head;
}

void Body::start(const Head& head) {
  left_ = head.chunked ? 0 : head.length;
  state_ = head.chunked ? State::kSize : left_ == 0 ? State::kEnded : State::kPlain;
  line_.clear();
}

void Body::skip(std::size_t count) {
  left_ -= count;
  if (left_ == 0) state_ = state_ == State::kPlain ? State::kEnded : State::kDataEnd;
}

bool Body::frame(std::string_view& bytes) {
  const auto end = bytes.find('\n');
  line_.append(bytes.substr(0, end));
  if (end == std::string_view::npos) {
    bytes = {};
    return false;
  }
  bytes.remove_prefix(end + 1);
  if (state_ == State::kDataEnd) {
    state_ = line_ == "\r" ? State::kSize : State::kBroken;
  } else if (state_ == State::kTrailer) {
    if (line_ == "\r") state_ = State::kEnded;
  } else {
    const auto read = std::from_chars(line_.data(), line_.data() + line_.size(), left_, 16);
    state_ = read.ec != std::errc{} ? State::kBroken : left_ == 0 ? State::kTrailer : State::kData;
  }
  line_.clear();
  return true;
}

bool send_some(int fd, std::string_view& bytes) {
  while (!bytes.empty()) {
    const auto sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return errno == EAGAIN;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

}  // namespace infermesh::bench

// normalize_upstream_error (error_body.h).
#include <algorithm>

#include "base/text.h"
#include "wire/json/members.h"
#include "wire/json/text.h"
#include "wire/json/write.h"
#include "wire/openai/error_body.h"

namespace infermesh::openai {
namespace {

using json::find_member;
using json::Member;
using json::TokenKind;
using Members = std::vector<Member>;

bool is_snake_case(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

std::string_view type_for(std::uint16_t status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 429:
      return "rate_limit_error";
    case 408:
    case 504:
      return "timeout_error";
    case 503:
    case 529:
      return "overloaded_error";
    default:
      return status >= 400 && status < 500 ? "invalid_request_error" : "upstream_error";
  }
}

// A line that shows code of the engine: Python, Java and Node, C++ backtraces.
bool is_trace_line(std::string_view line) {
  const std::string_view text = trim(line);
  if (text.contains("Traceback (most recent call last)")) return true;
  if (text.starts_with("File \"") && text.contains(", line ")) return true;
  if (text.starts_with("at ") && text.contains('(') && text.contains(':')) return true;
  return text.starts_with("#0 ") || text.starts_with("#1 ");
}

bool looks_like_markup(std::string_view text) {
  const std::string_view begin = trim(text);
  return begin.starts_with('<') || begin.contains("<html") || begin.contains("<HTML");
}

// What may be passed on of a message: up to the first line of a trace, valid UTF-8, at most
// kMessageBytesMax.
std::string clean_message(std::string_view message) {
  std::string clean = json::valid_utf8(message);
  std::erase_if(clean, [](char c) { return static_cast<unsigned char>(c) < 0x20 && c != '\n'; });
  std::size_t kept = 0;
  for (std::size_t at = 0; at < clean.size();) {
    const std::size_t end = std::min(clean.find('\n', at), clean.size());
    if (is_trace_line(std::string_view(clean).substr(at, end - at))) break;
    kept = end;
    at = end + 1;
  }
  clean.resize(kept);
  if (looks_like_markup(clean)) return {};
  std::string text(trim(clean));
  if (text.size() <= kMessageBytesMax) return text;
  std::size_t cut = kMessageBytesMax - 3;
  while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xc0) == 0x80) --cut;
  return text.substr(0, cut) + "...";
}

std::string string_at(const Members& members, std::string_view path) {
  const Member* member = find_member(members, path);
  return member != nullptr && member->kind == TokenKind::kString ? member->text() : std::string();
}

std::optional<std::uint16_t> status_at(const Members& members, std::string_view path) {
  const Member* member = find_member(members, path);
  if (member == nullptr || member->kind != TokenKind::kNumber) return std::nullopt;
  const auto number = parse_u64(member->raw);
  if (!number || *number < 400 || *number > 599) return std::nullopt;
  return static_cast<std::uint16_t>(*number);
}

// The first text there is among the places where engines put their message.
std::string message_in(const Members& members) {
  for (const std::string_view path :
       {"error.message", "error", "message", "detail", "detail.msg", "error.error"}) {
    std::string text = string_at(members, path);
    if (!text.empty()) return text;
  }
  return {};
}

void read_fields(const Members& members, UpstreamError& error) {
  const bool nested = find_member(members, "error.message") != nullptr;
  const std::string prefix = nested ? "error." : "";
  std::string type = string_at(members, prefix + "type");
  if (type == "error" && !nested) type.clear();  // the envelope's own type
  const bool class_like = !is_snake_case(type);
  error.param = string_at(members, prefix + "param");
  error.code = string_at(members, prefix + "code");
  if (error.code.empty()) error.code = string_at(members, "error_type");  // TGI
  if (!is_snake_case(error.code) || parse_u64(error.code)) error.code.clear();
  const auto code_status = status_at(members, prefix + "code");
  if (error.status == 0) error.status = code_status.value_or(502);
  error.type = class_like ? std::string(type_for(error.status)) : type;
  if (error.status == 404 && error.param == "model" && error.code.empty()) {
    error.code = "model_not_found";
  }
}

}  // namespace

UpstreamError normalize_upstream_error(Api /*api*/, std::uint16_t status,
                                       std::string_view content_type, std::string_view body) {
  UpstreamError error{.status = status, .message = {}, .type = {}, .param = {}, .code = {}};
  if (const auto members = json::read_members(body)) {
    error.message = clean_message(message_in(*members));
    read_fields(*members, error);
  } else if (lower(content_type).starts_with("text/plain")) {
    error.message = clean_message(body);
  }
  if (error.status == 0) error.status = 502;
  if (error.type.empty()) error.type = type_for(error.status);
  if (error.message.empty()) {
    error.message = "The engine answered " + std::to_string(error.status) +
                    " without a message that can be passed on.";
  }
  return error;
}

}  // namespace infermesh::openai

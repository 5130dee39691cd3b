#include "wire/json/members.h"

#include <array>

#include "wire/json/text.h"

namespace infermesh::json {

std::string Member::text() const {
  return unescape(raw);
}

std::optional<std::vector<Member>> read_members(std::string_view text) {
  std::vector<Member> members;
  std::array<std::size_t, kMembersDepthMax + 2> lengths{};  // of the path, by depth
  std::string path;
  Scanner scanner;
  scanner.feed(text);
  for (Token token = scanner.next(); token.kind != TokenKind::kMore; token = scanner.next()) {
    if (token.kind == TokenKind::kError) return std::nullopt;
    if (token.depth == 0 && token.kind != TokenKind::kBeginObject &&
        token.kind != TokenKind::kEndObject) {
      return std::nullopt;
    }
    if (token.depth > kMembersDepthMax) continue;
    switch (token.kind) {
      case TokenKind::kKey:
        path.resize(lengths[token.depth]);
        if (!path.empty()) path.push_back('.');
        path += unescape(token.text);
        break;
      case TokenKind::kBeginObject:
      case TokenKind::kBeginArray:
        lengths[token.depth + 1U] = path.size();
        break;
      case TokenKind::kEndObject:
      case TokenKind::kEndArray:
        path.resize(lengths[token.depth + 1U]);
        break;
      default:
        if (members.size() < kMembersMax) members.push_back({path, token.kind, token.text});
    }
  }
  if (!scanner.finish()) return std::nullopt;
  return members;
}

const Member* find_member(const std::vector<Member>& members, std::string_view path) {
  for (auto member = members.rbegin(); member != members.rend(); ++member) {
    if (member->path == path) return &*member;
  }
  return nullptr;
}

}  // namespace infermesh::json

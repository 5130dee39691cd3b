// read_members: the scalars of a small JSON object that is there whole, flat, by dotted path. For
// error bodies and the like; what has a large array or arrives in pieces is read with the Scanner.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wire/json/scanner.h"

namespace infermesh::json {

constexpr std::size_t kMembersMax = 64;        // later ones are left out
constexpr std::uint32_t kMembersDepthMax = 4;  // deeper ones too

struct Member {
  std::string path;          // "error.message"; elements of arrays have the array's path
  TokenKind kind;            // kString, kNumber, kTrue, kFalse, kNull
  std::string_view raw;      // of the text given, still escaped
  std::string text() const;  // unescaped
};

// nullopt when the text is not one JSON object.
std::optional<std::vector<Member>> read_members(std::string_view text);

// The last member of that path, as a later key of the same name counts; null when there is none.
const Member* find_member(const std::vector<Member>& members, std::string_view path);

}  // namespace infermesh::json

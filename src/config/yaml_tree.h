// YAML text -> a plain tree with places. The only file that touches yaml-cpp: it turns its
// exceptions into Problems, counts lines and columns from 1, refuses duplicate keys (which yaml-cpp
// lets pass), and bounds depth and size, so that aliases cannot make a small file large or endless.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "config/problem.h"

namespace infermesh::config {

constexpr int kYamlDepthMax = 32;
constexpr std::size_t kYamlNodesMax = 200'000;  // of one file, aliases counted each time

struct YamlEntry;

struct YamlNode {
  enum class Kind : std::uint8_t { kNull, kScalar, kSequence, kMap };

  Kind kind = Kind::kNull;
  std::string text;  // of a scalar
  std::vector<YamlNode> items;
  std::vector<YamlEntry> entries;  // in the order written
  int line = 0;
  int column = 0;

  const YamlEntry* find(std::string_view key) const;
};

struct YamlEntry {
  std::string key;
  int line = 0;
  int column = 0;
  YamlNode value;
};

std::string_view to_string(YamlNode::Kind kind);  // "nothing", "text", "a list", "a map"

// The documents of a file of UTF-8; empty ones are left out. `file` is only a name for the
// problems.
std::expected<std::vector<YamlNode>, Problems> parse_yaml(std::string_view file,
                                                          std::string_view text);

}  // namespace infermesh::config

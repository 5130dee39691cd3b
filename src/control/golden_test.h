// Golden text of the tests of this folder: compares with testdata/NAME, or writes it when
// INFERMESH_REWRITE=1.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

namespace infermesh::control {

inline void expect_golden(const std::string& name, const std::string& actual) {
  const std::string path = std::string(INFERMESH_SOURCE_DIR) + "/src/control/testdata/" + name;
  if (std::getenv("INFERMESH_REWRITE") != nullptr) {
    std::ofstream(path, std::ios::binary) << actual;
    return;
  }
  std::ifstream file(path, std::ios::binary);
  std::stringstream expected;
  expected << file.rdbuf();
  EXPECT_EQ(expected.str(), actual) << "INFERMESH_REWRITE=1 writes " << path;
}

// Line breaks between members of the outer levels, so that a difference reads well.
inline std::string reflow(std::string_view text, int levels) {
  std::string out;
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"' && (i == 0 || text[i - 1] != '\\')) quoted = !quoted;
    out += c;
    if (quoted) continue;
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    if (c == ',' && depth <= levels) out += '\n';
  }
  return out + '\n';
}

}  // namespace infermesh::control

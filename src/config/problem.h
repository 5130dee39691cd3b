// Problem: one thing wrong with what an operator wrote, and where. Collected, never thrown: a file
// with three mistakes gives three of them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace infermesh::config {

struct Problem {
  std::string file;  // empty: the message names its own place (a flag, a variable)
  int line = 0;      // from 1; 0 = the file as a whole
  int column = 0;    // from 1
  std::string message;

  // "infermesh.yaml:12:5: unknown key \"enigne\"; did you mean \"engine\"?"
  std::string text() const;
  bool operator==(const Problem&) const = default;
};

using Problems = std::vector<Problem>;

std::string join_lines(const Problems& problems);  // one a line, no newline at the end

// `; did you mean "engine"?`, or nothing when no candidate is near.
std::string suggestion(std::string_view wrong, const std::vector<std::string>& candidates);

}  // namespace infermesh::config

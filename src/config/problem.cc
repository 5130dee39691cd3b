#include "config/problem.h"

#include <fmt/format.h>

#include "base/text.h"

namespace infermesh::config {

std::string Problem::text() const {
  if (file.empty()) return message;
  if (line == 0) return fmt::format("{}: {}", file, message);
  return fmt::format("{}:{}:{}: {}", file, line, column, message);
}

std::string join_lines(const Problems& problems) {
  std::string lines;
  for (const Problem& problem : problems) {
    if (!lines.empty()) lines += '\n';
    lines += problem.text();
  }
  return lines;
}

std::string suggestion(std::string_view wrong, const std::vector<std::string>& candidates) {
  const auto near = nearest(wrong, candidates, 1);
  return near.empty() ? std::string{} : fmt::format("; did you mean \"{}\"?", near[0]);
}

}  // namespace infermesh::config

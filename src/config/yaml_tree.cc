#include "config/yaml_tree.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

namespace infermesh::config {
namespace {

class TreeBuilder {
 public:
  explicit TreeBuilder(std::string_view file) : file_(file) {}

  YamlNode build(const YAML::Node& from, int depth) {
    YamlNode node;
    node.line = from.Mark().line + 1;
    node.column = from.Mark().column + 1;
    if (depth > kYamlDepthMax) {
      refuse(node.line, node.column, fmt::format("nested deeper than {}", kYamlDepthMax));
      return node;
    }
    if (++nodes_ > kYamlNodesMax) {
      refuse(node.line, node.column, fmt::format("more than {} values in one file", kYamlNodesMax));
      return node;
    }
    if (from.IsScalar()) {
      node.kind = YamlNode::Kind::kScalar;
      node.text = from.Scalar();
    } else if (from.IsSequence()) {
      node.kind = YamlNode::Kind::kSequence;
      for (const auto& item : from) {
        if (stopped_) break;
        node.items.push_back(build(item, depth + 1));
      }
    } else if (from.IsMap()) {
      node.kind = YamlNode::Kind::kMap;
      add_entries(node, from, depth);
    }
    return node;
  }

  Problems take_problems() { return std::move(problems_); }

 private:
  void add_entries(YamlNode& node, const YAML::Node& from, int depth) {
    for (const auto& pair : from) {
      if (stopped_) return;
      const YAML::Mark mark = pair.first.Mark();
      if (!pair.first.IsScalar()) {
        problem(mark.line + 1, mark.column + 1, "a key must be plain text");
        continue;
      }
      YamlEntry entry{pair.first.Scalar(), mark.line + 1, mark.column + 1, {}};
      if (const YamlEntry* first = node.find(entry.key)) {
        problem(entry.line, entry.column,
                fmt::format("key \"{}\" is given twice, first in line {}", entry.key, first->line));
        continue;
      }
      entry.value = build(pair.second, depth + 1);
      node.entries.push_back(std::move(entry));
    }
  }

  void problem(int line, int column, std::string message) {
    problems_.push_back({file_, line, column, std::move(message)});
  }

  // A limit is reached: say so once and read no further.
  void refuse(int line, int column, std::string message) {
    if (!stopped_) problem(line, column, std::move(message));
    stopped_ = true;
  }

  std::string file_;
  std::size_t nodes_ = 0;
  bool stopped_ = false;
  Problems problems_;
};

Problem syntax_problem(std::string_view file, const YAML::Exception& error) {
  Problem problem{std::string(file), 0, 0, "not valid YAML: " + error.msg};
  if (!error.mark.is_null()) {
    problem.line = error.mark.line + 1;
    problem.column = error.mark.column + 1;
  }
  return problem;
}

}  // namespace

const YamlEntry* YamlNode::find(std::string_view key) const {
  for (const YamlEntry& entry : entries) {
    if (entry.key == key) return &entry;
  }
  return nullptr;
}

std::string_view to_string(YamlNode::Kind kind) {
  switch (kind) {
    case YamlNode::Kind::kNull:
      return "nothing";
    case YamlNode::Kind::kScalar:
      return "text";
    case YamlNode::Kind::kSequence:
      return "a list";
    case YamlNode::Kind::kMap:
      return "a map";
  }
  return "nothing";
}

std::expected<std::vector<YamlNode>, Problems> parse_yaml(std::string_view file,
                                                          std::string_view text) {
  TreeBuilder builder(file);
  std::vector<YamlNode> documents;
  try {
    for (const YAML::Node& document : YAML::LoadAll(std::string(text))) {
      if (document.IsDefined() && !document.IsNull())
        documents.push_back(builder.build(document, 0));
    }
  } catch (const YAML::Exception& error) {
    return std::unexpected(Problems{syntax_problem(file, error)});
  }
  Problems problems = builder.take_problems();
  if (!problems.empty()) return std::unexpected(std::move(problems));
  return documents;
}

}  // namespace infermesh::config

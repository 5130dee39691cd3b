#include "config/yaml_tree.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <optional>
#include <sstream>

#include "base/json_text.h"

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

// Where the last document began.
class DocumentStart final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark& mark) override { at = mark; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}

  YAML::Mark at = YAML::Mark::null_mark();
};

// yaml-cpp 0.7 reads empty documents without end at a token that begins no value, as a comma.
// Throws what it throws.
std::optional<Problem> find_endless(std::string_view file, std::string_view text) {
  std::istringstream in{std::string(text)};
  YAML::Parser parser(in);
  DocumentStart start;
  for (int before = -1; parser.HandleNextDocument(start); before = start.at.pos) {
    if (start.at.pos != before) continue;
    return Problem{std::string(file), start.at.line + 1, start.at.column + 1,
                   "not valid YAML: this begins no value"};
  }
  return std::nullopt;
}

// The library would replace such bytes, and what is read would not be what was written.
std::optional<Problem> find_byte_not_utf8(std::string_view file, std::string_view text) {
  Problem problem{std::string(file), 1, 1, {}};
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) {
      problem.message = fmt::format("byte 0x{:02x} is not UTF-8; save the file in that encoding",
                                    static_cast<unsigned char>(text[0]));
      return problem;
    }
    ++problem.column;
    if (text[0] == '\n') {
      ++problem.line;
      problem.column = 1;
    }
    text.remove_prefix(length);
  }
  return std::nullopt;
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
  if (auto problem = find_byte_not_utf8(file, text)) return std::unexpected(Problems{*problem});
  TreeBuilder builder(file);
  std::vector<YamlNode> documents;
  try {
    if (auto problem = find_endless(file, text)) return std::unexpected(Problems{*problem});
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

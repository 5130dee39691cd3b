#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <cmath>

#include "cli/json_read.h"

namespace infermesh::cli {
namespace {

std::string scalar(const json::value& value) {
  if (const double* number = value.if_double()) {
    if (!std::isfinite(*number)) return "null";
    const bool integral = *number == std::floor(*number) && std::abs(*number) < 1e15;
    return integral ? fmt::format("{}", static_cast<std::int64_t>(*number))
                    : fmt::format("{}", *number);
  }
  return json::serialize(value);
}

std::string quoted(std::string_view text) {
  return json::serialize(json::string(text));
}

// Layout of JSON text: the line break and indent of a level, or nothing in between.
struct Layout {
  bool lines = true;
  std::string newline(std::size_t level) const {
    return lines ? '\n' + std::string(level * 2, ' ') : std::string();
  }
  std::string_view colon() const { return lines ? ": " : ":"; }
};

void print(std::string& out, const json::value& value, const Layout& layout, std::size_t level) {
  const auto separate = [&](bool& first) {
    if (!first) out += ',';
    first = false;
    out += layout.newline(level + 1);
  };
  bool first = true;
  if (const json::object* object = value.if_object(); object != nullptr && !object->empty()) {
    out += '{';
    for (const auto& [key, item] : *object) {
      separate(first);
      out += quoted(key);
      out += layout.colon();
      print(out, item, layout, level + 1);
    }
    out += layout.newline(level) + '}';
  } else if (const json::array* items = value.if_array(); items != nullptr && !items->empty()) {
    out += '[';
    for (const json::value& item : *items) {
      separate(first);
      print(out, item, layout, level + 1);
    }
    out += layout.newline(level) + ']';
  } else {
    out += scalar(value);
  }
}

// A plain YAML scalar when no reader could take it for anything but a string.
bool plain_in_yaml(std::string_view text) {
  if (text.empty()) return false;
  const char first = text.front();
  const bool letter = (first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z');
  if (!letter && first != '/') return false;
  for (char c : text) {
    const bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '-' || c == '_' || c == '.' || c == '/' || c == ' ';
    if (!fine) return false;
  }
  if (text.back() == ' ') return false;
  for (std::string_view word : {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}) {
    if (text.size() == word.size() && std::equal(text.begin(), text.end(), word.begin(),
                                                 [](char a, char b) { return (a | 32) == b; })) {
      return false;
    }
  }
  return true;
}

std::string yaml_scalar(const json::value& value) {
  const json::string* string = value.if_string();
  if (string == nullptr) return value.is_object() ? "{}" : value.is_array() ? "[]" : scalar(value);
  return plain_in_yaml(*string) ? std::string(*string) : quoted(*string);
}

bool is_block(const json::value& value) {
  return (value.is_object() && !value.get_object().empty()) ||
         (value.is_array() && !value.get_array().empty());
}

void print_yaml(std::string& out, const json::value& value, std::size_t level) {
  const std::string indent(level * 2, ' ');
  if (const json::object* object = value.if_object()) {
    bool first = true;
    for (const auto& [key, item] : *object) {
      if (!first) out += indent;
      first = false;
      out += plain_in_yaml(key) ? std::string(key) : quoted(key);
      if (!is_block(item)) {
        out += ": " + yaml_scalar(item) + '\n';
        continue;
      }
      out += ":\n" + std::string((level + 1) * 2, ' ');
      print_yaml(out, item, level + 1);
    }
    return;
  }
  bool first = true;
  for (const json::value& item : value.get_array()) {
    if (!first) out += indent;
    first = false;
    out += "- ";
    if (is_block(item)) {
      print_yaml(out, item, level + 1);
    } else {
      out += yaml_scalar(item) + '\n';
    }
  }
}

}  // namespace

std::string pretty_json(const json::value& value) {
  std::string out;
  print(out, value, Layout{true}, 0);
  return out + '\n';
}

std::string compact_json(const json::value& value) {
  std::string out;
  print(out, value, Layout{false}, 0);
  return out + '\n';
}

std::string yaml(const json::value& value) {
  if (!is_block(value)) return yaml_scalar(value) + '\n';
  std::string out;
  print_yaml(out, value, 0);
  return out;
}

}  // namespace infermesh::cli

#include "cli/paint.h"

#include <array>

namespace infermesh::cli {
namespace {

constexpr std::array<std::string_view, 6> kCodes{"", "32", "33", "31", "2", "1"};

}  // namespace

std::string Painter::operator()(Tone tone, std::string_view text) const {
  if (!colour || tone == Tone::kPlain || text.empty()) return std::string(text);
  std::string out = "\x1b[";
  out += kCodes[static_cast<std::size_t>(tone)];
  out += 'm';
  out += text;
  out += "\x1b[0m";
  return out;
}

Painter painter_for_stdout(const CliIo& io) {
  const bool dumb = io.env("TERM") == "dumb";
  const std::string force = io.env("FORCE_COLOR");
  Painter painter;
  painter.marks = dumb ? Marks::kAscii : Marks::kUnicode;
  painter.colour = !force.empty() && force != "0" ? true : io.out_is_terminal && !dumb;
  if (!io.env("NO_COLOR").empty()) painter.colour = false;
  return painter;
}

}  // namespace infermesh::cli

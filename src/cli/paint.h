// Colour, only where it is welcome, and never as the only sign: every tone also has a word or a
// mark.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "cli/io.h"

namespace infermesh::cli {

enum class Tone : std::uint8_t { kPlain, kGood, kWarn, kBad, kDim, kBold };

enum class Marks : std::uint8_t { kUnicode, kAscii };

struct Painter {
  bool colour = false;
  Marks marks = Marks::kUnicode;

  std::string operator()(Tone tone, std::string_view text) const;
  std::string_view good() const { return marks == Marks::kUnicode ? "√" : "ok"; }
  std::string_view warn() const { return marks == Marks::kUnicode ? "‼" : "!!"; }
  std::string_view bad() const { return marks == Marks::kUnicode ? "×" : "XX"; }
};

// NO_COLOR (not empty) turns colour off, FORCE_COLOR (not empty, not 0) turns it on, else a
// terminal that is not dumb has it. TERM=dumb also means ASCII marks.
Painter painter_for_stdout(const CliIo& io);

}  // namespace infermesh::cli

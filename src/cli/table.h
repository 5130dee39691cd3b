// Tables for people: columns aligned, two spaces between them, no ruling, nothing at line ends.
// Widths are counted in code points. When a table is wider than the page the elastic column (by
// default the last) is cut with "…".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cli/paint.h"

namespace infermesh::cli {

enum class Align : std::uint8_t { kLeft, kRight };

enum class Fit : std::uint8_t {
  kElastic,
  kWhole
};  // kWhole: never cut, such as what is to be copied

struct Column {
  std::string header;
  Align align = Align::kLeft;
  Fit fit = Fit::kElastic;  // of a left-aligned column; numbers are never cut
};

struct Cell {
  std::string text;
  Tone tone = Tone::kPlain;
};

// Where text goes: colours, and how wide a line may be (0: as wide as it likes).
struct Page {
  Painter paint;
  std::size_t width = 0;
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void indent(std::size_t spaces) { indent_ = spaces; }
  void gap_after_first(std::size_t spaces) {
    first_gap_ = spaces;
  }  // a column of marks stands closer
  void add(std::vector<Cell> row) { rows_.push_back({std::move(row), Ending::kCell}); }
  // The last cell is a text that takes the rest of the line, on further lines too.
  void add_text(std::vector<Cell> row) { rows_.push_back({std::move(row), Ending::kText}); }
  bool empty() const { return rows_.empty(); }
  std::string text(const Page& page) const;  // header line and rows, each with its line end

 private:
  enum class Ending : std::uint8_t { kCell, kText };
  struct Row {
    std::vector<Cell> cells;
    Ending ending;
  };
  std::vector<std::size_t> widths(std::size_t page_width) const;
  std::string text_line(const Row& row, const std::vector<std::size_t>& widths,
                        const Page& page) const;
  std::string line(const std::vector<Cell>& row, const std::vector<std::size_t>& widths,
                   const Painter& paint) const;

  std::vector<Column> columns_;
  std::vector<Row> rows_;
  std::size_t indent_ = 0;
  std::size_t first_gap_ = 2;
};

std::size_t display_width(std::string_view text);
std::string cut(std::string_view text,
                std::size_t width);  // to `width` columns, "…" when shortened
// Breaks at spaces so that lines fit; lines after the first begin with `indent` spaces.
std::string wrap(std::string_view text, std::size_t width, std::size_t indent);

}  // namespace infermesh::cli

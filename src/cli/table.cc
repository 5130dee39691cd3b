#include "cli/table.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace infermesh::cli {
namespace {

constexpr std::size_t kGap = 2;
constexpr std::size_t kElasticMin = 8;  // a column is never cut below this

// "6.1 s" and "58 %" stay on one line.
bool is_unit(std::string_view word) {
  constexpr std::array<std::string_view, 9> kUnits{"s", "ms", "us",  "min",  "h",
                                                   "d", "%",  "tok", "tok/s"};
  while (!word.empty() && (word.back() == ',' || word.back() == ':')) word.remove_suffix(1);
  return std::find(kUnits.begin(), kUnits.end(), word) != kUnits.end();
}

// The words of a text, a number together with its unit.
std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  for (std::string_view word : split(text, ' ')) {
    const bool after_number = !words.empty() && !words.back().empty() &&
                              words.back().back() >= '0' && words.back().back() <= '9';
    if (after_number && is_unit(word)) {
      words.back() += ' ';
      words.back() += word;
    } else {
      words.emplace_back(word);
    }
  }
  return words;
}

bool begins_code_point(char c) {
  return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
}

std::string padded(const Cell& cell, std::size_t width, Align align, const Painter& paint) {
  const std::string shown = cut(cell.text, width);
  const std::string blanks(width - std::min(width, display_width(shown)), ' ');
  const std::string painted = paint(cell.tone, shown);
  return align == Align::kRight ? blanks + painted : painted + blanks;
}

}  // namespace

std::size_t display_width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), begins_code_point));
}

std::string cut(std::string_view text, std::size_t width) {
  const std::size_t length = display_width(text);
  if (length <= width) return std::string(text);
  if (width == 0) return {};
  const std::size_t tail = (width - 1) / 2;
  const std::size_t head = width - 1 - tail;
  std::string out;
  std::size_t seen = 0;
  for (char c : text) {
    if (begins_code_point(c)) {
      ++seen;
      if (seen == head + 1) out += "…";
    }
    if (seen <= head || seen > length - tail) out += c;
  }
  return out;
}

std::string wrap(std::string_view text, std::size_t width, std::size_t indent) {
  std::string out;
  std::size_t column = 0;
  for (const std::string& word : words_of(text)) {
    const std::size_t length = display_width(word);
    if (column != 0 && width != 0 && column + 1 + length > width) {
      out.erase(out.find_last_not_of(' ') + 1);
      out += '\n';
      out.append(indent, ' ');
      column = 0;
    } else if (column != 0) {
      out += ' ';
      ++column;
    }
    out += word;
    column += length;
  }
  return out;
}

std::vector<std::size_t> Table::widths(std::size_t page_width) const {
  std::vector<std::size_t> widths;
  for (const Column& column : columns_) widths.push_back(display_width(column.header));
  for (const auto& [cells, ending] : rows_) {
    const std::size_t counted = cells.size() - (ending == Ending::kText ? 1 : 0);
    for (std::size_t i = 0; i < counted; ++i) {
      widths[i] = std::max(widths[i], display_width(cells[i].text));
    }
  }
  std::size_t total = indent_ + kGap * (widths.size() - 1);
  for (std::size_t width : widths) total += width;
  while (page_width != 0 && total > page_width) {
    std::size_t widest = widths.size();
    for (std::size_t i = 0; i < widths.size(); ++i) {
      const bool elastic = columns_[i].align == Align::kLeft && columns_[i].fit == Fit::kElastic;
      if (!elastic || widths[i] <= kElasticMin) continue;
      if (widest == widths.size() || widths[i] >= widths[widest]) widest = i;
    }
    if (widest == widths.size()) break;
    --widths[widest];
    --total;
  }
  return widths;
}

std::string Table::line(const std::vector<Cell>& row, const std::vector<std::size_t>& widths,
                        const Painter& paint) const {
  std::string out(indent_, ' ');
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (i != 0) out.append(i == 1 ? first_gap_ : kGap, ' ');
    out += padded(row[i], widths[i], columns_[i].align, paint);
  }
  out.erase(out.find_last_not_of(' ') + 1);
  return out + '\n';
}

std::string Table::text_line(const Row& row, const std::vector<std::size_t>& widths,
                             const Page& page) const {
  constexpr std::size_t kRoomMin = 20;
  std::size_t start = indent_;
  std::string out(indent_, ' ');
  for (std::size_t i = 0; i + 1 < row.cells.size(); ++i) {
    const std::size_t gap = i == 0 ? first_gap_ : kGap;
    out += padded(row.cells[i], widths[i], columns_[i].align, page.paint);
    out.append(gap, ' ');
    start += widths[i] + gap;
  }
  const std::size_t room = page.width > start + kRoomMin ? page.width - start : 0;
  const Cell& told = row.cells.back();
  return out + page.paint(told.tone, wrap(told.text, room, start)) + '\n';
}

std::string Table::text(const Page& page) const {
  const auto column_widths = widths(page.width);
  std::vector<Cell> header;
  bool any = false;
  for (const Column& column : columns_) {
    header.push_back({column.header, Tone::kDim});
    any = any || !column.header.empty();
  }
  std::string out = any ? line(header, column_widths, page.paint) : "";
  for (const Row& row : rows_) {
    out += row.ending == Ending::kText ? text_line(row, column_widths, page)
                                       : line(row.cells, column_widths, page.paint);
  }
  return out;
}

}  // namespace infermesh::cli

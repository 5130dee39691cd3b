// KeyTable: from a key in a scope (the object it stands in) to a small number, made at compile time
// from a list of rows. A look-up is a sum of a few bytes and, as a rule, one comparison.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

namespace infermesh::json {

struct KeyRow {
  std::uint8_t scope = 0;
  std::uint8_t value = 0;
  std::string_view key;
};

template <std::size_t kRows>
class KeyTable {
 public:
  constexpr explicit KeyTable(const std::array<KeyRow, kRows>& rows) : rows_(rows) {
    for (std::size_t i = 0; i < kRows; ++i) {
      std::size_t place = place_of(rows[i].scope, rows[i].key);
      while (places_[place] != 0) place = (place + 1) % kPlaces;
      places_[place] = static_cast<std::uint8_t>(i + 1);
    }
  }

  std::optional<std::uint8_t> find(std::uint8_t scope, std::string_view key) const {
    if (key.empty()) return std::nullopt;
    for (std::size_t place = place_of(scope, key); places_[place] != 0;
         place = (place + 1) % kPlaces) {
      const KeyRow& row = rows_[places_[place] - 1U];
      if (row.scope == scope && row.key.size() == key.size() && same(row.key, key)) {
        return row.value;
      }
    }
    return std::nullopt;
  }

 private:
  static_assert(kRows > 0 && kRows < 256);
  static constexpr std::size_t kPlaces = std::bit_ceil(kRows * 4);

  static constexpr std::size_t place_of(std::uint8_t scope, std::string_view key) {
    const auto first = static_cast<unsigned char>(key.front());
    const auto last = static_cast<unsigned char>(key.back());
    const std::uint32_t mixed = static_cast<std::uint32_t>(key.size()) * 0x9e3779b1U +
                                first * 0x85ebca77U + last * 0xc2b2ae3dU + scope * 0x27d4eb2fU;
    return (mixed >> 16) % kPlaces;
  }

  // Of equal length. Keys are short: a call of memcmp costs more than the comparison.
  static bool same(std::string_view a, std::string_view b) {
    const auto differ = [&]<typename Word>(Word, std::size_t at) {
      Word x, y;
      std::memcpy(&x, a.data() + at, sizeof x);
      std::memcpy(&y, b.data() + at, sizeof y);
      return x != y;
    };
    const std::size_t size = a.size();
    if (size >= 8) {
      for (std::size_t at = 0; at + 8 < size; at += 8) {
        if (differ(std::uint64_t{}, at)) return false;
      }
      return !differ(std::uint64_t{}, size - 8);  // may overlap the one before
    }
    if (size >= 4) return !differ(std::uint32_t{}, 0) && !differ(std::uint32_t{}, size - 4);
    for (std::size_t at = 0; at < size; ++at) {
      if (a[at] != b[at]) return false;
    }
    return true;
  }

  std::array<KeyRow, kRows> rows_;
  std::array<std::uint8_t, kPlaces> places_{};
};

}  // namespace infermesh::json

// Numbers as people read them. Absent is "-".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace infermesh::cli {

std::string whole(std::optional<double> number);               // 8120.4 -> "8,120"
std::string percent(std::optional<double> fraction);           // 0.58 -> "58 %"
std::string millis(std::optional<double> milliseconds);        // 212 -> "212 ms", 5960 -> "6.0 s"
std::string age(std::optional<double> milliseconds);           // whole seconds: 3000 -> "3 s"
std::string seconds_fine(std::optional<double> milliseconds);  // three figures: 5965 -> "5.97 s"
// A pair in one unit, that of the second: "0.21 / 1.4 s", "11 / 19 ms".
std::string millis_pair(std::optional<double> first, std::optional<double> second);
std::string plural(double number, std::string_view one);  // "1 engine", "2 engines"
std::string join(const std::vector<std::string>& parts, std::string_view separator);

}  // namespace infermesh::cli

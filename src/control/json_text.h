// JSON text for people and machines alike: Boost.JSON writes 12.5 as 1.25E1, which is valid and
// hard to read.
#pragma once

#include <boost/json/value.hpp>
#include <optional>
#include <string>

#include "base/time.h"

namespace infermesh::control {

std::string json_text(const boost::json::value& value);  // compact

// A number with at most `decimals` places; integral values become integers.
boost::json::value rounded(double number, int decimals);
boost::json::value millis(Duration duration);  // to the microsecond
boost::json::value millis_or_null(
    std::optional<Duration> duration);  // null when absent or negative

}  // namespace infermesh::control

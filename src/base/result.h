// Result<T>: a value or an Error. Errors are expected things (refused, timed out, bad input);
// programmer errors are IM_ASSERT. The codes are one table, api/schema/errors.yaml; each maps to an
// HTTP status at the edge.
#pragma once

#include <expected>
#include <string>
#include <utility>

#include "base/error_code.gen.h"
#include "base/time.h"

namespace infermesh {

struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string detail;      // one sentence for people: what and why, with names and numbers
  std::string param;       // the field or setting at fault, empty when there is none
  Duration retry_after{};  // when another try may succeed, for codes that advise one; 0: not known

  bool operator==(const Error&) const = default;
};

template <typename T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(ErrorCode code, std::string detail, std::string param = {}) {
  return std::unexpected(Error{code, std::move(detail), std::move(param), {}});
}

}  // namespace infermesh

// IM_TRY(expression): returns the error to the caller, for Results whose value is not needed.
#define IM_TRY(expression)                                               \
  do {                                                                   \
    if (auto im_try_result = (expression); !im_try_result.has_value()) { \
      return std::unexpected(std::move(im_try_result).error());          \
    }                                                                    \
  } while (false)

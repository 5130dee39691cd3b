// IM_ASSERT: programmer errors. On in every build; prints the place and aborts.
#pragma once

namespace infermesh {
[[noreturn]] void assert_failed(const char* condition, const char* file, int line);
}  // namespace infermesh

#define IM_ASSERT(condition) \
  ((condition) ? (void)0 : ::infermesh::assert_failed(#condition, __FILE__, __LINE__))

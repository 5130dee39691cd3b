// Responses of one connection, interim ones included. Cut anywhere they read alike.
#include "http_connection.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace infermesh;
  const auto input = fuzz::read_input(data, size);
  const auto answers = input.choice % 8 == 7 ? http::ResponseTo::kHead : http::ResponseTo::kOther;
  const std::size_t limit = input.choice < 16 ? 100 : http::kHeadBytesMax;
  fuzz::read_both_ways(input, http::ResponseHeadParser(answers, limit));
  return 0;
}

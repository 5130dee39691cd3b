#include "data/exchange/request_body.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <new>

#include "data/stream/testing_wires.h"

namespace {

std::size_t largest_allocation = 0;  // of this program, since a test set it to 0

}  // namespace

void* operator new(std::size_t size) {
  largest_allocation = std::max(largest_allocation, size);
  void* memory = std::malloc(std::max<std::size_t>(size, 1));
  if (memory == nullptr) std::abort();
  return memory;
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return operator new(size);
}
void operator delete(void* memory) noexcept {
  std::free(memory);  // NOLINT(clang-analyzer-cplusplus.NewDelete): this is the release
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);  // NOLINT(clang-analyzer-cplusplus.NewDelete): this is the release
}

namespace infermesh::data {
namespace {

TEST(RequestBody, TakesItsOwnBytesAndLeavesTheNextRequest) {
  Wires wires;
  ClientSide client(std::move(wires.near_end));
  http::RequestHead head;
  head.content_length = 13;
  openai::FactsReader facts(Api::kChat, {});
  RequestBody body(head, facts, 1000);
  EXPECT_EQ(body.pump(client, wires.scratch, 1 << 20), RequestBody::Step::kNothing);
  wires.say(R"({"mod)");
  EXPECT_EQ(body.pump(client, wires.scratch, 1 << 20), RequestBody::Step::kProgress);
  EXPECT_FALSE(body.complete());
  wires.say(R"(el":"m"}POST /)");
  EXPECT_EQ(body.pump(client, wires.scratch, 1 << 20), RequestBody::Step::kProgress);
  EXPECT_TRUE(body.complete());
  EXPECT_EQ(body.bytes(), R"({"model":"m"})");
  EXPECT_EQ(facts.model(), "m");
  EXPECT_EQ(client.input, "POST /");
}

TEST(RequestBody, RefusesWhatIsTooLargeAndSeesTheClientGo) {
  Wires wires;
  ClientSide client(std::move(wires.near_end));
  openai::FactsReader facts(Api::kChat, {});
  http::RequestHead large;
  large.content_length = 1001;
  EXPECT_EQ(RequestBody(large, facts, 1000).pump(client, wires.scratch, 1 << 20).error().code,
            ErrorCode::kRequestTooLarge);
  http::RequestHead head;
  head.content_length = 13;
  RequestBody body(head, facts, 1000);
  wires.far_end->close(port::CloseMode::kGraceful);
  wires.world.settle();
  EXPECT_EQ(body.pump(client, wires.scratch, 1 << 20), RequestBody::Step::kClientGone);
}

TEST(RequestBody, AnAnnouncedLengthTakesLittleMemoryUntilItsBytesCome) {
  Wires wires;
  ClientSide client(std::move(wires.near_end));
  http::RequestHead head;
  head.content_length = 60 << 20;
  openai::FactsReader facts(Api::kChat, {});
  largest_allocation = 0;
  RequestBody body(head, facts, 64 << 20);
  EXPECT_EQ(body.pump(client, wires.scratch, 1 << 20), RequestBody::Step::kNothing);
  wires.say(R"({"model":"m",)");
  EXPECT_EQ(body.pump(client, wires.scratch, 1 << 20), RequestBody::Step::kProgress);
  EXPECT_EQ(body.bytes(), R"({"model":"m",)");
  EXPECT_GT(largest_allocation, 0u) << "allocations are not counted";
  EXPECT_LE(largest_allocation, 2u << 20);
}

}  // namespace
}  // namespace infermesh::data

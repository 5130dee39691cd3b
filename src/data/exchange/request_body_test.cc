#include "data/exchange/request_body.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <new>

#include "data/stream/testing_wires.h"
#include "wire/kserve/infer_reader.h"
#include "wire/openai/facts.h"

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
  RequestBody body(head, facts, {1000});
  EXPECT_EQ(body.pump(client, wires.scratch, 1 << 20), RequestBody::Step::kNothing);
  wires.say(R"({"mod)");
  EXPECT_EQ(body.pump(client, wires.scratch, 1 << 20), RequestBody::Step::kProgress);
  EXPECT_FALSE(body.complete());
  wires.say(R"(el":"m"}POST /)");
  EXPECT_EQ(body.pump(client, wires.scratch, 1 << 20), RequestBody::Step::kProgress);
  EXPECT_TRUE(body.complete());
  EXPECT_EQ(body.from(0), R"({"model":"m"})");
  EXPECT_EQ(facts.model(), "m");
  EXPECT_EQ(client.input, "POST /");
}

TEST(RequestBody, ReleasedItHoldsNothingAndStillKnowsItsSize) {
  Wires wires;
  ClientSide client(std::move(wires.near_end));
  http::RequestHead head;
  head.content_length = 13;
  openai::FactsReader facts(Api::kChat, {});
  RequestBody body(head, facts, {1000});
  wires.say(R"({"model":"m"})");
  EXPECT_EQ(body.pump(client, wires.scratch, 1 << 20), RequestBody::Step::kProgress);
  body.release();
  EXPECT_EQ(body.received(), 13u);
  EXPECT_EQ(body.from(13), "");
  EXPECT_TRUE(body.complete());
}

TEST(RequestBody, RefusesWhatIsTooLargeAndSeesTheClientGo) {
  Wires wires;
  ClientSide client(std::move(wires.near_end));
  openai::FactsReader facts(Api::kChat, {});
  http::RequestHead large;
  large.content_length = 1001;
  EXPECT_EQ(RequestBody(large, facts, {1000}).pump(client, wires.scratch, 1 << 20).error().code,
            ErrorCode::kRequestTooLarge);
  http::RequestHead head;
  head.content_length = 13;
  RequestBody body(head, facts, {1000});
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
  RequestBody body(head, facts, {64 << 20});
  EXPECT_EQ(body.pump(client, wires.scratch, 1 << 20), RequestBody::Step::kNothing);
  wires.say(R"({"model":"m",)");
  EXPECT_EQ(body.pump(client, wires.scratch, 1 << 20), RequestBody::Step::kProgress);
  EXPECT_EQ(body.from(0), R"({"model":"m",)");
  EXPECT_GT(largest_allocation, 0u) << "allocations are not counted";
  EXPECT_LE(largest_allocation, 2u << 20);
}

// A body that is passed through: what its engine has, and what is held of it at most.
struct Passed {
  std::string sent;
  std::size_t held_most = 0;
  bool whole = true;
};

Passed pass_through(const http::RequestHead& head, std::string_view wire, std::uint64_t held_max) {
  Wires wires(256 << 10);
  ClientSide client(std::move(wires.near_end));
  kserve::InferReader reader(Api::kInfer, {.model = "m"});
  RequestBody body(head, reader, {1 << 30, held_max});
  std::vector<char> scratch(64 << 10);
  Passed passed;
  while (!body.complete()) {
    const auto written = wires.far_end->try_write({&wire, 1});
    if (written.status == port::IoStatus::kOk) wire.remove_prefix(written.bytes);
    wires.world.settle();
    const auto step = body.pump(client, scratch, 128 << 10);
    if (!step) break;
    passed.held_most = std::max(passed.held_most, body.from(passed.sent.size()).size());
    passed.sent += body.from(passed.sent.size());
    body.sent(passed.sent.size());
  }
  passed.whole = body.whole();
  return passed;
}

TEST(RequestBody, ALongUploadIsHeldUpToItsLimitThenDroppedAsItIsSent) {
  http::RequestHead head;
  std::string text(10 << 20, 'x');
  for (std::size_t i = 0; i < text.size(); i += 1000) text[i] = static_cast<char>('a' + i % 23);
  head.content_length = text.size();
  const Passed passed = pass_through(head, text, 1 << 20);
  EXPECT_TRUE(passed.sent == text);
  EXPECT_FALSE(passed.whole);
  EXPECT_LE(passed.held_most, 300u << 10);
}

TEST(RequestBody, AChunkedUploadIsDroppedTheSameWay) {
  http::RequestHead head;
  head.chunked = true;
  std::string text, wire;
  for (int i = 0; i < 400; ++i) {
    const std::string piece(10'000, static_cast<char>('a' + i % 26));
    text += piece;
    wire += fmt::format("{:x}\r\n", piece.size()) + piece + "\r\n";
  }
  wire += "0\r\n\r\n";
  const Passed passed = pass_through(head, wire, 1 << 20);
  EXPECT_TRUE(passed.sent == text);
  EXPECT_FALSE(passed.whole);
}

TEST(RequestBody, AShortUploadStaysWhole) {
  http::RequestHead head;
  const std::string text(900 << 10, 'x');
  head.content_length = text.size();
  const Passed passed = pass_through(head, text, 1 << 20);
  EXPECT_TRUE(passed.sent == text);
  EXPECT_TRUE(passed.whole);
}

TEST(RequestBody, TakesNothingWhileItIsFull) {
  Wires wires(256 << 10);
  ClientSide client(std::move(wires.near_end));
  http::RequestHead head;
  head.content_length = 1 << 20;
  kserve::InferReader reader(Api::kInfer, {.model = "m"});
  RequestBody body(head, reader, {1 << 30, 100'000});
  EXPECT_TRUE(body.may_outgrow());
  wires.say(std::string(200'000, 'x'));
  EXPECT_EQ(body.pump(client, wires.scratch, 1 << 20), RequestBody::Step::kProgress);
  EXPECT_TRUE(body.full());
  EXPECT_FALSE(body.more_at_hand(client));
  EXPECT_EQ(body.pump(client, wires.scratch, 1 << 20), RequestBody::Step::kNothing);
  EXPECT_LE(body.received(), 100'512u);
  EXPECT_TRUE(body.whole()) << "nothing has been sent yet";
  body.sent(50'000);
  EXPECT_FALSE(body.whole());
  EXPECT_EQ(body.from(50'000).size(), body.received() - 50'000);
}

}  // namespace
}  // namespace infermesh::data

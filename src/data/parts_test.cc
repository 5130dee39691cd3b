// The parts without a stream: request ids, the decision ring, heads, admission.
#include <gtest/gtest.h>

#include "data/admission.h"
#include "data/decision_ring.h"
#include "data/request_id.h"
#include "data/upstream_head.h"
#include "port/fake/world.h"

namespace infermesh::data {
namespace {

TEST(RequestId, TakesPlainOnesOnly) {
  EXPECT_TRUE(is_usable_request_id("req_01.A:b-c"));
  EXPECT_TRUE(is_usable_request_id(std::string(128, 'a')));
  EXPECT_FALSE(is_usable_request_id(std::string(129, 'a')));
  for (const char* bad : {"", "a b", "a\"b", "a/b", "\xc3\xa9"}) {
    EXPECT_FALSE(is_usable_request_id(bad)) << bad;
  }
}

TEST(RequestId, MintsUuidsThatSortByTime) {
  Rng rng(1);
  const WallTime time(1'767'225'600s);
  const std::string id = mint_request_id(time, rng);
  ASSERT_EQ(id.size(), 36u);
  EXPECT_EQ(id.substr(0, 13), "019b76da-a800");
  EXPECT_EQ(id[14], '7');
  EXPECT_NE(std::string("89ab").find(id[19]), std::string::npos);
  EXPECT_NE(mint_request_id(time, rng), id);
  EXPECT_LT(id, mint_request_id(time + 1ms, rng));
  EXPECT_TRUE(is_usable_request_id(id));
}

DecisionRecord record_of(std::string id) {
  DecisionRecord record;
  record.request_id = std::move(id);
  return record;
}

TEST(DecisionRing, KeepsTheLastOnesAndFindsTheNewestOfAName) {
  DecisionRing ring(3);
  for (const char* id : {"a", "b", "c", "b", "d"}) ring.put(record_of(id));
  EXPECT_EQ(ring.find("a"), nullptr);
  const auto recent = ring.recent(10);
  ASSERT_EQ(recent.size(), 3u);
  EXPECT_EQ(recent[0]->request_id, "d");
  EXPECT_EQ(recent[1]->request_id, "b");
  EXPECT_EQ(recent[2]->request_id, "c");
  EXPECT_EQ(ring.find("b"), recent[1]);
  EXPECT_EQ(ring.recent(1).size(), 1u);
}

TEST(DecisionRing, OfNoCapacityKeepsNothing) {
  DecisionRing ring(0);
  ring.put(record_of("a"));
  EXPECT_EQ(ring.find("a"), nullptr);
}

http::RequestHead head_of(std::string_view text) {
  static std::string kept;
  kept = text;
  http::RequestHeadParser parser;
  EXPECT_TRUE(parser.feed(kept));
  return parser.head();
}

TEST(UpstreamHead, PassesTheClientsHeadersButForItsSecretsAndItsConnection) {
  const auto client = head_of(
      "POST /openai/v1/chat/completions?x=1 HTTP/1.1\r\nHost: mesh\r\nAuthorization: Bearer s\r\n"
      "X-Api-Key: s\r\nX-Goog-Api-Key: s\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n"
      "Keep-Alive: 5\r\nTE: trailers\r\nAccept-Encoding: gzip\r\nX-Request-Id: theirs\r\n"
      "X-Infermesh-Priority: high\r\nContent-Length: 5\r\nContent-Type: application/json\r\n"
      "traceparent: 00-1\r\n\r\n");
  UpstreamHead head;
  head.path = "/v1/chat/completions";
  head.query = client.query;
  head.authority = "10.0.0.1:8000";
  head.request_id = "ours.1";
  head.content_length = 7;
  EXPECT_EQ(make_upstream_head(client, head),
            "POST /v1/chat/completions?x=1 HTTP/1.1\r\nhost: 10.0.0.1:8000\r\n"
            "Content-Type: application/json\r\ntraceparent: 00-1\r\naccept-encoding: identity\r\n"
            "x-request-id: ours.1\r\ncontent-length: 7\r\n\r\n");
}

TEST(UpstreamHead, BringsTheEnginesOwnKeyAndChunksWhatHasNoLength) {
  UpstreamHead head;
  head.path = "/v1/completions";
  head.authority = "e:1";
  head.api_key = "engine-key";
  const std::string text =
      make_upstream_head(head_of("POST /v1/completions HTTP/1.1\r\nhost: x\r\n\r\n"), head);
  EXPECT_NE(text.find("authorization: Bearer engine-key\r\n"), std::string::npos);
  EXPECT_NE(text.find("transfer-encoding: chunked\r\n"), std::string::npos);
}

TEST(UpstreamHead, ReturnsWhatIsNotOfTheConnectionOrOurs) {
  http::ResponseHead head;
  head.headers = {{"Connection", "x-hop"}};
  for (const char* name : {"content-type", "x-engine", "retry-after"}) {
    EXPECT_TRUE(is_response_header_passed(head, name)) << name;
  }
  for (const char* name : {"Server", "content-length", "X-Request-Id", "transfer-encoding", "x-hop",
                           "x-infermesh-engine", "endpoint-load-metrics"}) {
    EXPECT_FALSE(is_response_header_passed(head, name)) << name;
  }
}

struct AdmissionTest : testing::Test {
  AdmissionTest() {
    pool.id = PoolId(3);
    pool.spec.name = "p";
    pool.spec.queue_max = 2;
    other.id = ModelId(1);
  }
  port::fake::World world;
  Admission admission{world.loop()};
  Pool pool;
  Model model, other;
  port::Wakeup wake;
};

TEST_F(AdmissionTest, GivesTurnsInOrderAndTheTurnStaysUntilItIsUsed) {
  Admission::Ticket a(admission, wake);
  std::optional<Admission::Ticket> b;
  b.emplace(admission, wake);
  ASSERT_TRUE(a.enter(pool, model, Priority::kNormal, kNever));
  ASSERT_TRUE(b->enter(pool, model, Priority::kNormal, kNever));
  EXPECT_FALSE(a.granted());
  admission.freed(pool.id);
  EXPECT_TRUE(a.granted());
  EXPECT_FALSE(b->granted());
  EXPECT_EQ(admission.waiting(pool.id), 2u);
  ASSERT_TRUE(a.enter(pool, model, Priority::kNormal, kNever)) << "the turn came to nothing";
  EXPECT_FALSE(a.granted());
  EXPECT_FALSE(b->granted()) << "for the same model it would come to nothing too";
  world.run_for(10ms);
  EXPECT_TRUE(a.granted()) << "the tick";
  b.reset();
  EXPECT_EQ(admission.waiting(pool.id), 1u);
}

TEST_F(AdmissionTest, ATurnPassesOnWhenItIsUsed) {
  std::optional<Admission::Ticket> a;
  a.emplace(admission, wake);
  Admission::Ticket b(admission, wake);
  ASSERT_TRUE(a->enter(pool, model, Priority::kNormal, kNever));
  ASSERT_TRUE(b.enter(pool, model, Priority::kNormal, kNever));
  admission.freed(pool.id);
  a.reset();
  EXPECT_TRUE(b.granted());
  EXPECT_EQ(admission.waiting(pool.id), 1u);
}

TEST_F(AdmissionTest, ATurnThatCameToNothingPassesToAnotherModel) {
  Admission::Ticket a(admission, wake), b(admission, wake);
  ASSERT_TRUE(a.enter(pool, model, Priority::kNormal, kNever));
  ASSERT_TRUE(b.enter(pool, other, Priority::kNormal, kNever));
  admission.freed(pool.id);
  ASSERT_TRUE(a.enter(pool, model, Priority::kNormal, kNever));
  EXPECT_TRUE(b.granted());
}

TEST_F(AdmissionTest, AFullQueueRefusesOrPushesOut) {
  Admission::Ticket a(admission, wake), b(admission, wake), c(admission, wake);
  ASSERT_TRUE(a.enter(pool, model, Priority::kLow, kNever));
  ASSERT_TRUE(b.enter(pool, model, Priority::kLow, kNever));
  const auto refused = c.enter(pool, model, Priority::kLow, kNever);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kQueueFull);
  ASSERT_TRUE(c.enter(pool, model, Priority::kHigh, kNever));
  EXPECT_TRUE(b.shed());
  EXPECT_EQ(admission.waiting(pool.id), 2u);
}

TEST_F(AdmissionTest, AnotherPoolIsAnotherLine) {
  Pool second = pool;
  second.id = PoolId(4);
  Admission::Ticket a(admission, wake);
  ASSERT_TRUE(a.enter(pool, model, Priority::kNormal, kNever));
  admission.freed(pool.id);
  ASSERT_TRUE(a.enter(second, model, Priority::kNormal, kNever)) << "the model has moved";
  EXPECT_EQ(admission.waiting(pool.id), 0u);
  EXPECT_EQ(admission.waiting(second.id), 1u);
}

}  // namespace
}  // namespace infermesh::data

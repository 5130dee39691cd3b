// What is kept of a decision that named no engine.
#include <gtest/gtest.h>

#include "data/server/testing_mesh.h"

namespace infermesh::data {
namespace {

const DecisionRecord& record_of(TestMesh& mesh, const std::string& id) {
  const DecisionRecord* record = mesh.shard.decisions.find(id);
  EXPECT_NE(record, nullptr) << id;
  static const DecisionRecord kNothing;
  return record == nullptr ? kNothing : *record;
}

ErrorCode refusal_of(TestMesh& mesh, const std::string& id) {
  const auto& undecided = record_of(mesh, id).undecided;
  return undecided ? undecided->refusal : ErrorCode::kInternal;
}

TEST(Explain, ARefusalKeepsWhyEachEngineWasRejected) {
  TestMesh mesh(2);
  mesh.endpoint(0).state = EndpointState::kDown;
  mesh.endpoint(1).state = EndpointState::kDraining;
  mesh.publish();
  EXPECT_EQ(mesh.ask(chat(kPlainBody, "x-request-id: r\r\n")).status, 503);
  const DecisionRecord& record = record_of(mesh, "r");
  EXPECT_TRUE(record.attempts.empty());
  ASSERT_TRUE(record.undecided);
  EXPECT_EQ(record.undecided->refusal, ErrorCode::kNoHealthyBackend);
  ASSERT_EQ(record.undecided->notes.size(), 2u);
  EXPECT_EQ(record.undecided->notes[0].rejection, Rejection::kNotReady);
  EXPECT_EQ(record.undecided->notes[1].rejection, Rejection::kDraining);
  ASSERT_EQ(record.engine_names.size(), 2u);
  EXPECT_EQ(record.engine_names[1].second, "e1");
}

TEST(Explain, AWaitThatCameToNothingSaysHowItEnded) {
  TestMesh mesh;
  mesh.pool().queue_timeout = 2s;
  mesh.endpoint(0).in_flight_max = 1;
  mesh.publish();
  mesh.cell().in_flight.store(1);
  EXPECT_EQ(mesh.ask(chat(kPlainBody, "x-request-id: late\r\n")).status, 504);
  EXPECT_EQ(refusal_of(mesh, "late"), ErrorCode::kQueueDeadline);
  ASSERT_TRUE(record_of(mesh, "late").undecided);
  EXPECT_EQ(record_of(mesh, "late").undecided->notes.at(0).rejection, Rejection::kFull);
  TestClient waiting = mesh.connect();
  waiting.send(chat(kPlainBody, "x-request-id: served\r\n"));
  mesh.engine().answers(json_answer(kPlainAnswer));
  mesh.cell().in_flight.store(0);
  EXPECT_EQ(waiting.answer().status, 200);
  EXPECT_FALSE(record_of(mesh, "served").undecided) << "an engine was found in the end";
}

}  // namespace
}  // namespace infermesh::data

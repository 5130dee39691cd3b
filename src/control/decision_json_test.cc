#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <string>

#include "control/admin_json.h"
#include "control/golden_test.h"
#include "control/scene_test.h"

namespace infermesh::control {
namespace {

namespace json = boost::json;

CandidateNote note(std::uint16_t id, double queue, double prefill, double decode, int cached) {
  CandidateNote out;
  out.endpoint = EndpointId(id);
  out.queue_seconds = queue;
  out.prefill_seconds = prefill;
  out.decode_seconds = decode;
  out.score = queue + prefill + decode;
  out.in_flight = 24;
  out.reported_waiting = 1;
  out.tokens_ahead = Tokens(512);
  out.cached_tokens = Tokens(cached);
  out.load_age = 80ms;
  out.rates_age = 2s;
  return out;
}

CandidateNote rejected(std::uint16_t id, Rejection why) {
  CandidateNote out;
  out.endpoint = EndpointId(id);
  out.rejection = why;
  if (why == Rejection::kNotReady) {
    out.state = EndpointState::kDown;
    out.out_reason = "connection refused";
    out.out_for = 12s;
  } else if (why == Rejection::kDraining) {
    out.state = EndpointState::kDraining;
    out.out_reason = "asked by an operator";
    out.out_for = 1min;
  } else if (why == Rejection::kEjected) {
    out.out_reason = "5 failures in a row";
    out.out_for = 3s;
  }
  return out;
}

Decision decide_for(std::uint16_t id) {
  Decision decision;
  decision.endpoint = EndpointId(id);
  decision.reason = Reason::kPrefixCached;
  decision.cached_tokens = Tokens(1586);
  decision.uncached_tokens = Tokens(256);
  decision.predicted_ttft_seconds = 0.19;
  decision.expected_output_tokens = 324;
  decision.candidates_total = 5;
  return decision;
}

DecisionRecord retried_record() {
  DecisionRecord record;
  record.request_id = "req_7f3c";
  record.facts.model = "qwen3-14b";
  record.facts.stream = true;
  record.facts.prompt_tokens = Tokens(1842);
  record.facts.body_bytes = Bytes(7400);
  record.pool = "chat";
  record.received = WallTime(std::chrono::sys_days(std::chrono::year(2026) / 11 / 24) + 9h);
  record.queued = 2ms;
  record.status = 200;
  record.ttft = 217ms;
  record.total = 6117ms;
  record.finished = true;
  for (std::uint16_t id = 0; id < 5; ++id) {
    record.engine_names.emplace_back(EndpointId(id), "e" + std::to_string(id + 1));
  }
  AttemptRecord first;
  first.endpoint = EndpointId(3);
  first.engine = "e4";
  first.decision = decide_for(3);
  first.error = "connection reset before the first byte";
  first.retry = "retry";
  first.outcome.kind = OutcomeKind::kReset;
  first.outcome.total = 3ms;
  first.decision.notes = {note(3, 0.0, 0.02, 5.9, 1586), note(0, 0.04, 0.025, 5.9, 1586),
                          rejected(4, Rejection::kNotReady)};
  AttemptRecord second;
  second.endpoint = EndpointId(0);
  second.engine = "e1";
  second.decision = decide_for(0);
  second.outcome.status = 200;
  second.outcome.first_byte = 212ms;
  second.outcome.total = 6100ms;
  second.outcome.prompt_tokens = Tokens(1840);
  second.outcome.cached_tokens = Tokens(1584);
  second.outcome.output_tokens = Tokens(318);
  second.decision.notes = {note(0, 0.04, 0.025, 5.9, 1586), note(2, 0.01, 0.18, 5.9, 0),
                           note(1, 0.01, 0.196, 6.4, 0), rejected(3, Rejection::kTried),
                           rejected(4, Rejection::kNotReady)};
  record.attempts = {first, second};
  return record;
}

TEST(DecisionJson, TellsEveryAttemptWithWhatItsDecisionSaw) {
  expect_golden("decision_retried.json", reflow(decision_json(retried_record()), 4));
}

TEST(DecisionJson, ARequestNobodyCouldTakeSaysWhy) {
  DecisionRecord record = retried_record();
  record.request_id = "req_0001";
  record.status = 503;
  record.error_code = "no_healthy_backend";
  record.ttft = Duration(-1);
  Decision none;
  none.candidates_total = 2;
  none.notes = {rejected(3, Rejection::kDraining), rejected(4, Rejection::kEjected)};
  record.attempts.clear();
  record.undecided = none;
  const std::string text = decision_json(record);
  expect_golden("decision_refused.json", reflow(text, 4));
  const auto root = json::parse(text).as_object();
  EXPECT_TRUE(root.at("engine").is_null());
  EXPECT_EQ(root.at("attempts").at(0).at("decision").at("refusal").as_string(),
            "no_healthy_backend");
}

TEST(DecisionJson, APolicyWithoutPredictionsTellsLoadAndScore) {
  DecisionRecord record = retried_record();
  record.request_id = "req_0002";
  record.attempts.erase(record.attempts.begin());
  Decision& decision = record.attempts[0].decision;
  decision.policy = PolicyKind::kLeastRequest;
  decision.reason = Reason::kLeastLoaded;
  decision.predicted_ttft_seconds = 0;
  decision.notes = {note(0, 0, 0, 0, 0), note(1, 0, 0, 0, 0), rejected(4, Rejection::kFull)};
  decision.notes[0].score = 24;
  decision.notes[1].score = 39;
  decision.notes[1].in_flight = 39;
  expect_golden("decision_least_request.json", reflow(decision_json(record), 4));
}

TEST(DecisionJson, TheListHasOneLineEach) {
  DecisionRecord running = retried_record();
  running.request_id = "req_8000";
  running.finished = false;
  running.status = 0;
  running.attempts.clear();
  running.ttft = Duration(-1);
  const std::vector<DecisionRecord> records{running, retried_record()};
  expect_golden("decisions.json", reflow(decisions_json(records), 2));
}

TEST(DecisionJson, AnUnnamedEndpointIsShownByItsNumber) {
  DecisionRecord record = retried_record();
  record.engine_names.clear();
  record.attempts.erase(record.attempts.begin());
  const auto root = json::parse(decision_json(record)).as_object();
  const auto& candidates = root.at("attempts").at(0).at("decision").at("candidates").as_array();
  EXPECT_EQ(candidates.at(0).at("engine").as_string(), "e1");
  EXPECT_EQ(candidates.at(1).at("engine").as_string(), "#2");
}

TEST(RouteTest, ReadsTheMembersItKnows) {
  const auto test =
      parse_route_test(R"({"model":"qwen3-14b","prompt":"hi","api":"completions","session":"s1"})");
  ASSERT_TRUE(test.has_value());
  EXPECT_EQ(test->model, "qwen3-14b");
  EXPECT_EQ(test->prompt, "hi");
  EXPECT_EQ(test->api, Api::kCompletions);
  EXPECT_EQ(test->session, "s1");
}

TEST(RouteTest, RefusesWhatItCannotUse) {
  EXPECT_EQ(parse_route_test("[]").error().code, ErrorCode::kInvalidJson);
  EXPECT_EQ(parse_route_test("{").error().code, ErrorCode::kInvalidJson);
  EXPECT_EQ(parse_route_test("{}").error().param, "model");
  EXPECT_EQ(parse_route_test(R"({"modle":"x"})").error().detail,
            "modle is not known here; did you mean model?");
  EXPECT_EQ(parse_route_test(R"({"model":7})").error().detail, "model must be a string");
  EXPECT_EQ(parse_route_test(R"({"model":"x","api":"telepathy"})").error().param, "api");
}

TEST(RouteTest, AnswersWithTheDecisionByEngineName) {
  const Scene scene = make_scene();
  RequestFacts facts;
  facts.model = "qwen3-14b";
  facts.prompt_tokens = Tokens(120);
  Decision decision = decide_for(0);
  decision.notes = {note(0, 0.04, 0.025, 5.9, 0), note(1, 0.05, 0.03, 6.4, 0),
                    rejected(4, Rejection::kNotReady)};
  expect_golden("route.json", reflow(route_json(facts, "chat", decision, scene.view), 3));
}

}  // namespace
}  // namespace infermesh::control

#include "control/admin_json.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <string>

#include "control/golden_test.h"
#include "control/json_text.h"
#include "control/scene_test.h"

namespace infermesh::control {
namespace {

namespace json = boost::json;

TEST(AdminJson, StatusTellsCountsProblemsAndModels) {
  const Scene scene = make_scene();
  const auto problems = find_problems(scene.moment(), nullptr);
  expect_golden("status.json",
                reflow(status_json(scene.moment(), make_process(scene), problems), 2));
}

TEST(AdminJson, EnginesTellWhatIsKnownAndNullWhatIsNot) {
  const Scene scene = make_scene();
  expect_golden("engines.json", reflow(engines_json(scene.moment()), 3));
  const auto root = json::parse(engines_json(scene.moment())).as_object();
  const auto& down = root.at("engines").at(4).as_object();
  EXPECT_TRUE(down.at("reported").is_null());
  EXPECT_TRUE(down.at("measured").is_null());
  EXPECT_TRUE(down.at("version").is_null());
}

TEST(AdminJson, NoBodyCarriesTheEnginesKey) {
  const Scene scene = make_scene();
  EXPECT_EQ(engines_json(scene.moment()).find("sk-never-shown"), std::string::npos);
  EXPECT_EQ(engine_json(scene.moment(), "e1")->find("sk-never-shown"), std::string::npos);
}

TEST(AdminJson, OneEngineIsFoundByNameOnly) {
  const Scene scene = make_scene();
  expect_golden("engine_e2.json", reflow(*engine_json(scene.moment(), "e2"), 1));
  expect_golden("engine_e5.json", reflow(*engine_json(scene.moment(), "e5"), 1));
  EXPECT_FALSE(engine_json(scene.moment(), "e9").has_value());
}

TEST(AdminJson, ModelsSumTheLoadOfTheirEngines) {
  const Scene scene = make_scene();
  expect_golden("models.json", reflow(models_json(scene.moment()), 3));
  const auto root = json::parse(models_json(scene.moment())).as_object();
  const auto& model = root.at("models").at(0).as_object();
  EXPECT_EQ(model.at("running").as_int64(), 61);
  EXPECT_EQ(model.at("waiting").as_int64(), 3);
  EXPECT_EQ(model.at("engines_ready").as_int64(), 2);
  EXPECT_DOUBLE_EQ(model.at("kv_used").as_double(), 0.58);
  EXPECT_EQ(model.at("aliases").as_array().at(0).as_string(), "qwen");
}

TEST(AdminJson, PoolsTellTheirQueueAndLimits) {
  const Scene scene = make_scene();
  expect_golden("pools.json", reflow(pools_json(scene.moment()), 3));
}

TEST(AdminJson, ReadinessListsEveryCheck) {
  const std::vector<ReadinessCheck> checks{{"listeners", true, "2 listeners are bound"},
                                           {"engines", false, "no engine is ready"}};
  EXPECT_FALSE(all_ok(checks));
  EXPECT_EQ(
      readiness_json(checks),
      R"({"ready":false,"checks":[{"name":"listeners","ok":true,"detail":"2 listeners are bound"},)"
      R"({"name":"engines","ok":false,"detail":"no engine is ready"}]})");
}

TEST(AdminJson, DrainSaysWhetherItChangedAnythingAndWhatIsStillInFlight) {
  const Scene scene = make_scene();
  EXPECT_EQ(drain_json(scene.moment(), *scene.view.endpoint(EndpointId(0)), DrainChange::kAlready),
            R"({"name":"e1","state":"ready","changed":false,"in_flight":25})");
}

TEST(AdminJson, ProblemDetailsCarryWhatWhyAndNext) {
  const auto root = json::parse(problem_details_json(
                                    {ErrorCode::kNotFound, "No engine is named \"e9\".", "name"}))
                        .as_object();
  EXPECT_EQ(root.at("type").as_string(), "urn:infermesh:error:not_found");
  EXPECT_EQ(root.at("status").as_int64(), 404);
  EXPECT_EQ(root.at("detail").as_string(), "No engine is named \"e9\".");
  EXPECT_EQ(root.at("param").as_string(), "name");
  EXPECT_FALSE(root.at("title").as_string().empty());
  EXPECT_FALSE(root.at("next").as_string().empty());
}

TEST(AdminJson, ProblemDetailsSayWhatToDoInThisCaseWhenItIsKnown) {
  const auto root = json::parse(problem_details_json({ErrorCode::kNotFound, "No \"e9\".", ""},
                                                     "infermesh engines lists all"))
                        .as_object();
  EXPECT_EQ(root.at("next").as_string(), "infermesh engines lists all");
}

TEST(JsonText, NumbersReadAsPeopleWriteThem) {
  EXPECT_EQ(json_text(json::object{{"a", 12.5}, {"b", 3}, {"c", rounded(2.0, 3)}}),
            R"({"a":12.5,"b":3,"c":2})");
  EXPECT_EQ(json_text(rounded(0.0181999, 3)), "0.018");
  EXPECT_EQ(json_text(json::value(1.0 / 0.0)), "null");
  EXPECT_EQ(json_text(millis(1500us)), "1.5");
  EXPECT_EQ(json_text(millis_or_null(Duration(-1))), "null");
}

TEST(JsonText, StringsAreEscaped) {
  EXPECT_EQ(json_text(json::object{{"a\"b", "line\nend"}}), R"({"a\"b":"line\nend"})");
}

TEST(Problems, ErrorsComeBeforeWarningsAndEachNamesItsCommand) {
  const Scene scene = make_scene();
  const auto problems = find_problems(scene.moment(), nullptr);
  ASSERT_EQ(problems.size(), 4U);
  EXPECT_EQ(problems[0].what, "down for 12 s: connection refused");
  EXPECT_EQ(problems[0].next, "infermesh explain engine e5");
  EXPECT_EQ(problems[1].what, "none of its engines is ready");
  EXPECT_EQ(problems[2].what, "suspect for 5.0 s: the last probe timed out");
  EXPECT_EQ(problems[3].what, "taken out for qwen3-14b 3.0 s ago: 5 failures in a row");
}

TEST(Problems, AHealthyMeshHasNone) {
  Scene scene = make_scene();
  for (auto& engine : scene.view.endpoints) engine->state = EndpointState::kReady;
  scene.view.ejections.clear();
  EXPECT_TRUE(find_problems(scene.moment(), nullptr).empty());
}

TEST(Problems, StaleFiguresAreAWarning) {
  Scene scene = make_scene();
  scene.now += 30s;
  const auto problems = find_problems(scene.moment(), nullptr);
  const auto stale = std::count_if(problems.begin(), problems.end(), [](const Problem& problem) {
    return problem.what.starts_with("its load figures are 30 s old");
  });
  EXPECT_EQ(stale, 2);
}

TEST(Problems, ARefusedObjectSetSaysWhichLineAndWhatStays) {
  const Scene scene = make_scene();
  const ObjectRefusal refusal{
      "objects", {"pools.yaml:3:5: unknown key", "b", "c"}, scene.now - 1min};
  const auto problems = find_problems(scene.moment(), &refusal);
  EXPECT_EQ(problems[0].kind, "objects");
  EXPECT_EQ(problems[0].what,
            "refused, the last good ones stay: pools.yaml:3:5: unknown key (and 2 more)");
  EXPECT_EQ(problems[0].next, "infermesh config validate --objects objects");
}

TEST(Problems, AnEmptyMeshSaysSo) {
  Scene scene;
  const auto problems = find_problems(scene.moment(), nullptr);
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_EQ(problems[0].what, "no engine is known");
}

TEST(Problems, AreBounded) {
  Scene scene;
  for (int i = 0; i < 300; ++i) {
    add_engine(scene, "n" + std::to_string(i), Runtime::kVllm, EndpointState::kDown, 5s);
  }
  const auto problems = find_problems(scene.moment(), nullptr);
  ASSERT_EQ(problems.size(), kProblemsMax);
  EXPECT_EQ(problems.back().what, "and 45 more problems");
}

}  // namespace
}  // namespace infermesh::control

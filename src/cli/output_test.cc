// Golden text of the verbs that look at the mesh.
#include <gtest/gtest.h>

#include <algorithm>

#include "cli/world_test.h"

namespace infermesh::cli {
namespace {

using Args = std::vector<std::string>;

struct Case {
  std::string golden;
  Args args;
  int exit;
};

class Output : public testing::TestWithParam<Case> {};
class SmallTerminal : public testing::TestWithParam<Case> {
};  // what people read, not wide or for programs

TEST_P(Output, ReadsAsItsGoldenText) {
  World world;
  EXPECT_EQ(world.run(GetParam().args), GetParam().exit) << world.err;
  expect_golden(GetParam().golden + ".txt", world.out);
  EXPECT_EQ(world.err, "");
}

TEST_P(SmallTerminal, FitsEightyColumns) {
  World world;
  world.on_terminal();
  world.io.environment["NO_COLOR"] = "1";
  world.run(GetParam().args);
  std::size_t longest = 0;
  std::stringstream lines(world.out);
  for (std::string line; std::getline(lines, line);) {
    std::size_t columns = 0;
    for (const char c : line) columns += (static_cast<unsigned char>(c) & 0xc0) != 0x80 ? 1 : 0;
    longest = std::max(longest, columns);
    EXPECT_LE(columns, 80U) << line;
  }
  EXPECT_GT(longest, 0U);
  expect_golden(GetParam().golden + ".terminal.txt", world.out);
}

std::vector<Case> every_verb() {
  return {Case{"status", {"status"}, 1},
          Case{"status_wide", {"status", "-o", "wide"}, 1},
          Case{"status_json", {"status", "-o", "json"}, 1},
          Case{"engines", {"engines"}, 0},
          Case{"engines_wide", {"engines", "-o", "wide"}, 0},
          Case{"engines_name", {"engines", "-oname"}, 0},
          Case{"engines_yaml", {"engines", "--output=yaml"}, 0},
          Case{"models", {"models"}, 0},
          Case{"models_wide", {"models", "-o", "wide"}, 0},
          Case{"pools", {"pools"}, 0},
          Case{"pools_wide", {"pools", "-o", "wide"}, 0},
          Case{"explain_retried", {"explain", "req_7f3c"}, 0},
          Case{"explain_wide", {"explain", "req_7f3c", "-o", "wide"}, 0},
          Case{"explain_refused", {"explain", "req_0001"}, 0},
          Case{"explain_least_request", {"explain", "request", "req_0002"}, 0},
          Case{"explain_list", {"explain"}, 0},
          Case{"explain_list_wide", {"explain", "-o", "wide"}, 0},
          Case{"explain_engine_down", {"explain", "engine", "e5"}, 0},
          Case{"explain_engine_ejected", {"explain", "engine", "e2"}, 0},
          Case{"route_test", {"route", "test", "qwen3-14b", "--prompt", "hello"}, 0},
          Case{"check", {"check"}, 1},
          Case{"check_json", {"check", "-o", "json"}, 1},
          Case{"version", {"version"}, 0},
          Case{"version_json", {"version", "-o", "json"}, 0},
          Case{"help", {"--help"}, 0},
          Case{"help_status", {"status", "--help"}, 0},
          Case{"help_route_test", {"help", "route", "test"}, 0},
          Case{"help_drain", {"drain", "-h"}, 0}};
}

std::vector<Case> for_small_terminals() {
  std::vector<Case> cases = every_verb();
  std::erase_if(cases, [](const Case& one) {
    return std::any_of(one.args.begin(), one.args.end(), [](const std::string& word) {
      return word == "wide" || word == "json" || word == "yaml";
    });
  });
  return cases;
}

std::string name_of(const testing::TestParamInfo<Case>& test) {
  return test.param.golden;
}

INSTANTIATE_TEST_SUITE_P(EveryVerb, Output, testing::ValuesIn(every_verb()), name_of);
INSTANTIATE_TEST_SUITE_P(EveryVerb, SmallTerminal, testing::ValuesIn(for_small_terminals()),
                         name_of);

TEST(Status, AHealthyMeshExitsZeroAndSaysSo) {
  World world;
  world.mesh.answer("GET /api/status", std::string(kHealthyStatus));
  EXPECT_EQ(world.run({"status"}), 0);
  expect_golden("status_healthy.txt", world.out);
}

// Names as they are in the field: UUIDs and repository names.
TEST(LongNames, StillFitEightyColumns) {
  World world;
  world.on_terminal();
  world.io.environment["NO_COLOR"] = "1";
  const std::string id = "019ab7c2-4f1e-7c3a-9d2b-0a1b2c3d4e5f";
  const std::string model = "Qwen/Qwen3-30B-A3B-Instruct-2507-FP8";
  for (auto& [path, answer] : world.mesh.answers) {
    for (std::size_t at = 0; (at = answer.body.find("qwen3-14b", at)) != std::string::npos;
         at += model.size()) {
      answer.body.replace(at, 9, model);
    }
    for (std::size_t at = 0; (at = answer.body.find("req_7f3c", at)) != std::string::npos;
         at += id.size()) {
      answer.body.replace(at, 8, id);
    }
  }
  std::string all;
  for (const Args& args :
       {Args{"status"}, Args{"engines"}, Args{"models"}, Args{"pools"}, Args{"explain"},
        Args{"explain", "req_7f3c"}, Args{"check"}, Args{"explain", "engine", "e2"}}) {
    world.run(args);
    all += world.out + "\n";
  }
  EXPECT_NE(all.find(id), std::string::npos);
  expect_golden("long_names.terminal.txt", all);
  std::stringstream lines(all);
  for (std::string line; std::getline(lines, line);) {
    std::size_t columns = 0;
    for (const char c : line) columns += (static_cast<unsigned char>(c) & 0xc0) != 0x80 ? 1 : 0;
    EXPECT_LE(columns, 80U) << line;
  }
}

TEST(Status, WarningsAloneExitZero) {
  World world;
  world.mesh.answer(
      "GET /api/status",
      R"({"problems":[{"severity":"warning","kind":"engine","name":"e1","what":"suspect"}]})");
  EXPECT_EQ(world.run({"status"}), 0);
}

TEST(Status, LiveBodiesOfAnOlderOrNewerMeshStillRead) {
  World world;
  world.mesh.answer("GET /api/status", R"({"models":[{"name":7}],"problems":null,"engines":[]})");
  EXPECT_EQ(world.run({"status"}), 0);
  world.mesh.answer("GET /api/engines", "[]");
  EXPECT_EQ(world.run({"engines"}), 0);
  EXPECT_NE(world.out.find("no engines"), std::string::npos);
}

TEST(Check, AHealthyMeshIsWell) {
  World world;
  world.mesh.answer("GET /api/status", std::string(kHealthyStatus));
  world.mesh.answer("GET /api/engines",
                    R"({"engines":[{"name":"e1","url":"http://127.0.0.1:8000",)"
                    R"("runtime":"vllm","state":"ready","since_ms":9,"ejections":[]}]})");
  EXPECT_EQ(world.run({"check"}), 0);
  expect_golden("check_healthy.txt", world.out);
}

TEST(Check, AMeshThatDoesNotAnswerIsOneFailureWithAHint) {
  World world;
  world.mesh.failure = Error{ErrorCode::kUpstreamConnectFailed, "connection refused", ""};
  EXPECT_EQ(world.run({"check"}), 1);
  expect_golden("check_no_mesh.txt", world.out);
}

TEST(Check, AClockThatIsOffIsAWarning) {
  World world;
  world.mesh.answer("GET /api/status", std::string(kHealthyStatus));
  world.io.wall_now = [] {
    return WallTime(std::chrono::sys_days(std::chrono::year(2026) / 11 / 24) + 9h + 3min);
  };
  world.run({"check"});
  EXPECT_NE(world.out.find("its clock is 3 min off this machine's"), std::string::npos)
      << world.out;
}

TEST(Check, AnInferenceListenerThatDoesNotAnswerIsAFailure) {
  World world;
  world.mesh.answer("GET /api/status", std::string(kHealthyStatus));
  world.mesh.answer("GET /v1/models", "{}", 503);
  EXPECT_EQ(world.run({"check"}), 1);
  EXPECT_NE(world.out.find("http://127.0.0.1:6400/v1/models does not answer from here: status 503"),
            std::string::npos);
}

TEST(Check, AListenerOnEveryAddressIsAskedWhereTheAdminListenerIs) {
  World world;
  std::string status(kHealthyStatus);
  status.replace(status.find("127.0.0.1:6400"), 14, "0.0.0.0:6400");
  world.mesh.answer("GET /api/status", status);
  world.run({"check", "--admin", "http://10.1.2.3:6401"});
  bool asked = false;
  for (const AdminCall& call : world.mesh.calls)
    asked |= call.host == "10.1.2.3" && call.port == 6400;
  EXPECT_TRUE(asked);
}

}  // namespace
}  // namespace infermesh::cli

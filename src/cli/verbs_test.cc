// What verbs do beside printing: errors and exit codes, --watch, drains, files, completions.
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "cli/completion.h"
#include "cli/help.h"
#include "cli/json_read.h"
#include "cli/verbs.h"
#include "cli/world_test.h"

namespace infermesh::cli {
namespace {

TEST(Faults, NoMeshSaysWhatWhyAndNext) {
  World world;
  world.mesh.failure = Error{ErrorCode::kUpstreamConnectFailed, "connection refused", ""};
  EXPECT_EQ(world.run({"status"}), 6);
  EXPECT_EQ(world.out, "");
  EXPECT_EQ(world.err,
            "error: no mesh answers at http://127.0.0.1:6401\n"
            "  why:  connection refused\n"
            "  next: start one with `infermesh up`, or name its admin listener with --admin URL\n");
}

TEST(Faults, AMeshThatIsTooSlowIsUnavailable) {
  World world;
  world.mesh.failure = Error{ErrorCode::kDeadlineExceeded, "no answer within 5.0 s", ""};
  EXPECT_EQ(world.run({"engines"}), 6);
  EXPECT_NE(world.err.find("allow more time with --timeout"), std::string::npos);
}

TEST(Faults, SomethingElseOnThePortIsNamed) {
  World world;
  world.mesh.answer("GET /api/status", "<html>");
  EXPECT_EQ(world.run({"status"}), 6);
  EXPECT_NE(world.err.find("is not an infermesh admin listener"), std::string::npos);
}

TEST(Faults, ProblemDocumentsBecomeExitCodes) {
  World world;
  EXPECT_EQ(world.run({"explain", "req_none"}), 3);
  EXPECT_EQ(world.err,
            "error: There is no such thing.\n"
            "  why:  Nothing is at /debug/decisions/req_none.\n"
            "  next: infermesh explain lists the latest\n");
  for (const auto& [status, exit] :
       std::map<int, int>{{400, 2}, {401, 4}, {403, 4}, {409, 5}, {503, 6}}) {
    world.mesh.answer("GET /api/engines", R"({"title":"t"})", status);
    EXPECT_EQ(world.run({"engines"}), exit) << status;
  }
}

TEST(Explain, OneTokenIsOneTokenAndAnEjectedEngineIsChosenOnlyForWantOfABetterOne) {
  World world;
  world.mesh.answer(
      "GET /debug/decisions/r",
      R"({"request_id":"r","model":"m","api":"chat",)"
      R"("prompt_tokens":1,"priority":"normal","finished":true,"engine":"e1","total_ms":5,)"
      R"("attempts":[{"engine":"e1","outcome":"ok","first_byte_ms":3,"output_tokens":1,)"
      R"("cached_tokens":0,"prompt_tokens":1,"total_ms":5,"decision":{"engine":"e1",)"
      R"("policy":"expected_latency","reason":"fallback","candidates":[)"
      R"({"engine":"e1","rejection":"ejected","state":"ready","out_reason":"5 failures in a row",)"
      R"("out_for_ms":3000},{"engine":"e2","rejection":"not_ready","state":"joining",)"
      R"("out_reason":"loading its model","out_for_ms":500}]}}]})");
  EXPECT_EQ(world.run({"explain", "r"}), 0) << world.err;
  EXPECT_NE(world.out.find("r  m  chat  1 prompt token  priority"), std::string::npos) << world.out;
  EXPECT_NE(world.out.find("1 token in 5.0 ms, 0 of 1 prompt token cached"), std::string::npos)
      << world.out;
  EXPECT_NE(
      world.out.find("e1  chosen for want of a better one: ejected for 3 s: 5 failures in a row\n"),
      std::string::npos)
      << world.out;
  EXPECT_NE(world.out.find("e2  out: joining for 500 ms: loading its model\n"), std::string::npos)
      << world.out;
}

TEST(Faults, AMistypedCommandExitsTwo) {
  World world;
  EXPECT_EQ(world.run({"statsu"}), 2);
  EXPECT_EQ(world.err,
            "error: unknown command \"statsu\"\n  next: did you mean \"infermesh status\"?\n");
  EXPECT_EQ(world.run({}), 2);
  EXPECT_NE(world.err.find("examples"), std::string::npos);
}

TEST(Admin, TheFlagWinsOverTheEnvironmentWhichWinsOverTheDefault) {
  World world;
  world.run({"status"});
  EXPECT_EQ(world.mesh.calls.back().port, 6401);
  world.io.environment["INFERMESH_ADMIN"] = "http://there:7001";
  world.run({"status"});
  EXPECT_EQ(world.mesh.calls.back().host, "there");
  world.run({"status", "--admin", "elsewhere:7002", "--timeout", "250ms"});
  EXPECT_EQ(world.mesh.calls.back().host, "elsewhere");
  EXPECT_EQ(world.mesh.calls.back().timeout, Duration(250ms));
  EXPECT_EQ(world.run({"status", "--timeout", "soon"}), 2);
}

TEST(Watch, PrintsOneJsonLineARoundWithoutATerminal) {
  World world;
  EXPECT_EQ(world.run({"models", "--watch"}), 0);
  EXPECT_EQ(std::count(world.out.begin(), world.out.end(), '\n'), 4);
  EXPECT_TRUE(world.out.starts_with("{\"generation\":14,")) << world.out;
}

TEST(Watch, RedrawsOnATerminalAndLeavesTheLastPicture) {
  World world;
  world.on_terminal();
  EXPECT_EQ(world.run({"pools", "-w"}), 0);
  EXPECT_TRUE(world.out.starts_with("\x1b[?1049h"));
  const auto left = world.out.find("\x1b[?1049l");
  ASSERT_NE(left, std::string::npos);
  EXPECT_NE(world.out.find("round_robin", left), std::string::npos);
  EXPECT_EQ(world.now, Instant(100s + 2s));
}

TEST(Watch, APictureIsCutToTheTerminalsHeight) {
  World world;
  world.on_terminal();
  world.io.height = 3;
  world.sleeps_left = 0;
  world.run({"engines", "--watch"});
  const std::string picture = world.out.substr(0, world.out.find("\x1b[?1049l"));
  EXPECT_EQ(std::count(picture.begin(), picture.end(), '\n'), 2);
  EXPECT_NE(picture.find("…"), std::string::npos);
}

TEST(Admin, VerbsThatAskNoMeshDoNotMindAWrongAddress) {
  World world;
  world.io.environment["INFERMESH_ADMIN"] = "https://nowhere";
  EXPECT_EQ(world.run({"completion", "bash"}), 0);
  EXPECT_EQ(world.run({"status"}), 2);
}

TEST(Watch, AMeshThatGoesAwayIsSaidOnceAndWaitedFor) {
  World world;
  world.sleeps_left = 5;
  int calls = 0;
  world.mesh.before_answer = [&] {
    ++calls;
    if (calls == 2 || calls == 3) {
      world.mesh.failure = Error{ErrorCode::kUpstreamConnectFailed, "connection refused", ""};
    } else {
      world.mesh.failure.reset();
    }
  };
  EXPECT_EQ(world.run({"engines", "--watch", "-o", "name"}), 0);
  EXPECT_EQ(world.err.find("no mesh answers"), world.err.rfind("no mesh answers"));
  EXPECT_NE(world.err.find("no mesh answers"), std::string::npos);
  EXPECT_EQ(std::count(world.out.begin(), world.out.end(), '\n'), 4 * 5);
}

TEST(Watch, AMeshThatNeverAnswersFails) {
  World world;
  world.mesh.failure = Error{ErrorCode::kUpstreamConnectFailed, "connection refused", ""};
  EXPECT_EQ(world.run({"engines", "--watch"}), 6);
}

void answer_drain(World& world, const std::string& name, int in_flight) {
  world.mesh.answer("POST /api/engines/" + name + "/drain",
                    R"({"name":")" + name + R"(","state":"draining","changed":true,"in_flight":)" +
                        std::to_string(in_flight) + "}");
}

TEST(Drain, SaysWhatItTouchedAndWhatIsStillInFlight) {
  World world;
  answer_drain(world, "e1", 25);
  EXPECT_EQ(world.run({"drain", "e1"}), 0);
  EXPECT_EQ(world.out, "e1 takes no new requests now; 25 requests in flight finish\n");
  EXPECT_EQ(world.err, "");
}

TEST(Drain, WarnsWhenAModelLosesItsLastEngine) {
  World world;
  answer_drain(world, "e4", 0);
  EXPECT_EQ(world.run({"drain", "e4"}), 0);
  EXPECT_EQ(world.out, "e4 takes no new requests now; nothing is in flight on it\n");
  EXPECT_EQ(world.err, "no engine is left for smollm2-135m\n");
}

TEST(Drain, AnUnknownEngineExitsThreeAndSomeOfSeveralExitSeven) {
  World world;
  answer_drain(world, "e1", 0);
  EXPECT_EQ(world.run({"drain", "e9"}), 3);
  EXPECT_EQ(world.run({"drain", "e1", "e9"}), 7);
}

TEST(Drain, WaitsUntilNothingIsInFlight) {
  World world;
  answer_drain(world, "e1", 2);
  int polls = 0;
  world.mesh.before_answer = [&] {
    if (world.mesh.calls.back().path != "/api/engines/e1") return;
    world.mesh.answer("GET /api/engines/e1",
                      R"({"name":"e1","in_flight":)" + std::to_string(polls++ == 0 ? 2 : 0) + "}");
  };
  EXPECT_EQ(world.run({"drain", "e1", "--wait"}), 0);
  EXPECT_NE(world.out.find("nothing is in flight on e1\n"), std::string::npos);
  EXPECT_EQ(world.now, Instant(100s + 200ms));
}

TEST(Drain, StopsWaitingAtItsTimeout) {
  World world;
  world.sleeps_left = 1000;
  answer_drain(world, "e1", 2);
  world.mesh.answer("GET /api/engines/e1", R"({"name":"e1","in_flight":2})");
  EXPECT_EQ(world.run({"drain", "e1", "--wait", "--timeout", "1s"}), 6);
  EXPECT_NE(world.err.find("2 requests still in flight after 1.0 s"), std::string::npos)
      << world.err;
}

TEST(Drain, AnInterruptedWaitSaysSoByItsExitCode) {
  World world;
  world.sleeps_left = 0;
  answer_drain(world, "e1", 2);
  world.mesh.answer("GET /api/engines/e1", R"({"name":"e1","in_flight":2})");
  EXPECT_EQ(world.run({"drain", "e1", "--wait"}), 130);
}

TEST(Drain, ADryRunChangesNothing) {
  World world;
  EXPECT_EQ(world.run({"drain", "e2", "--dry-run"}), 0);
  EXPECT_EQ(world.out, "would drain e2 (now ready, 39 in flight)\n");
  for (const AdminCall& call : world.mesh.calls) EXPECT_EQ(call.method, "GET");
}

TEST(Undrain, SaysSo) {
  World world;
  world.mesh.answer("POST /api/engines/e4/undrain",
                    R"({"name":"e4","state":"ready","changed":true,"in_flight":0})");
  EXPECT_EQ(world.run({"undrain", "e4"}), 0);
  EXPECT_EQ(world.out, "e4 takes requests again\n");
}

TEST(RouteTest, SendsThePromptTheApiAndTheSession) {
  World world;
  world.files["long.txt"] = "a long prompt";
  EXPECT_EQ(world.run({"route", "test", "m", "--prompt-file", "long.txt", "--api", "completions",
                       "--session", "s1"}),
            0);
  EXPECT_EQ(world.mesh.calls.back().body,
            R"({"model":"m","prompt":"a long prompt","api":"completions","session":"s1"})"
            "\n");
}

TEST(RouteTest, AFileThatIsNotThereExitsTwo) {
  World world;
  EXPECT_EQ(world.run({"route", "test", "m", "--prompt-file", "no.txt"}), 2);
  EXPECT_EQ(world.run({"route", "test", "m", "--prompt-file", "a", "--prompt", "b"}), 2);
}

TEST(RouteTest, ADecisionForNobodyIsUnavailable) {
  World world;
  world.mesh.answer(
      "POST /api/route",
      R"({"model":"m","pool":"p","decision":{"engine":null,"refusal":"no_healthy_backend"}})");
  EXPECT_EQ(world.run({"route", "test", "m"}), 6);
  EXPECT_NE(world.out.find("m -> none: no_healthy_backend"), std::string::npos);
}

TEST(ConfigValidate, AValidFileSaysSo) {
  World world;
  world.files["infermesh.yaml"] = "listen: 127.0.0.1:7000\n";
  EXPECT_EQ(world.run({"config", "validate", "--config", "infermesh.yaml"}), 0) << world.err;
  EXPECT_EQ(world.out, "infermesh.yaml is valid\n");
}

TEST(ConfigValidate, ProblemsCarryTheirPlaceAndExitTwo) {
  World world;
  world.files["infermesh.yaml"] = "lissten: 127.0.0.1:7000\n";
  EXPECT_EQ(world.run({"config", "validate", "--config", "infermesh.yaml"}), 2);
  EXPECT_NE(world.err.find("infermesh.yaml:1:1: "), std::string::npos) << world.err;
  EXPECT_NE(world.err.find("did you mean \"listen\"?"), std::string::npos) << world.err;
  EXPECT_NE(world.err.find("1 problem\n"), std::string::npos);
}

TEST(ConfigValidate, ObjectsAreCountedOrRefusedByPlace) {
  World world;
  world.folders["objects"] = {
      {"a.yaml", "kind: Engine\nname: e1\nspec:\n  url: http://127.0.0.1:8000\n"}};
  EXPECT_EQ(world.run({"config", "validate", "--objects", "objects"}), 0) << world.err;
  EXPECT_EQ(world.out, "objects is valid: 1 engine\n");
  world.folders["objects"].push_back({"b.yaml", "kind: Pool\nname: p\nspec:\n  enignes: [e1]\n"});
  EXPECT_EQ(world.run({"config", "validate", "--objects", "objects"}), 2);
  EXPECT_TRUE(world.err.starts_with("objects/b.yaml:4:3: ")) << world.err;
  EXPECT_NE(world.err.find("did you mean \"engines\"?"), std::string::npos) << world.err;
}

TEST(Check, LooksAtFilesToo) {
  World world;
  world.files["infermesh.yaml"] = "shards: many\n";
  EXPECT_EQ(world.run({"check", "--config", "infermesh.yaml"}), 1);
  EXPECT_TRUE(world.out.starts_with("configuration\n  × infermesh.yaml:1:")) << world.out;
}

TEST(Check, EverySectionItSendsPeopleToIsInTheGuide) {
  const std::string guide = read_text(source_path("docs/guide/troubleshooting.md"));
  EXPECT_GE(check_topics().size(), 16U);
  for (const std::string_view topic : check_topics()) {
    EXPECT_NE(guide.find("\n## " + std::string(topic) + "\n"), std::string::npos) << topic;
  }
}

TEST(Check, EveryFailureAndWarningSendsToTheGuide) {
  World world;
  world.run({"check", "-o", "json"});
  const json::value report = json::parse(world.out);
  std::size_t sent = 0;
  for (const json::value& check : array(report, "checks")) {
    const bool ok = text(check, "result") == "ok";
    EXPECT_EQ(text(check, "see").empty(), ok) << text(check, "description");
    EXPECT_EQ(text(check, "hint").empty(), ok) << text(check, "description");
    if (!ok) ++sent;
  }
  EXPECT_EQ(sent, 5U);
}

TEST(ConfigValidate, NeedsSomethingToLookAt) {
  World world;
  EXPECT_EQ(world.run({"config", "validate"}), 2);
}

TEST(ConfigView, TellsWhereEachValueComesFrom) {
  World world;
  world.files["infermesh.yaml"] = "listen: 127.0.0.1:7000\n";
  world.io.environment["INFERMESH_SHARDS"] = "2";
  world.io.environment["INFERMESH_ADMIN"] = "http://127.0.0.1:6401";
  EXPECT_EQ(world.run({"config", "view", "--config", "infermesh.yaml", "--origin", "--log-level",
                       "warn"}),
            0)
      << world.err;
  expect_golden("config_view_origin.txt", world.out);
}

TEST(ConfigView, ItsYamlIsASettingsFile) {
  World world;
  world.io.environment["INFERMESH_SHARDS"] = "2";
  ASSERT_EQ(world.run({"config", "view", "-o", "yaml"}), 0) << world.err;
  world.files["copy.yaml"] = world.out;
  world.io.environment.clear();
  EXPECT_EQ(world.run({"config", "validate", "--config", "copy.yaml"}), 0) << world.err;
}

TEST(ConfigView, AWrongSettingExitsTwo) {
  World world;
  EXPECT_EQ(world.run({"config", "view", "--shrads", "2"}), 2);
  EXPECT_NE(world.err.find("shards"), std::string::npos) << world.err;
}

TEST(AppVerbs, AreRunByAppWithTheirWords) {
  World world;
  EXPECT_EQ(world.run({"up", "--engine", "http://h:1"}), 42);
  EXPECT_EQ(world.app_verb, "up");
  EXPECT_EQ(world.app_words, (std::vector<std::string>{"--engine", "http://h:1"}));
  EXPECT_EQ(world.run({"bench", "--help"}), 42);
  EXPECT_EQ(world.run({"help", "engine"}), 42);
  EXPECT_EQ(world.app_words, (std::vector<std::string>{"--help"}));
}

TEST(Help, SettingsThatDoNothingYetSayThatTheyAreReserved) {
  const std::string reference = read_text(source_path("docs/reference/settings.md"));
  for (const auto& [flag, text] : std::map<std::string, std::string>{
           {"--data-dir DIR", "Reserved: nothing is stored there yet,"},
           {"--grpc-listen HOST:PORT", "Reserved: nothing is served there yet,"}}) {
    for (const std::string verb : {"run", "up"}) {
      World world;
      EXPECT_EQ(world.run({verb, "--help"}), 0);
      const std::size_t at = world.out.find(flag);
      ASSERT_NE(at, std::string::npos) << verb << flag;
      EXPECT_NE(world.out.find(text, at), std::string::npos) << verb << flag;
    }
    EXPECT_NE(reference.find(text), std::string::npos) << flag;
  }
}

TEST(AppVerbs, HelpOfUpListsTheSettings) {
  World world;
  EXPECT_EQ(world.run({"up", "--help"}), 0);
  EXPECT_NE(world.out.find("--admin-listen"), std::string::npos);
  EXPECT_LT(world.out.find("examples"), world.out.find("settings"));
}

TEST(Completion, ScriptsAreAsChecked) {
  expect_golden("completion.bash", bash_completion());
  expect_golden("completion.zsh", zsh_completion());
  expect_golden("completion.fish", fish_completion());
}

TEST(Completion, AnUnknownShellIsRefused) {
  World world;
  EXPECT_EQ(world.run({"completion", "tcsh"}), 2);
  EXPECT_EQ(world.run({"completion", "bash"}), 0);
}

TEST(Completion, LiveNamesComeOneALineAndErrorsAreSilent) {
  World world;
  EXPECT_EQ(world.run({"__complete", "engines"}), 0);
  EXPECT_EQ(world.out, "e1\ne2\ne3\ne4\ne5\n");
  EXPECT_EQ(world.run({"__complete", "requests"}), 0);
  EXPECT_EQ(world.out, "req_8000\nreq_7f3c\n");
  world.mesh.failure = Error{ErrorCode::kUpstreamConnectFailed, "connection refused", ""};
  world.run({"__complete", "models"});
  EXPECT_EQ(world.out, "");
  EXPECT_EQ(world.err, "");
  EXPECT_LE(world.mesh.calls.back().timeout, Duration(300ms));
}

TEST(Reference, TheCheckedInPageIsCurrent) {
  World world;
  EXPECT_EQ(world.run({"__docs"}), 0);
  expect_file("docs/reference/cli.md", world.out);
}

TEST(Version, WithoutAMeshStillTellsItsOwn) {
  World world;
  world.mesh.failure = Error{ErrorCode::kUpstreamConnectFailed, "connection refused", ""};
  EXPECT_EQ(world.run({"version"}), 0);
  EXPECT_EQ(world.out, "infermesh 0.1.0\nno mesh answers at http://127.0.0.1:6401\n");
}

}  // namespace
}  // namespace infermesh::cli

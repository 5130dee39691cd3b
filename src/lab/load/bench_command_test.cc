// The load generator against the simulated engine, in a simulated world.
#include "lab/load/bench_command.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lab/engine/engine_server.h"
#include "port/fake/scripted_server.h"
#include "port/fake/world.h"

namespace infermesh::lab {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr std::string_view kUrl = "http://127.0.0.1:8000";

class BenchTest : public ::testing::Test {
 protected:
  ~BenchTest() override {
    if (server_) server_->stop();
    world_.settle();
  }
  // Every step takes 10 ms, whatever it holds.
  void serve(EngineServerOptions options = {}) {
    options.profile.step_base = 10ms;
    options.profile.prefill_ns_per_token = 0;
    options.profile.decode_ns_per_sequence = 0;
    options.profile.context_ns_per_token = 0;
    server_ = std::make_shared<EngineServer>(
        world_.loop(), world_.network().listen("127.0.0.1", 8000).value(), std::move(options));
    world_.loop().spawn(server_->serve());
  }
  const BenchReport& bench(std::vector<std::string> args, std::string_view trace = {}) {
    args.insert(args.begin(), std::string(kUrl));
    auto options = parse_bench_options(args);
    EXPECT_TRUE(options.has_value()) << options.error().detail;
    command_ = std::move(BenchCommand::make(std::move(*options), trace).value());
    result_ = world_.run(command_->run(world_.loop(), nullptr), 3600s);
    return command_->report();
  }

  // The first number after this name in the JSON report.
  double figure(std::string_view name) const {
    const std::string json = command_->output();
    const auto at = json.find(fmt::format("\"{}\":", name));
    EXPECT_NE(at, std::string::npos) << name;
    return at == std::string::npos ? -1 : std::stod(json.substr(at + name.size() + 3));
  }

  port::fake::World world_;
  std::shared_ptr<EngineServer> server_;
  std::unique_ptr<BenchCommand> command_;
  Result<void> result_;
};

TEST_F(BenchTest, AClosedLoopKeepsItsClientsBusy) {
  serve();
  bench({"--concurrency", "4", "--requests", "20", "--output-tokens", "10", "-o", "json"});
  EXPECT_EQ(command_->exit_code(), 0);
  EXPECT_THAT(command_->output(),
              AllOf(HasSubstr("\"answered\":20,\"failed\":0"), HasSubstr("\"output_tokens\":200")));
  EXPECT_EQ(world_.network().connections_made("127.0.0.1:8000"), 5u)
      << "one for the model, then one a client";
}

TEST_F(BenchTest, TimesAreTheEngines) {
  serve();
  bench({"--concurrency", "1", "--requests", "5", "--output-tokens", "11", "-o", "json"});
  EXPECT_THAT(command_->output(), HasSubstr(R"("ttft_seconds":{"count":5,"mean":0.010000)"));
  EXPECT_THAT(command_->output(), HasSubstr(R"("tpot_seconds":{"count":5,"mean":0.010000)"));
  EXPECT_THAT(command_->output(), HasSubstr(R"("itl_seconds":{"count":50,"mean":0.010000)"));
  EXPECT_THAT(command_->output(), HasSubstr(R"("e2e_seconds":{"count":5,"mean":0.110000)"));
  EXPECT_NEAR(figure("output_tokens_per_second"), 100, 5);
}

TEST_F(BenchTest, AnOpenLoopCountsFromWhenARequestWasDue) {
  EngineServerOptions options;
  options.profile.sequences_max = 1;
  serve(std::move(options));
  // Each request holds the engine for 1 s, ten a second are due: the queue grows and so must the
  // latencies.
  bench({"--rate", "10", "--duration", "2s", "--output-tokens", "100", "-o", "json"});
  const std::string json = command_->output();
  for (const auto* name : {"\"ttft_seconds\"", "\"e2e_seconds\""}) {
    const auto at = json.find(name);
    EXPECT_GT(std::stod(json.substr(json.find("\"max\":", at) + 6)), 10.0) << name;
  }
}

TEST_F(BenchTest, SharedPrefixesShowAsCachedTokens) {
  serve();
  bench({"--concurrency", "1", "--requests", "20", "--prefixes", "1", "--prefix-tokens", "960",
         "--unique-tokens", "60", "--output-tokens", "1", "-o", "json"});
  const std::string json = command_->output();
  const double ratio = std::stod(json.substr(json.find("\"hit_ratio\":") + 12));
  EXPECT_NEAR(ratio, 0.95 * 0.93, 0.06) << "all but the first request find their prefix";
}

TEST_F(BenchTest, ReplaysATrace) {
  serve();
  constexpr std::string_view kTrace =
      "{\"timestamp\": 0, \"input_length\": 600, \"output_length\": 3, \"hash_ids\": [0, 1]}\n"
      "{\"timestamp\": 8000, \"input_length\": 600, \"output_length\": 5, \"hash_ids\": [0, 1]}\n";
  const Instant start = world_.now();
  bench({"--trace", "given", "--speed", "4", "-o", "json"}, kTrace);
  EXPECT_THAT(command_->output(),
              AllOf(HasSubstr("\"answered\":2"), HasSubstr("\"output_tokens\":8"),
                    HasSubstr("\"cached_tokens\":592")));
  EXPECT_GE(world_.now() - start, Duration(2s));
  EXPECT_LT(world_.now() - start, Duration(3s));
}

TEST_F(BenchTest, GoodputCountsWhatMeetsTheObjectives) {
  serve();
  bench({"--concurrency", "1", "--requests", "4", "--output-tokens", "5", "--slo",
         "ttft=15ms,tpot=12ms", "-o", "json"});
  EXPECT_THAT(command_->output(), HasSubstr("\"good\":4"));
  bench({"--concurrency", "1", "--requests", "4", "--output-tokens", "5", "--slo", "tpot=5ms", "-o",
         "json"});
  EXPECT_THAT(command_->output(), HasSubstr("\"good\":0"));
  for (const auto* missed : {"ttft=5ms", "e2e=20ms", "ttft=5ms,tpot=1s,e2e=1s"}) {
    bench({"--concurrency", "1", "--requests", "4", "--output-tokens", "5", "--slo", missed, "-o",
           "json"});
    EXPECT_THAT(command_->output(), HasSubstr("\"good\":0")) << missed;
  }
}

TEST_F(BenchTest, ErrorsAreCountedByTheirCode) {
  serve();
  for (const auto& [fault, word] : std::vector<std::pair<std::string, std::string>>{
           {"status=503", "http_503"},
           {"cut=2", "truncated"},
           {"no-done", "truncated"},
           {"error-frame", "stream_error"},
           {"bad-chunk", "bad_chunk"},
           {"reset", "reset"},
           {"content-type=text/html", "not_a_stream"}}) {
    bench({"--requests", "3", "--concurrency", "1", "--header", "x-fault: " + fault, "-o", "json"});
    EXPECT_THAT(command_->output(), HasSubstr(fmt::format("\"errors\":{{\"{}\":3}}", word)))
        << fault;
    EXPECT_EQ(command_->exit_code(), 1) << fault;
  }
}

TEST_F(BenchTest, ARequestThatTakesTooLongIsATimeout) {
  serve();
  const Instant start = world_.now();
  bench({"--requests", "1", "--concurrency", "1", "--timeout", "1s", "--header", "x-fault: stall=1",
         "-o", "json"});
  EXPECT_THAT(command_->output(), HasSubstr("\"errors\":{\"timeout\":1}"));
  EXPECT_LT(world_.now() - start, Duration(2s));
}

TEST_F(BenchTest, AServerThatIsNotThereIsAnErrorOfSetUp) {
  bench({"--requests", "1"});
  ASSERT_FALSE(result_.has_value());
  EXPECT_THAT(result_.error().detail, HasSubstr("refused"));
}

TEST_F(BenchTest, AnIdleConnectionThatTheServerClosedIsNotAnError) {
  EngineServerOptions options;
  options.keep_alive = 100ms;
  serve(std::move(options));
  bench({"--rate", "1", "--duration", "20s", "--output-tokens", "2", "-o", "json"});
  EXPECT_EQ(command_->exit_code(), 0) << command_->output();
  EXPECT_GT(world_.network().connections_made("127.0.0.1:8000"), 5u);
}

TEST_F(BenchTest, WhatIsDueBeyondTheBoundIsSkippedAndCounted) {
  serve();
  bench({"--rate", "100", "--duration", "1s", "--output-tokens", "500", "--max-in-flight", "10",
         "-o", "json"});
  EXPECT_GT(command_->report().skipped(), 50u);
  EXPECT_EQ(command_->report().finished(), 10u);
}

TEST_F(BenchTest, TheWarmUpIsSentAndNotCounted) {
  serve();
  bench({"--rate", "20", "--duration", "10s", "--warm-up", "5s", "--output-tokens", "1", "-o",
         "json"});
  EXPECT_NEAR(static_cast<double>(command_->report().finished()), 100, 40);
  EXPECT_GT(server_->engine().stats().finished, command_->report().finished() + 50);
  EXPECT_NEAR(figure("requests_per_second"), 20, 6) << "of the time that is counted";
}

TEST_F(BenchTest, WholeAnswersAndCompletionsWorkToo) {
  serve();
  bench({"--requests", "4", "--no-stream", "--api", "completions", "--output-tokens", "7", "-o",
         "json"});
  EXPECT_THAT(command_->output(),
              AllOf(HasSubstr("\"answered\":4"), HasSubstr("\"output_tokens\":28"),
                    HasSubstr(R"("ttft_seconds":{"count":0)")));
}

TEST_F(BenchTest, TheTableNamesWhatMatters) {
  serve();
  bench({"--requests", "4", "--slo", "ttft=1s"});
  EXPECT_THAT(command_->output(),
              AllOf(HasSubstr("4 requests in"), HasSubstr("p99"), HasSubstr("ttft"),
                    HasSubstr("goodput"), HasSubstr("100.0 % of all")));
}

TEST_F(BenchTest, SendsItsKeyAndHeadersWithEveryRequest) {
  port::fake::ScriptedServer server(world_, "127.0.0.1", 8000);
  server.answer("/v1/models", 200, R"({"data":[{"id":"m"}]})");
  server.answer("/v1/chat/completions", 200, "{}");
  auto options = parse_bench_options(std::vector<std::string>{
      std::string(kUrl), "--requests", "1", "--no-stream", "--header", "x-team: red"});
  options->api_key = "s3cret";
  command_ = BenchCommand::make(std::move(*options), {}).value();
  result_ = world_.run(command_->run(world_.loop(), nullptr), 60s);
  ASSERT_EQ(server.requests().size(), 2u) << "the models, then the one request";
  for (const std::string& request : server.requests()) {
    EXPECT_THAT(request, AllOf(HasSubstr("\r\nauthorization: Bearer s3cret\r\n"),
                               HasSubstr("\r\nx-team: red")));
  }
}

TEST(BenchReport, CountsFromWhenARequestWasDueNotFromWhenItWasSent) {
  BenchReport report{Slo{}};
  BenchAnswer answer;
  answer.token_frames = 1;
  answer.sent = Instant(2s);
  answer.first_token = answer.last_token = Instant(3s);
  answer.end = Instant(4s);
  report.add(answer, Instant(1s), true);
  EXPECT_THAT(report.json(), AllOf(HasSubstr(R"("ttft_seconds":{"count":1,"mean":2.000000)"),
                                   HasSubstr(R"("e2e_seconds":{"count":1,"mean":3.000000)")));
}

TEST(BenchReport, NamesTheEnginesAndTheFirstErrorWithinABound) {
  BenchReport report{Slo{}};
  BenchAnswer answer;
  answer.engine = "e1";
  report.add(answer, Instant{}, false);
  for (int i = 0; i < 3000; ++i) {
    BenchAnswer failed;
    failed.error = fmt::format("http_{}", i);
    failed.message = "no";
    report.add(failed, Instant{}, false);
  }
  const std::string json = report.json();
  EXPECT_NE(json.find("\"engines\":{\"e1\":1}"), std::string::npos);
  EXPECT_NE(json.find("\"first_error\":\"http_0: no\""), std::string::npos);
  EXPECT_NE(json.find("\"other\":"), std::string::npos) << "names have a bound";
  EXPECT_EQ(report.failed(), 3000u);
}

TEST(BenchTarget, TakesUrlsAsPeopleWriteThem) {
  EXPECT_EQ(parse_target("http://127.0.0.1:6400")->address.port, 6400);
  EXPECT_EQ(parse_target("http://example.org")->address.port, 80);
  EXPECT_EQ(parse_target("http://[::1]:6400/")->address.host, "::1");
  EXPECT_EQ(parse_target("http://h:1/v1/")->base, "") << "the client adds /v1 itself";
  EXPECT_EQ(parse_target("http://h:1/openai/v1")->base, "/openai");
  for (const auto* wrong : {"", "127.0.0.1:6400", "https://h", "http://", "http://h:x"}) {
    EXPECT_FALSE(parse_target(wrong).has_value()) << wrong;
  }
}

std::string complaint(std::vector<std::string> args) {
  const auto options = parse_bench_options(args);
  return options ? "accepted" : options.error().detail;
}

TEST(BenchOptions, EndlessWorkIsBoundedByDefault) {
  EXPECT_EQ(parse_bench_options(std::vector<std::string>{"http://h:1"})->duration, Duration(30s));
  EXPECT_EQ(
      parse_bench_options(std::vector<std::string>{"http://h:1", "--requests", "5"})->duration,
      Duration(0));
}

TEST(BenchOptions, MistakesSayWhatAndWhatNext) {
  EXPECT_EQ(complaint({}), "which server? infermesh bench http://127.0.0.1:6400");
  EXPECT_EQ(complaint({"ftp://x"}), "\"ftp://x\" is not a URL such as http://127.0.0.1:6400");
  EXPECT_EQ(complaint({"http://a:1", "http://b:1"}),
            "one URL is enough; \"http://b:1\" is a second one");
  EXPECT_EQ(complaint({"http://a:1", "--slo", "ttft"}),
            "--slo: \"ttft\" is not like ttft=500ms,tpot=50ms,e2e=10s");
  EXPECT_EQ(complaint({"http://a:1", "--trace", "f", "--rate", "3"}),
            "--trace has its own arrivals; --speed changes them, not --rate");
  EXPECT_EQ(complaint({"http://a:1", "--api", "chats"}),
            "--api: \"chats\" is not chat or completions");
  EXPECT_EQ(complaint({"http://a:1", "--header", "x: y\r\nz: w"}),
            "--header: \"x: y\r\nz: w\" is not NAME: VALUE");
  EXPECT_EQ(complaint({"http://a:1", "--prefixs", "3"}),
            "unknown flag \"--prefixs\"; did you mean \"--prefixes\"?");
}

TEST(BenchOptions, ABadTraceNamesItsFile) {
  auto options = parse_bench_options(std::vector<std::string>{"http://h:1", "--trace", "t.jsonl"});
  const auto command = BenchCommand::make(std::move(*options), "{}");
  ASSERT_FALSE(command.has_value());
  EXPECT_THAT(command.error().detail, HasSubstr("t.jsonl: trace line 1"));
}

}  // namespace
}  // namespace infermesh::lab

#include "lab/engine/engine_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace infermesh::lab {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Result<EngineOptions> parse(std::vector<std::string> args) {
  return parse_engine_options(args);
}

std::string complaint(std::vector<std::string> args) {
  const auto options = parse(std::move(args));
  if (options) return "accepted";
  EXPECT_EQ(options.error().code, ErrorCode::kInvalidField);
  return options.error().detail;
}

TEST(EngineOptions, DefaultsServeOneTinyEngineWhereVllmWould) {
  const auto options = parse({});
  ASSERT_TRUE(options.has_value());
  EXPECT_EQ(options->listen.host, "127.0.0.1");
  EXPECT_EQ(options->listen.port, 8000);
  EXPECT_EQ(options->count, 1u);
  EXPECT_THAT(options->server.models, ElementsAre("sim"));
  EXPECT_EQ(options->server.profile.name, "tiny");
}

TEST(EngineOptions, ReadsEveryFlag) {
  const auto options = parse({"--model",    "a",
                              "--model=b",  "--listen",
                              "[::1]:0",    "--count",
                              "3",          "--profile",
                              "a10-8b",     "--speed",
                              "0.5",        "--kv-blocks",
                              "77",         "--max-num-seqs",
                              "4",          "--max-num-batched-tokens",
                              "99",         "--max-model-len",
                              "500",        "--max-waiting",
                              "6",          "--output-tokens",
                              "12",         "--keep-alive",
                              "1s",         "--fault",
                              "status=503", "--fault-share",
                              "0.25",       "--seed",
                              "9",          "--ready-file",
                              "/tmp/r"});
  ASSERT_TRUE(options.has_value()) << options.error().detail;
  EXPECT_THAT(options->server.models, ElementsAre("a", "b"));
  EXPECT_EQ(options->listen.host, "::1");
  EXPECT_EQ(options->listen.port, 0);
  EXPECT_EQ(options->count, 3u);
  const auto& profile = options->server.profile;
  EXPECT_EQ(profile.name, "a10-8b");
  EXPECT_EQ(profile.speed, 0.5);
  EXPECT_EQ(profile.kv_blocks, 77u);
  EXPECT_EQ(profile.sequences_max, 4u);
  EXPECT_EQ(profile.batch_tokens_max, 99u);
  EXPECT_EQ(profile.context_tokens_max, 500u);
  EXPECT_EQ(profile.waiting_max, 6u);
  EXPECT_EQ(options->server.output_tokens_mean, 12u);
  EXPECT_EQ(options->server.keep_alive, Duration(1s));
  EXPECT_EQ(options->server.fault.status, 503);
  EXPECT_EQ(options->server.fault_share, 0.25);
  EXPECT_EQ(options->server.seed, 9u);
  EXPECT_EQ(options->ready_file, "/tmp/r");
}

TEST(EngineOptions, LimitsOverrideTheProfileInEitherOrder) {
  EXPECT_EQ(parse({"--kv-blocks", "5", "--profile", "h100-8b"})->server.profile.kv_blocks, 5u);
  EXPECT_EQ(parse({"--profile", "h100-8b", "--kv-blocks", "5"})->server.profile.kv_blocks, 5u);
}

TEST(EngineOptions, AFaultWithoutAShareIsOnEveryRequest) {
  EXPECT_EQ(parse({"--fault", "no-done"})->server.fault_share, 1.0);
  EXPECT_EQ(parse({"--fault-share", "0.1", "--fault", "no-done"})->server.fault_share, 0.1);
}

TEST(EngineOptions, MistakesSayWhatAndWhatNext) {
  EXPECT_EQ(complaint({"--conut", "3"}), "unknown flag \"--conut\"; did you mean \"--count\"?");
  EXPECT_EQ(complaint({"--xyzzy"}), "unknown flag \"--xyzzy\"; --help lists them");
  EXPECT_EQ(complaint({"--count"}), "--count needs a value: --count N");
  EXPECT_EQ(complaint({"--count", "0"}), "--count: \"0\" is not a whole number from 1 to 1000");
  EXPECT_EQ(complaint({"--speed", "fast"}), "--speed: \"fast\" is not a number from 0.001 to 1000");
  EXPECT_EQ(complaint({"--listen", "8000"}),
            "--listen: \"8000\" is not HOST:PORT, such as 127.0.0.1:8000");
  EXPECT_EQ(complaint({"--keep-alive", "5"}),
            "--keep-alive: \"5\" is not a duration, such as 250ms or 30s");
  EXPECT_EQ(complaint({"--help=yes"}), "--help takes no value");
  EXPECT_EQ(complaint({"extra"}), "\"extra\" is not expected here; flags begin with --");
  EXPECT_EQ(complaint({"--profile", "h200"}),
            "--profile: \"h200\" is not a profile; there are tiny, h100-8b, h100-70b-tp4, a10-8b");
  EXPECT_EQ(complaint({"--listen", "127.0.0.1:65530", "--count", "10"}),
            "--count: \"10\" is not possible from port 65530: ports end at 65535");
}

TEST(EngineOptions, HelpShowsExamplesBeforeFlags) {
  const std::string help = engine_help();
  EXPECT_LT(help.find("examples:"), help.find("flags:"));
  EXPECT_THAT(help, HasSubstr("--max-num-batched-tokens N"));
  EXPECT_TRUE(parse({"--help"})->help);
}

}  // namespace
}  // namespace infermesh::lab

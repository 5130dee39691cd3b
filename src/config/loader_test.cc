#include "config/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace infermesh::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Given {
  std::vector<std::string> flags;
  std::vector<std::string> environment;
  std::map<std::string, std::string> files;
  Verbs verbs = Verbs::kServer;
};

std::expected<LoadedSettings, Problems> load(const Given& given) {
  LoadInput input{given.verbs, given.environment, given.flags, {}};
  input.read_file = [&given](const std::string& path) -> Result<std::string> {
    const auto file = given.files.find(path);
    if (file == given.files.end()) return fail(ErrorCode::kNotFound, "no such file");
    return file->second;
  };
  return load_settings(input);
}

std::vector<std::string> problems_of(const Given& given) {
  auto loaded = load(given);
  std::vector<std::string> lines;
  if (!loaded) {
    for (const Problem& problem : loaded.error()) lines.push_back(problem.text());
  }
  return lines;
}

Given with_file(std::string text) {
  return {{"--config", "infermesh.yaml"}, {}, {{"infermesh.yaml", std::move(text)}}};
}

TEST(Loader, NothingGivenYieldsTheDefaults) {
  auto loaded = load({});
  ASSERT_TRUE(loaded.has_value());
  EXPECT_EQ(loaded->settings, Settings{});
  EXPECT_EQ(loaded->settings.listen, (HostPort{"127.0.0.1", 6400}));
  EXPECT_EQ(loaded->origin(SettingId::kListen).layer, Layer::kDefault);
}

TEST(Loader, FlagsWinOverEnvironmentAndEnvironmentOverFile) {
  Given given = with_file("listen: 10.0.0.1:1\nadmin_listen: 10.0.0.1:2\nshards: 3\n");
  given.environment = {"INFERMESH_LISTEN=10.0.0.2:1", "INFERMESH_ADMIN_LISTEN=10.0.0.2:2"};
  given.flags.insert(given.flags.end(), {"--listen", "10.0.0.3:1"});
  auto loaded = load(given);
  ASSERT_TRUE(loaded.has_value());
  EXPECT_EQ(to_string(loaded->settings.listen), "10.0.0.3:1");
  EXPECT_EQ(to_string(loaded->settings.admin_listen), "10.0.0.2:2");
  EXPECT_EQ(loaded->settings.shards, 3u);
  EXPECT_EQ(loaded->origin(SettingId::kListen).place, "--listen");
  EXPECT_EQ(loaded->origin(SettingId::kAdminListen).place, "INFERMESH_ADMIN_LISTEN");
  EXPECT_EQ(loaded->origin(SettingId::kShards).place, "infermesh.yaml:3:1");
}

TEST(Loader, EverySettingCanBeGivenAsFlagVariableAndKey) {
  for (const SettingInfo& info : setting_table()) {
    const Settings defaults;
    const std::string value =
        info.name == "engine" ? "http://127.0.0.1:9" : info.show(defaults, info.limits);
    if (value.empty()) continue;
    const auto id = static_cast<std::size_t>(&info - setting_table().data());
    Given flag{{std::string(info.flag) + "=" + value}, {}, {}, info.verbs};
    auto by_flag = load(flag);
    ASSERT_TRUE(by_flag.has_value()) << info.name << ": " << join_lines(by_flag.error());
    EXPECT_EQ(by_flag->origins[id].layer, Layer::kFlag);
    EXPECT_EQ(info.show(by_flag->settings, info.limits), value) << info.name;
    Given variable{{}, {std::string(info.env) + "=" + value}, {}, info.verbs};
    auto by_variable = load(variable);
    ASSERT_TRUE(by_variable.has_value()) << info.name;
    EXPECT_EQ(by_variable->origins[id].layer, Layer::kEnvironment);
    if (info.verbs != Verbs::kServer) continue;
    auto by_key = load(with_file(std::string(info.name) + ": \"" + value + "\"\n"));
    ASSERT_TRUE(by_key.has_value()) << info.name;
    EXPECT_EQ(by_key->origins[id].layer, Layer::kFile);
  }
}

TEST(Loader, DefaultTextOfEverySettingReadsBackAsTheDefault) {
  for (const SettingInfo& info : setting_table()) {
    const Settings defaults;
    Settings settings;
    std::vector<std::string> items{std::string(info.default_text)};
    if (info.is_list()) continue;
    EXPECT_EQ(info.set(settings, items, info.limits), "") << info.name;
    EXPECT_EQ(settings, defaults) << info.name;
  }
}

TEST(Loader, UnknownKeyNamesPlaceAndNearest) {
  EXPECT_THAT(problems_of(with_file("shards: 2\nenigne: http://127.0.0.1:8000\n")),
              ElementsAre("infermesh.yaml:2:1: unknown key \"enigne\"; did you mean \"engine\"?"));
}

TEST(Loader, UnknownVariableAndFlagNameTheNearest) {
  EXPECT_THAT(
      problems_of({{}, {"INFERMESH_LISTN=x"}, {}}),
      ElementsAre(
          "unknown environment variable INFERMESH_LISTN; did you mean \"INFERMESH_LISTEN\"?"));
  EXPECT_THAT(problems_of({{"--lissten", "x"}, {}, {}}),
              ElementsAre("unknown flag \"--lissten\"; did you mean \"--listen\"?"));
}

TEST(Loader, EveryProblemIsReportedNotOnlyTheFirst) {
  Given given = with_file("shards: many\nlisten: nowhere\nbody_bytes_max: 64 MB\n");
  given.environment = {"INFERMESH_TOTAL_TIMEOUT=5x"};
  given.flags.push_back("--retry-budget=2");
  EXPECT_THAT(
      problems_of(given),
      ElementsAre(
          "infermesh.yaml:1:9: shards: \"many\" is not a whole number",
          "infermesh.yaml:2:9: listen: \"nowhere\" is not HOST:PORT, such as 127.0.0.1:6400",
          "infermesh.yaml:3:17: body_bytes_max: \"64 MB\" is not a size, such as 64KiB or 64MiB",
          "INFERMESH_TOTAL_TIMEOUT: \"5x\" is not a duration, such as 250ms, 5s or 1m30s",
          "--retry-budget: 2 is over the limit of 1"));
}

TEST(Loader, BoundsAreShownAsTheyAreWritten) {
  EXPECT_THAT(problems_of({{"--poll-interval-min", "1ms"}, {}, {}}),
              ElementsAre("--poll-interval-min: 1ms is out of bounds, 10ms to 1m"));
  EXPECT_THAT(problems_of({{"--head-bytes-max", "1"}, {}, {}}),
              ElementsAre("--head-bytes-max: 1 is out of bounds, 1KiB to 1MiB"));
}

TEST(Loader, ChoicesAreSuggestedOrListed) {
  EXPECT_THAT(problems_of({{"--log-level", "warning"}, {}, {}}),
              ElementsAre(HasSubstr("error, warn, info, debug")));
  EXPECT_THAT(problems_of({{"--default-policy", "roundrobin"}, {}, {}}),
              ElementsAre(HasSubstr("did you mean \"round_robin\"?")));
}

TEST(Loader, PolicyChoicesFollowTheEnum) {
  const SettingInfo& info = setting_info(SettingId::kDefaultPolicy);
  ASSERT_EQ(info.limits.choices.size(), kPolicyKinds);
  for (std::size_t i = 0; i < kPolicyKinds; ++i) {
    EXPECT_EQ(info.limits.choices[i], infermesh::to_string(static_cast<PolicyKind>(i)));
  }
}

TEST(Loader, ListsTakeRepeatedFlagsCommasAndSequences) {
  auto flags = load({{"--engine", "http://a:1", "--engine=http://b:2,c:3"}, {}, {}});
  ASSERT_TRUE(flags.has_value());
  EXPECT_THAT(flags->settings.engine, ElementsAre("http://a:1", "http://b:2", "http://c:3"));
  auto file = load(with_file("engine: [http://a:1, http://b:2]\ndiscover_ports: [1, 2]\n"));
  ASSERT_TRUE(file.has_value());
  EXPECT_THAT(file->settings.engine, ElementsAre("http://a:1", "http://b:2"));
  EXPECT_THAT(file->settings.discover_ports, ElementsAre(1, 2));
}

TEST(Loader, AListIsTakenWholeFromTheHighestLayer) {
  Given given = with_file("engine: [http://a:1]\n");
  given.environment = {"INFERMESH_ENGINE=http://b:2"};
  EXPECT_THAT(load(given)->settings.engine, ElementsAre("http://b:2"));
}

TEST(Loader, SwitchesMayStandAloneOrBeNegated) {
  EXPECT_FALSE(load({{"--no-usage-ask"}, {}, {}})->settings.usage_ask);
  EXPECT_FALSE(load({{"--usage-ask", "off"}, {}, {}})->settings.usage_ask);
  EXPECT_TRUE(load({{"--usage-ask", "--shards", "1"}, {}, {}})->settings.usage_ask);
  EXPECT_THAT(problems_of({{"--no-shards"}, {}, {}}),
              ElementsAre(HasSubstr("unknown flag \"--no-shards\"")));
  EXPECT_THAT(problems_of({{"--no-usage-ask=on"}, {}, {}}),
              ElementsAre("--no-usage-ask takes no value"));
}

TEST(Loader, MissingValuesAndStrayArgumentsAreProblems) {
  EXPECT_THAT(problems_of({{"--listen"}, {}, {}}),
              ElementsAre("--listen needs a value, HOST:PORT"));
  EXPECT_THAT(problems_of({{"--listen", "--shards", "2"}, {}, {}}),
              ElementsAre("--listen needs a value, HOST:PORT"));
  EXPECT_THAT(problems_of({{"here"}, {}, {}}), ElementsAre("unexpected argument \"here\""));
}

TEST(Loader, DuplicateKeysAreRefused) {
  EXPECT_THAT(problems_of(with_file("shards: 1\nshards: 2\n")),
              ElementsAre("infermesh.yaml:2:1: key \"shards\" is given twice, first in line 1"));
}

TEST(Loader, BrokenYamlNamesLineAndColumn) {
  EXPECT_THAT(problems_of(with_file("shards: 1\nlisten: [a\n")),
              ElementsAre(HasSubstr("infermesh.yaml:3:1: not valid YAML: ")));
}

TEST(Loader, AFileThatBeginsWithNoValueIsRefusedAndNotReadForEver) {
  EXPECT_THAT(problems_of(with_file(",shards: 1\n")),
              ElementsAre("infermesh.yaml:1:1: not valid YAML: this begins no value"));
  EXPECT_THAT(problems_of(with_file("---\n---\nshards: 1\n")), IsEmpty());
}

TEST(Loader, AFileThatIsNotUtf8IsRefusedAtItsFirstSuchByte) {
  EXPECT_THAT(problems_of(with_file("shards: 1\nlisten: \"\u00fcber\xfc\"\n")),
              ElementsAre("infermesh.yaml:2:14: byte 0xfc is not UTF-8; save the file in that "
                          "encoding"));
}

TEST(Loader, WrongShapesInTheFileAreProblems) {
  EXPECT_THAT(problems_of(with_file("- a\n")),
              ElementsAre("infermesh.yaml:1:1: a settings file is a map of `name: value`"));
  EXPECT_THAT(problems_of(with_file("shards: [1]\n")),
              ElementsAre("infermesh.yaml:1:9: shards takes one value, not a list"));
  EXPECT_THAT(problems_of(with_file("engine: {a: b}\n")),
              ElementsAre(HasSubstr("engine takes a list, not a map")));
  EXPECT_THAT(problems_of(with_file("engine: [[a]]\n")),
              ElementsAre(HasSubstr("engine holds text, not a list")));
  EXPECT_THAT(problems_of(with_file("shards: 1\n---\nshards: 2\n")),
              ElementsAre(HasSubstr("is one document")));
  EXPECT_THAT(problems_of(with_file("kind: Pool\n")),
              ElementsAre(HasSubstr("belongs to a mesh object")));
}

TEST(Loader, AFileThatCannotBeReadIsAProblem) {
  EXPECT_THAT(problems_of({{"--config", "gone.yaml"}, {}, {}}),
              ElementsAre("gone.yaml: no such file"));
}

TEST(Loader, AnEmptyFileIsNoMistake) {
  EXPECT_TRUE(load(with_file("# nothing yet\n")).has_value());
}

TEST(Loader, EmptyVariablesKeysOfEnginesAndServiceLinksArePassedOver) {
  EXPECT_THAT(problems_of({{},
                           {"INFERMESH_LISTEN=", "INFERMESH_KEY_VLLM=secret",
                            "INFERMESH_SERVICE_HOST=10.0.0.1", "INFERMESH_PORT=tcp://10.0.0.1:6400",
                            "INFERMESH_PORT_6400_TCP_PROTO=tcp", "HOME=/x"},
                           {}}),
              IsEmpty());
}

TEST(Loader, ClientCommandsReadOnlyTheirOwnSettings) {
  auto loaded =
      load({{"--admin", "http://10.0.0.1:7000"}, {"INFERMESH_LISTEN=bad"}, {}, Verbs::kClient});
  ASSERT_TRUE(loaded.has_value());
  EXPECT_EQ(loaded->settings.admin, "http://10.0.0.1:7000");
  EXPECT_THAT(problems_of({{"--admin", "http://10.0.0.1:7000"}, {}, {}}),
              ElementsAre(HasSubstr("unknown flag")));
}

TEST(Loader, SettingsThatContradictEachOtherAreProblems) {
  EXPECT_THAT(
      problems_of({{"--poll-interval-min=5s"}, {}, {}}),
      ElementsAre(
          "poll_interval_min (5s, --poll-interval-min) is over poll_interval_max (2s, default)"));
  EXPECT_THAT(problems_of({{"--listen=127.0.0.1:6401"}, {}, {}}),
              ElementsAre(HasSubstr("both 127.0.0.1:6401")));
  EXPECT_THAT(problems_of({{"--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"}, {}, {}}),
              IsEmpty());
}

TEST(Loader, AutoMeansLookingForEnginesOnlyWhenUpIsToldNone) {
  Settings up;
  resolve_auto(up, Command::kUp);
  EXPECT_EQ(up.discover, Discover::kOn);
  EXPECT_EQ(up.access_log, "off");
  Settings named;
  named.engine = {"http://a:1"};
  resolve_auto(named, Command::kUp);
  EXPECT_EQ(named.discover, Discover::kOff);
  Settings run;
  resolve_auto(run, Command::kRun);
  EXPECT_EQ(run.discover, Discover::kOff);
  EXPECT_EQ(run.access_log, "stderr");
}

TEST(Loader, LooksOnTheRuntimesOwnPortsByDefault) {
  const std::vector<std::uint16_t>& ports = Settings{}.discover_ports;
  const std::pair<const char*, std::uint16_t> own[] = {
      {"vllm", 8000},      {"llama.cpp", 8080}, {"ollama", 11434},
      {"lmdeploy", 23333}, {"sglang", 30000},
  };
  for (const auto& [runtime, port] : own) {
    EXPECT_NE(std::find(ports.begin(), ports.end(), port), ports.end()) << runtime;
  }
}

TEST(Loader, DifferencesNameWhatChanged) {
  Settings before, after;
  after.shards = 7;
  after.engine = {"http://a:1"};
  EXPECT_THAT(differences(before, after), ElementsAre(SettingId::kShards, SettingId::kEngine));
  EXPECT_THAT(differences(before, before), IsEmpty());
}

TEST(Loader, PoolDefaultsFollowTheSettingsAndAgreeWithTheObject) {
  const PoolObject plain;
  const PoolObject made = default_pool(Settings{});
  EXPECT_EQ(made.queue_max, plain.queue_max);
  EXPECT_EQ(made.queue_timeout, plain.queue_timeout);
  EXPECT_EQ(made.total_timeout, plain.total_timeout);
  EXPECT_EQ(made.attempts_max, plain.attempts_max);
  Settings settings;
  settings.total_timeout = 5s;
  settings.default_policy = PolicyKind::kRandom;
  EXPECT_EQ(default_pool(settings).total_timeout, 5s);
  EXPECT_EQ(default_policy(settings).policy, PolicyKind::kRandom);
}

TEST(Loader, HelpShowsEveryFlagOfTheCommandAndWrapsItsText) {
  const std::string help = flags_help(Verbs::kServer);
  for (const SettingInfo& info : setting_table()) {
    const bool shown = help.find(std::string(info.flag) + " ") != std::string::npos;
    EXPECT_EQ(shown, info.verbs == Verbs::kServer) << info.name;
  }
  std::size_t begin = 0;
  while (begin < help.size()) {
    const std::size_t end = help.find('\n', begin);
    if (help.compare(begin, 6, "      ") == 0) {
      EXPECT_LE(end - begin, 80u) << help.substr(begin, end - begin);
    }
    begin = end + 1;
  }
}

}  // namespace
}  // namespace infermesh::config

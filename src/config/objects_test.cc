#include "config/objects.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/object_table.h"

namespace infermesh::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::expected<ObjectSet, Problems> read(std::string text) {
  const ObjectText file{"mesh.yaml", std::move(text)};
  return read_objects(std::span(&file, 1));
}

ObjectSet must_read(std::string text) {
  auto set = read(std::move(text));
  EXPECT_TRUE(set.has_value()) << join_lines(set.error());
  return set.has_value() ? *set : ObjectSet{};
}

std::vector<std::string> problems_of(std::string text) {
  auto set = read(std::move(text));
  std::vector<std::string> lines;
  if (!set) {
    for (const Problem& problem : set.error()) lines.push_back(problem.text());
  }
  return lines;
}

constexpr const char* kWhole = R"(kind: Engine
name: e1
spec:
  url: http://10.0.0.7:8000
  runtime: vllm
  models: [qwen3-14b]
  apis: [chat, embeddings]
  metrics_url: http://10.0.0.7:8002
  management_url: 10.0.0.8:8081
  pool: chat
  api_key_env: INFERMESH_KEY_E1
  in_flight_max: 32
  weight: 50
  drain: true
---
kind: Pool
name: chat
spec:
  engines: [e1]
  policy: sticky
  queue_max: 7
  queue_timeout: 5s
  in_flight_per_engine_max: 9
  ejected_share_max: 0.25
  retry_budget: 0.1
  attempts_max: 2
  connect_timeout: 250ms
  first_byte_timeout: 1m
  between_bytes_timeout: 10s
  total_timeout: 5m
---
kind: Model
name: assistant
spec:
  pool: chat
  served_name: qwen3-14b
  aliases: [gpt-4o, "1"]
  policy: sticky
  expected_output_tokens: 99
---
kind: RoutingPolicy
name: sticky
spec:
  policy: session
  session_header: X-User
  session_body_key: user
  load_bound: 1.5
  prefix_weight: 2
---
kind: Runtime
name: own-server
spec:
  apis: [rerank]
  openai_prefix: /api/v1
  health_path: /healthz
  loading_status: 503
  health_value: /status
  ready_values: [up, "1"]
  loading_values: starting
  models_path: /models?all=1
  models_post: "{}"
  models_name: /models/*/name
  models_context: /models/*/context
  identity_path: /about
  version: /build/version
  identity_concurrency_max: /slots
  load_path: /metrics
  load_port: 9000
  running: requests_running
  waiting: ['requests{state="waiting"}', queue_total]
  waiting_tokens: a
  kv_used: used / all
  kv_tokens: blocks * 16
  prompt_tokens: b
  generation_tokens: c
  prefix_query_tokens: d
  prefix_hit_tokens: e
  concurrency_max: f + g
  started_at: process_start_time_seconds
  work_done: h
)";

TEST(Objects, EveryFieldOfEveryKindIsRead) {
  const ObjectSet set = must_read(kWhole);
  ASSERT_EQ(set.engines.size(), 1u);
  const EngineObject& engine = set.engines[0];
  EXPECT_EQ(engine.url, "http://10.0.0.7:8000");
  EXPECT_EQ(engine.runtime, "vllm");
  EXPECT_THAT(engine.apis, ElementsAre("chat", "embeddings"));
  EXPECT_EQ(engine.metrics_url, "http://10.0.0.7:8002");
  EXPECT_EQ(engine.management_url, "http://10.0.0.8:8081");
  EXPECT_THAT(engine.models, ElementsAre("qwen3-14b"));
  EXPECT_EQ(engine.pool, "chat");
  EXPECT_EQ(engine.api_key_env, "INFERMESH_KEY_E1");
  EXPECT_EQ(engine.in_flight_max, 32u);
  EXPECT_EQ(engine.weight, 50u);
  EXPECT_TRUE(engine.drain);
  const PoolObject& pool = set.pools.at(0);
  EXPECT_THAT(pool.engines, ElementsAre("e1"));
  EXPECT_EQ(pool.policy, "sticky");
  EXPECT_EQ(pool.queue_max, 7u);
  EXPECT_EQ(pool.queue_timeout, 5s);
  EXPECT_EQ(pool.in_flight_per_engine_max, 9u);
  EXPECT_EQ(pool.ejected_share_max, 0.25);
  EXPECT_EQ(pool.retry_budget, 0.1);
  EXPECT_EQ(pool.attempts_max, 2u);
  EXPECT_EQ(pool.connect_timeout, 250ms);
  EXPECT_EQ(pool.first_byte_timeout, 60s);
  EXPECT_EQ(pool.between_bytes_timeout, 10s);
  EXPECT_EQ(pool.total_timeout, 300s);
  const ModelObject& model = set.models.at(0);
  EXPECT_EQ(model.served_name, "qwen3-14b");
  EXPECT_THAT(model.aliases, ElementsAre("gpt-4o", "1"));
  EXPECT_EQ(model.policy, "sticky");
  EXPECT_EQ(model.expected_output_tokens, 99u);
  const RoutingPolicyObject& policy = set.policies.at(0);
  EXPECT_EQ(policy.policy, PolicyKind::kSession);
  EXPECT_EQ(policy.session_header, "x-user");
  EXPECT_EQ(policy.session_body_key, "user");
  EXPECT_EQ(policy.load_bound, 1.5);
  EXPECT_EQ(policy.prefix_weight, 2.0);
}

TEST(Objects, EveryFieldOfARuntimeIsRead) {
  const ObjectSet set = must_read(kWhole);
  ASSERT_EQ(set.runtimes.size(), 1u);
  const RuntimeObject& runtime = set.runtimes[0];
  EXPECT_EQ(runtime.name, "own-server");
  EXPECT_THAT(runtime.apis, ElementsAre("rerank"));
  EXPECT_EQ(runtime.openai_prefix, "/api/v1");
  EXPECT_EQ(runtime.health_path, "/healthz");
  EXPECT_EQ(runtime.loading_status, 503u);
  EXPECT_EQ(runtime.health_value, "/status");
  EXPECT_THAT(runtime.ready_values, ElementsAre("up", "1"));
  EXPECT_THAT(runtime.loading_values, ElementsAre("starting"));
  EXPECT_EQ(runtime.models_path, "/models?all=1");
  EXPECT_EQ(runtime.models_post, "{}");
  EXPECT_EQ(runtime.models_name, "/models/*/name");
  EXPECT_EQ(runtime.models_context, "/models/*/context");
  EXPECT_EQ(runtime.identity_path, "/about");
  EXPECT_EQ(runtime.version, "/build/version");
  EXPECT_EQ(runtime.identity_concurrency_max, "/slots");
  EXPECT_EQ(runtime.load_path, "/metrics");
  EXPECT_EQ(runtime.load_port, 9000u);
  EXPECT_THAT(runtime.running, ElementsAre("requests_running"));
  EXPECT_THAT(runtime.waiting, ElementsAre("requests{state=\"waiting\"}", "queue_total"));
  EXPECT_THAT(runtime.waiting_tokens, ElementsAre("a"));
  EXPECT_THAT(runtime.kv_used, ElementsAre("used / all"));
  EXPECT_THAT(runtime.kv_tokens, ElementsAre("blocks * 16"));
  EXPECT_THAT(runtime.prompt_tokens, ElementsAre("b"));
  EXPECT_THAT(runtime.generation_tokens, ElementsAre("c"));
  EXPECT_THAT(runtime.prefix_query_tokens, ElementsAre("d"));
  EXPECT_THAT(runtime.prefix_hit_tokens, ElementsAre("e"));
  EXPECT_THAT(runtime.concurrency_max, ElementsAre("f + g"));
  EXPECT_THAT(runtime.started_at, ElementsAre("process_start_time_seconds"));
  EXPECT_THAT(runtime.work_done, ElementsAre("h"));
}

// A Runtime that is right but for `line`.
std::vector<std::string> runtime_problems(std::string line) {
  return problems_of("kind: Runtime\nname: r\nspec:\n  health_path: /h\n  " + line + "\n");
}

TEST(Objects, MistakesInARuntimeAreShownAtTheirPlace) {
  EXPECT_THAT(
      runtime_problems("load_path: /m\n  running: [ok, 'not ok']"),
      ElementsAre("mesh.yaml:6:17: running in Runtime \"r\": \"not ok\" is neither a metric "
                  "name of at most 63 characters nor a JSON pointer"));
  EXPECT_THAT(runtime_problems("apis: [chatt]"),
              ElementsAre(HasSubstr("mesh.yaml:5:10: apis in Runtime \"r\": \"chatt\" is no route "
                                    "family; they are chat, completions")));
  EXPECT_THAT(
      runtime_problems("identity_path: about"),
      ElementsAre("mesh.yaml:5:18: identity_path in Runtime \"r\": \"about\" is not the path "
                  "of a page, such as /health"));
  EXPECT_THAT(runtime_problems("version: a/b"),
              ElementsAre(HasSubstr("\"a/b\" is not a JSON pointer, such as /data/*/id")));
  EXPECT_THAT(runtime_problems("loading_status: 200"), ElementsAre(HasSubstr("400 to 599")));
  EXPECT_THAT(problems_of("kind: Runtime\nname: r\n"),
              ElementsAre("mesh.yaml:1:1: Runtime \"r\" has no health_path, which is required"));
  EXPECT_THAT(problems_of("kind: Runtime\nname: vllm\nspec: {health_path: /h}\n"),
              ElementsAre("mesh.yaml:1:1: Runtime \"vllm\": a built-in runtime has this name"));
}

TEST(Objects, FieldsOfARuntimeMustFitTogether) {
  const auto problem = [](std::string lines, std::string_view says) {
    EXPECT_THAT(runtime_problems(lines), ElementsAre(HasSubstr(std::string(says)))) << lines;
  };
  problem("running: a",
          "mesh.yaml:5:3: running in Runtime \"r\": load_path must say on which page");
  problem("load_path: /m", "no figure says what to read there");
  problem("load_path: /m\n  running: a\n  waiting: /b", "one page has one form");
  problem("health_value: /a", "ready_values must say what stands there");
  problem("ready_values: a", "health_value must say where");
  problem("loading_values: a", "health_value must say where");
  problem("models_name: /data/id", "needs one * for the models");
  problem("models_name: /data/*/a/*", "needs one * for the models");
  problem("models_context: /other/*/n", "it must be in the list of models_name, /data");
  std::string many = "load_path: /m\n  running: [m0";
  for (int i = 1; i < 33; ++i) many += ", m" + std::to_string(i);
  problem(many + "]", "more than 32 metrics are named");
}

TEST(Objects, AnEnginesRuntimeIsBuiltInOrDescribed) {
  constexpr const char* kEngine = "kind: Engine\nname: e\nspec: {url: 'h:1', runtime: own}\n";
  EXPECT_THAT(problems_of(kEngine),
              ElementsAre("mesh.yaml:3:29: runtime in Engine \"e\": there is no Runtime \"own\""));
  EXPECT_THAT(problems_of(std::string(kEngine) +
                          "---\nkind: Runtime\nname: own\nspec: {health_path: /h}\n"),
              IsEmpty());
}

TEST(Objects, WrittenAsYamlTheyReadBackTheSame) {
  const ObjectSet set = must_read(kWhole);
  const std::string yaml = to_yaml(set);
  EXPECT_EQ(to_yaml(must_read(yaml)), yaml);
  EXPECT_EQ(to_json(must_read(yaml)), to_json(set));
  EXPECT_THAT(yaml, HasSubstr("    - \"1\"\n"));
  EXPECT_THAT(yaml, HasSubstr("  drain: true\n"));
}

TEST(Objects, JsonHasNumbersSwitchesAndLists) {
  EngineObject engine;
  engine.name = "e\"1";
  engine.url = "http://a:1";
  engine.models = {"m", "n"};
  EXPECT_EQ(
      to_json(engine),
      R"({"kind":"Engine","name":"e\"1","spec":{"url":"http://a:1","models":["m","n"],"weight":100,"drain":false}})");
  EXPECT_EQ(to_json(ObjectSet{}), "[]");
}

template <typename Object>
void expect_defaults_agree() {
  const Object plain;
  for (const FieldInfo<Object>& field : object_fields<Object>()) {
    const auto items = field.items(plain, field.limits);
    const std::vector<std::string> written{std::string(field.default_text)};
    if (written[0].empty()) {
      EXPECT_THAT(items, IsEmpty()) << field.name;
      continue;
    }
    Object object;
    EXPECT_EQ(field.set(object, written, field.limits), "") << field.name;
    EXPECT_EQ(field.items(object, field.limits), items) << field.name;
  }
}

TEST(Objects, DefaultsOfTheSchemaAreThoseOfTheStructs) {
  expect_defaults_agree<EngineObject>();
  expect_defaults_agree<PoolObject>();
  expect_defaults_agree<ModelObject>();
  expect_defaults_agree<RoutingPolicyObject>();
}

TEST(Objects, ChoicesFollowTheEnums) {
  for (const auto& field : object_fields<RoutingPolicyObject>()) {
    for (std::size_t i = 0; i < field.limits.choices.size(); ++i) {
      EXPECT_EQ(field.limits.choices[i], infermesh::to_string(static_cast<PolicyKind>(i)));
    }
  }
}

TEST(Objects, UnknownKeysNameTheObjectAndTheNearestKey) {
  EXPECT_THAT(
      problems_of("kind: Pool\nname: chat\nspec:\n  enignes: [e1]\n"),
      ElementsAre(
          "mesh.yaml:4:3: unknown key \"enignes\" in Pool \"chat\"; did you mean \"engines\"?"));
  EXPECT_THAT(
      problems_of("kind: Pool\nname: chat\nspce: {}\n"),
      ElementsAre("mesh.yaml:3:1: unknown key \"spce\" in Pool \"chat\"; did you mean \"spec\"?"));
  EXPECT_THAT(problems_of("kind: Pool\nname: p\nmetadata: {}\n"),
              ElementsAre(HasSubstr("only kind, name and spec")));
}

TEST(Objects, APolicyMayBeNamedWithoutAnObject) {
  EXPECT_THAT(problems_of("kind: Pool\nname: p\nspec: {policy: least_request}\n"), IsEmpty());
  EXPECT_THAT(problems_of("kind: Pool\nname: p\nspec: {policy: least_requests}\n"),
              ElementsAre(HasSubstr("did you mean \"least_request\"?")));
}

TEST(Objects, ReferencesToUnknownObjectsNameTheNearest) {
  EXPECT_THAT(
      problems_of("kind: Engine\nname: gpu1\nspec: {url: 'http://a:1', pool: caht}\n---\n"
                  "kind: Pool\nname: chat\nspec:\n  engines:\n    - gpu2\n  policy: ghost\n"),
      ElementsAre("mesh.yaml:3:33: pool in Engine \"gpu1\": there is no Pool \"caht\"; did you "
                  "mean \"chat\"?",
                  "mesh.yaml:9:7: engines in Pool \"chat\": there is no Engine \"gpu2\"; did you "
                  "mean \"gpu1\"?",
                  "mesh.yaml:10:11: policy in Pool \"chat\": there is no RoutingPolicy \"ghost\""));
}

TEST(Objects, NamesGivenTwiceAreRefusedAcrossFiles) {
  const std::vector<ObjectText> files{{"a.yaml", "kind: Pool\nname: p\n"},
                                      {"b.yaml", "kind: Pool\nname: p\n"}};
  auto set = read_objects(files);
  ASSERT_FALSE(set.has_value());
  EXPECT_EQ(join_lines(set.error()),
            "b.yaml:2:7: Pool \"p\" is defined twice, first at a.yaml:2:7");
}

TEST(Objects, TheSameNameInTwoKindsIsFine) {
  EXPECT_THAT(problems_of("kind: Pool\nname: x\n---\nkind: RoutingPolicy\nname: x\n"), IsEmpty());
}

TEST(Objects, BadValuesAreShownAtTheirPlace) {
  EXPECT_THAT(
      problems_of(
          "kind: Engine\nname: e\nspec:\n  url: http://a:1/v1\n  weight: 0\n  runtime: vlm\n"),
      ElementsAre("mesh.yaml:4:8: url in Engine \"e\": \"http://a:1/v1\" has a path; give only "
                  "http://HOST:PORT",
                  "mesh.yaml:5:11: weight in Engine \"e\": 0 is out of bounds, 1 to 10000",
                  "mesh.yaml:6:12: runtime in Engine \"e\": there is no Runtime \"vlm\"; did you "
                  "mean \"vllm\"?"));
  EXPECT_THAT(
      problems_of("kind: Model\nname: m\nspec:\n  aliases: [ok, 'not ok']\n"),
      ElementsAre(HasSubstr("mesh.yaml:4:17: aliases in Model \"m\": \"not ok\" is not a name")));
  EXPECT_THAT(problems_of("kind: RoutingPolicy\nname: r\nspec: {session_header: 'a b'}\n"),
              ElementsAre(HasSubstr("is not the name of an HTTP header")));
}

TEST(Objects, WrongShapesAreProblems) {
  EXPECT_THAT(problems_of("- a\n"), ElementsAre(HasSubstr("mesh.yaml:1:1: an object is a map")));
  EXPECT_THAT(problems_of("name: x\n"), ElementsAre(HasSubstr("has no kind")));
  EXPECT_THAT(problems_of("kind: Pol\nname: x\n"),
              ElementsAre(HasSubstr("did you mean \"Pool\"?")));
  EXPECT_THAT(problems_of("kind: Pool\n"), ElementsAre("mesh.yaml:1:1: the Pool has no name"));
  EXPECT_THAT(problems_of("kind: Pool\nname: 'a b'\n"), ElementsAre(HasSubstr("is not a name")));
  EXPECT_THAT(problems_of("kind: Pool\nname: p\nspec: [a]\n"),
              ElementsAre(HasSubstr("is a map, not a list")));
  EXPECT_THAT(problems_of("kind: Pool\nname: p\nspec: {queue_max: [1]}\n"),
              ElementsAre(HasSubstr("queue_max in Pool \"p\" takes one value, not a list")));
  EXPECT_THAT(problems_of("kind: Pool\nname: p\nspec: {engines: {a: b}}\n"),
              ElementsAre(HasSubstr("not a map")));
  EXPECT_THAT(problems_of("kind: Engine\nname: e\n"),
              ElementsAre("mesh.yaml:1:1: Engine \"e\" has no url, which is required"));
}

TEST(Objects, TwoEnginesAtOneAddressAreRefused) {
  EXPECT_THAT(problems_of("kind: Engine\nname: a\nspec: {url: 'http://h:1'}\n---\nkind: "
                          "Engine\nname: b\nspec: {url: 'h:1/'}\n"),
              ElementsAre(HasSubstr("url in Engine \"b\": http://h:1 is Engine \"a\" already")));
}

TEST(Objects, AGrpcUrlMayHaveAnyOfFourSchemes) {
  for (const char* scheme : {"https", "grpcs", "GRPCS"}) {
    const auto set = must_read(
        fmt::format("kind: Engine\nname: e\nspec: {{url: 'http://a:1', grpc_url: '{}://a:2', "
                    "tls_ca_file: c}}\n",
                    scheme));
    EXPECT_EQ(set.engines.at(0).grpc_url, "https://a:2");
  }
  for (const char* scheme : {"http://", "grpc://", ""}) {
    const auto set = must_read(fmt::format(
        "kind: Engine\nname: e\nspec: {{url: 'http://a:1', grpc_url: '{}a:2'}}\n", scheme));
    EXPECT_EQ(set.engines.at(0).grpc_url, "http://a:2");
  }
}

TEST(Objects, TlsFieldsGoWithAnHttpsUrlAndACertificateWithItsKey) {
  EXPECT_THAT(
      problems_of("kind: Engine\nname: e\nspec:\n  tls_ca_file: ca.pem\n  url: http://a:1\n"),
      ElementsAre("mesh.yaml:4:3: tls_ca_file in Engine \"e\" is for an https url, and its url is "
                  "http://a:1"));
  EXPECT_THAT(
      problems_of("kind: Engine\nname: e\nspec: {url: 'https://a:1', tls_client_cert: c}\n"),
      ElementsAre(HasSubstr("add tls_client_key")));
  const auto set = must_read(
      "kind: Engine\nname: e\nspec: {url: 'https://a:1', tls_server_name: gpu, tls_min_version: "
      "1.2,"
      " tls_insecure_skip_verify: on}\n");
  const TlsOptions tls = set.engines.at(0).tls_options();
  EXPECT_EQ(tls.server_name, "gpu");
  EXPECT_EQ(tls.min_version, TlsVersion::k12);
  EXPECT_EQ(tls.trust, TlsTrust::kAnyone);
}

TEST(Objects, AnAliasMeansOneModel) {
  EXPECT_THAT(problems_of("kind: Model\nname: a\nspec: {aliases: [b, x]}\n---\nkind: Model\nname: "
                          "b\nspec: {aliases: [x]}\n"),
              ElementsAre(HasSubstr("\"b\" is a Model itself"),
                          HasSubstr("\"x\" is an alias of Model \"a\" already")));
}

TEST(Objects, AllProblemsOfASetAreReportedAndTheSetIsRefusedWhole) {
  const std::vector<ObjectText> files{
      {"a.yaml", "kind: Engine\nname: e\nspec: {url: 'http://a:1'}\n"},
      {"b.yaml", "kind: [\n"},
      {"c.yaml", "kind: Pool\nname: p\nspec: {queue_max: x, retry_budget: 9}\n"}};
  auto set = read_objects(files);
  ASSERT_FALSE(set.has_value());
  EXPECT_EQ(set.error().size(), 3u);
  EXPECT_EQ(set.error()[0].file, "b.yaml");
}

TEST(Objects, PoolsTakeWhatTheyLeaveOutFromTheDefaults) {
  PoolObject defaults;
  defaults.total_timeout = 7s;
  defaults.attempts_max = 5;
  const ObjectText file{"a.yaml", "kind: Pool\nname: p\nspec: {attempts_max: 2}\n"};
  auto set = read_objects(std::span(&file, 1), defaults);
  ASSERT_TRUE(set.has_value());
  EXPECT_EQ(set->pools[0].total_timeout, 7s);
  EXPECT_EQ(set->pools[0].attempts_max, 2u);
}

TEST(Objects, TooManyEnginesAreRefused) {
  std::string text;
  for (int i = 0; i < 4097; ++i) {
    text += fmt::format("---\nkind: Engine\nname: e{}\nspec: {{url: 'http://h{}:1'}}\n", i, i);
  }
  EXPECT_THAT(problems_of(text),
              ElementsAre(HasSubstr("4097 engines are described, the limit is 4096")));
}

TEST(Objects, EmptyFilesAndDocumentsAreFine) {
  EXPECT_THAT(problems_of(""), IsEmpty());
  EXPECT_THAT(problems_of("# nothing\n---\n---\nkind: Pool\nname: p\nspec:\n"), IsEmpty());
}

TEST(YamlLimits, AliasesCannotMakeASmallFileLargeOrEndless) {
  std::string bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 9; ++i) {
    bomb += fmt::format("a{}: &a{} [", i, i);
    for (int j = 0; j < 10; ++j) bomb += fmt::format("*a{},", i - 1);
    bomb += "]\n";
  }
  EXPECT_THAT(problems_of(bomb), ElementsAre(HasSubstr("more than 200000 values")));
  EXPECT_THAT(problems_of("kind: &a [*a]\n"), ElementsAre(HasSubstr("mesh.yaml:1:")));
  EXPECT_THAT(problems_of("a: " + std::string(100, '[') + std::string(100, ']')),
              ElementsAre(HasSubstr("nested deeper than 32")));
}

}  // namespace
}  // namespace infermesh::config

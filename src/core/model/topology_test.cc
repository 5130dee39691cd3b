#include "core/model/topology.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace infermesh {
namespace {

TEST(Apis, NamesReadBackAndEveryRuntimeHasItsOwn) {
  for (std::size_t i = 0; i < kApis; ++i) {
    const auto api = static_cast<Api>(i);
    EXPECT_EQ(parse_api(to_string(api)), api);
  }
  for (std::size_t i = 0; i < kRuntimes; ++i) {
    const auto runtime = static_cast<Runtime>(i);
    const bool built_in = runtime != Runtime::kDescribed;
    EXPECT_EQ(parse_runtime(to_string(runtime)), built_in ? std::optional(runtime) : std::nullopt);
  }
  EXPECT_EQ(to_string(ApiSet{Api::kCompletions, Api::kChat}), "chat, completions");
  EXPECT_FALSE(apis_of(Runtime::kTriton).contains(Api::kChat));
}

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr Instant kStart{1000s};

EngineFacts found(std::string name, std::uint16_t port, std::vector<std::string> models) {
  EngineFacts facts;
  facts.name = std::move(name);
  facts.url = fmt::format("http://127.0.0.1:{}", port);
  facts.runtime = Runtime::kVllm;
  facts.state = EndpointState::kReady;
  facts.models.emplace();
  for (std::string& model : models) facts.models->push_back({std::move(model), {}, {}});
  return facts;
}

EngineObject engine(std::string name, std::uint16_t port) {
  EngineObject object;
  object.name = std::move(name);
  object.url = fmt::format("http://127.0.0.1:{}", port);
  return object;
}

PoolObject pool(std::string name, std::vector<std::string> engines) {
  PoolObject object;
  object.name = std::move(name);
  object.engines = std::move(engines);
  return object;
}

ModelObject model(std::string name, std::string pool_name, std::string served) {
  ModelObject object;
  object.name = std::move(name);
  object.pool = std::move(pool_name);
  object.served_name = std::move(served);
  return object;
}

class TopologyTest : public ::testing::Test {
 protected:
  Result<Topology> try_build() {
    TopologyInput input{objects, engines_found, ejections, {}, {}, keys, ++generation, now, wall};
    return build_view(input, memory);
  }
  Topology build() {
    auto topology = try_build();
    EXPECT_TRUE(topology.has_value()) << topology.error().detail;
    return topology.has_value() ? *topology : Topology{};
  }
  static std::vector<std::string> names(const MeshView& view, const std::vector<EndpointId>& ids) {
    std::vector<std::string> out;
    for (EndpointId id : ids) out.push_back(view.endpoint(id)->name);
    return out;
  }
  static std::vector<std::string> engines_of(const MeshView& view, std::string_view name) {
    const Model* found_model = view.find_model(name);
    if (found_model == nullptr) return {"(no model)"};
    return names(view, found_model->endpoints);
  }
  static const Pool& pool_of(const MeshView& view, std::string_view name) {
    return view.pools.at(view.find_model(name)->pool.value);
  }

  ObjectSet objects;
  std::vector<EngineFacts> engines_found;
  std::vector<EjectionFact> ejections;
  std::map<std::string, std::string> keys;
  std::uint64_t generation = 0;
  Instant now = kStart;
  WallTime wall{1s};
  TopologyMemory memory;
};

TEST_F(TopologyTest, NothingMakesAnEmptyView) {
  const Topology topology = build();
  EXPECT_THAT(topology.view.endpoints, IsEmpty());
  EXPECT_THAT(topology.view.pools, IsEmpty());
  EXPECT_EQ(topology.view.find_model("x"), nullptr);
  EXPECT_EQ(topology.view.generation, 1u);
}

TEST_F(TopologyTest, FoundEnginesOfOneModelShareAPoolNamedAfterIt) {
  engines_found = {found("b", 2, {"qwen"}), found("a", 1, {"qwen"}), found("c", 3, {"bge"})};
  const MeshView view = build().view;
  EXPECT_THAT(engines_of(view, "qwen"), ElementsAre("a", "b"));
  EXPECT_EQ(pool_of(view, "qwen").spec.name, "qwen");
  EXPECT_THAT(engines_of(view, "bge"), ElementsAre("c"));
  EXPECT_EQ(view.endpoint(EndpointId(0))->authority, "127.0.0.1:1");
  EXPECT_EQ(view.endpoint(EndpointId(0))->state, EndpointState::kReady);
}

TEST_F(TopologyTest, AdaptersLiveInTheirParentsPoolAndOnlyOnTheirEngines) {
  engines_found = {found("a", 1, {"qwen"}), found("b", 2, {"qwen"})};
  engines_found[1].models->push_back({"sql-lora", "qwen", {}});
  const MeshView view = build().view;
  ASSERT_EQ(view.pools.size(), 1u);
  EXPECT_THAT(engines_of(view, "sql-lora"), ElementsAre("b"));
  EXPECT_EQ(view.find_model("sql-lora")->parent, "qwen");
  EXPECT_EQ(pool_of(view, "sql-lora").spec.name, "qwen");
}

TEST_F(TopologyTest, AnAdapterWhoseParentIsNotServedHasItsOwnPool) {
  engines_found = {found("a", 1, {})};
  engines_found[0].models->push_back({"lora", "/weights/base", {}});
  EXPECT_EQ(pool_of(build().view, "lora").spec.name, "lora");
}

TEST_F(TopologyTest, AnEngineOfTwoModelsIsInBothPools) {
  engines_found = {found("a", 1, {"x", "y"})};
  const MeshView view = build().view;
  EXPECT_EQ(view.pools.size(), 2u);
  EXPECT_THAT(engines_of(view, "x"), ElementsAre("a"));
  EXPECT_THAT(engines_of(view, "y"), ElementsAre("a"));
}

TEST_F(TopologyTest, PoolObjectsTakeTheEnginesTheyListAndThoseThatNameThem) {
  objects.engines = {engine("a", 1), engine("b", 2), engine("c", 3)};
  objects.engines[1].pool = "chat";
  objects.pools = {pool("chat", {"a"})};
  engines_found = {found("a", 1, {"qwen"}), found("b", 2, {"qwen"}), found("c", 3, {"qwen"})};
  const Topology topology = build();
  EXPECT_EQ(pool_of(topology.view, "qwen").spec.name, "chat");
  EXPECT_THAT(engines_of(topology.view, "qwen"), ElementsAre("a", "b"));
  EXPECT_THAT(topology.notes, ElementsAre(HasSubstr("served by pool \"chat\"")));
}

TEST_F(TopologyTest, AModelObjectRenamesAndAliases) {
  objects.engines = {engine("a", 1)};
  objects.pools = {pool("p", {"a"})};
  objects.models = {model("gpt-4", "p", "qwen")};
  objects.models[0].aliases = {"gpt-4o"};
  objects.models[0].expected_output_tokens = 99;
  engines_found = {found("a", 1, {"qwen"})};
  const MeshView view = build().view;
  EXPECT_THAT(engines_of(view, "gpt-4"), ElementsAre("a"));
  EXPECT_EQ(view.find_model("gpt-4o")->name, "gpt-4");
  EXPECT_EQ(view.find_model("gpt-4")->served_name, "qwen");
  EXPECT_EQ(view.find_model("gpt-4")->expected_output_tokens, 99u);
  EXPECT_THAT(engines_of(view, "qwen"), ElementsAre("a"));
}

TEST_F(TopologyTest, AnAliasHidesAServedNameButNotAModelObject) {
  engines_found = {found("a", 1, {"x", "y"})};
  objects.models = {model("m", "", "x"), model("n", "", "y")};
  objects.models[0].aliases = {"y", "n"};
  const MeshView view = build().view;
  EXPECT_EQ(view.find_model("y")->name, "m");
  EXPECT_EQ(view.find_model("n")->name, "n");
}

TEST_F(TopologyTest, AModelWithoutAPoolFindsTheOneThatServesIt) {
  objects.models = {model("m", "", "qwen")};
  engines_found = {found("a", 1, {"qwen"})};
  EXPECT_EQ(pool_of(build().view, "m").spec.name, "qwen");
}

TEST_F(TopologyTest, AModelThatNothingServesKeepsItsNameAndHasNoEngines) {
  objects.models = {model("m", "", "qwen")};
  const MeshView view = build().view;
  EXPECT_THAT(engines_of(view, "m"), IsEmpty());
  EXPECT_THAT(pool_of(view, "m").endpoints, IsEmpty());
}

TEST_F(TopologyTest, NamesInTheObjectCountUntilTheEngineTellsItsOwn) {
  objects.engines = {engine("a", 1)};
  objects.engines[0].models = {"qwen", "gone"};
  EXPECT_THAT(engines_of(build().view, "gone"), ElementsAre("a"));
  engines_found = {found("a", 1, {"qwen", "other"})};
  const MeshView view = build().view;
  EXPECT_THAT(engines_of(view, "qwen"), ElementsAre("a"));
  EXPECT_EQ(view.find_model("gone"), nullptr);
  EXPECT_EQ(view.find_model("other"), nullptr);
}

TEST_F(TopologyTest, NamesInTheObjectReplaceTheListOfARuntimeThatTakesAnyName) {
  objects.engines = {engine("a", 1)};
  objects.engines[0].models = {"tiny"};
  engines_found = {found("a", 1, {"/models/tiny.gguf"})};
  engines_found[0].runtime = Runtime::kLlamacpp;
  engines_found[0].models->front().context_max = Tokens(2048);
  const MeshView view = build().view;
  EXPECT_THAT(engines_of(view, "tiny"), ElementsAre("a"));
  EXPECT_EQ(view.find_model("tiny")->context_max, Tokens(2048));
}

TEST_F(TopologyTest, ADiscoveredEngineAtAnObjectsAddressIsTheObjects) {
  objects.engines = {engine("mine", 1)};
  engines_found = {found("mine", 1, {"qwen"}), found("127.0.0.1:1", 1, {"qwen"})};
  EXPECT_THAT(engines_of(build().view, "qwen"), ElementsAre("mine"));
}

TEST_F(TopologyTest, DrainShowsUnlessTheEngineIsDown) {
  objects.engines = {engine("a", 1), engine("b", 2)};
  objects.engines[0].drain = objects.engines[1].drain = true;
  engines_found = {found("a", 1, {"x"}), found("b", 2, {"x"})};
  engines_found[1].state = EndpointState::kDown;
  const MeshView view = build().view;
  EXPECT_EQ(view.endpoint(EndpointId(0))->state, EndpointState::kDraining);
  EXPECT_EQ(view.endpoint(EndpointId(1))->state, EndpointState::kDown);
}

TEST_F(TopologyTest, IdsStayWhileOthersComeAndGo) {
  engines_found = {found("b", 2, {"x"}), found("c", 3, {"x"})};
  const Topology first = build();
  EXPECT_THAT(first.fresh, ElementsAre(EndpointId(0), EndpointId(1)));
  engines_found = {found("a", 1, {"x"}), found("c", 3, {"x"})};
  const Topology second = build();
  EXPECT_EQ(second.view.endpoint(EndpointId(0)), nullptr);
  EXPECT_EQ(second.view.endpoint(EndpointId(1))->name, "c");
  EXPECT_EQ(second.view.endpoint(EndpointId(2))->name, "a");
  EXPECT_THAT(second.fresh, ElementsAre(EndpointId(2)));
}

TEST_F(TopologyTest, AnotherAddressUnderTheSameNameIsAnotherEngine) {
  engines_found = {found("a", 1, {"x"})};
  build();
  engines_found = {found("a", 2, {"x"})};
  EXPECT_THAT(build().fresh, ElementsAre(EndpointId(1)));
}

TEST_F(TopologyTest, InFlightLimitsComeFromTheEngineThenTheTightestPool) {
  objects.engines = {engine("a", 1), engine("b", 2), engine("c", 3)};
  objects.engines[0].in_flight_max = 500;
  objects.pools = {pool("p", {"a", "b"}), pool("q", {"b"})};
  objects.pools[0].in_flight_per_engine_max = 20;
  objects.pools[1].in_flight_per_engine_max = 10;
  const MeshView view = build().view;
  EXPECT_EQ(view.endpoint(EndpointId(0))->in_flight_max, 500u);
  EXPECT_EQ(view.endpoint(EndpointId(1))->in_flight_max, 10u);
  EXPECT_EQ(view.endpoint(EndpointId(2))->in_flight_max, 256u);
}

TEST_F(TopologyTest, PoliciesAreResolvedByName) {
  RoutingPolicyObject random;
  random.name = "dice";
  random.policy = PolicyKind::kRandom;
  objects.policies = {random};
  objects.engines = {engine("a", 1)};
  objects.pools = {pool("p", {"a"})};
  objects.pools[0].policy = "dice";
  objects.models = {model("m", "p", "")};
  objects.models[0].policy = "dice";
  const MeshView view = build().view;
  EXPECT_EQ(view.pools[0].policy.policy, PolicyKind::kRandom);
  EXPECT_EQ(view.models[0].policy->policy, PolicyKind::kRandom);
  objects.pools[0].policy = "";
  EXPECT_EQ(build().view.pools[0].policy.policy, PolicyKind::kExpectedLatency);
}

TEST_F(TopologyTest, ReferencesToWhatIsNotThereAreErrors) {
  objects.pools = {pool("p", {"ghost"})};
  EXPECT_THAT(try_build().error().detail, HasSubstr("engine \"ghost\", which does not exist"));
  objects.pools = {pool("p", {})};
  objects.pools[0].policy = "ghost";
  EXPECT_THAT(try_build().error().detail, HasSubstr("policy \"ghost\", which does not exist"));
  objects.pools.clear();
  objects.models = {model("m", "ghost", "")};
  EXPECT_THAT(try_build().error().detail, HasSubstr("pool \"ghost\", which does not exist"));
  objects.models.clear();
  objects.engines = {engine("a", 1)};
  objects.engines[0].url = "ftp://a:1";
  EXPECT_THAT(try_build().error().detail, HasSubstr("is not an engine's URL"));
}

TEST_F(TopologyTest, AnHttpsEngineIsReachedOverTlsAsItsObjectSays) {
  objects.engines = {engine("a", 1), engine("b", 2)};
  objects.engines[0].url = "https://127.0.0.1:1";
  objects.engines[0].tls_ca_file = "ca.pem";
  objects.engines[0].tls_server_name = "gpu.lan";
  const Topology topology = build();
  const Endpoint& secure = *topology.view.endpoints.at(0);
  const Endpoint& plain = *topology.view.endpoints.at(1);
  ASSERT_TRUE(secure.tls.has_value());
  EXPECT_EQ(secure.tls->ca_file, "ca.pem");
  EXPECT_EQ(secure.tls->server_name, "gpu.lan");
  EXPECT_EQ(secure.tls->trust, TlsTrust::kVerified);
  EXPECT_FALSE(plain.tls.has_value());
}

TEST_F(TopologyTest, GrpcIsReachedOverTlsWhereItsUrlSaysSo) {
  objects.engines = {engine("a", 1), engine("b", 2)};
  objects.engines[0].grpc_url = "https://127.0.0.1:11";
  objects.engines[0].tls_ca_file = "ca.pem";
  objects.engines[1].grpc_url = "http://127.0.0.1:12";
  const Topology topology = build();
  const Endpoint& secure = *topology.view.endpoints.at(0);
  ASSERT_TRUE(secure.grpc_tls.has_value());
  EXPECT_EQ(secure.grpc_tls->ca_file, "ca.pem");
  EXPECT_FALSE(secure.tls.has_value()) << "each of the two has a url of its own";
  EXPECT_FALSE(topology.view.endpoints.at(1)->grpc_tls.has_value());
}

TEST_F(TopologyTest, KeysComeFromTheEnvironmentGivenAndAMissingOneIsNoted) {
  objects.engines = {engine("a", 1), engine("b", 2)};
  objects.engines[0].api_key_env = "KEY_A";
  objects.engines[1].api_key_env = "KEY_B";
  keys = {{"KEY_A", "secret"}};
  const Topology topology = build();
  EXPECT_EQ(topology.view.endpoint(EndpointId(0))->api_key, "secret");
  EXPECT_THAT(topology.notes, ElementsAre(HasSubstr("KEY_B is not set")));
}

TEST_F(TopologyTest, EjectionsAreTranslatedAndSortedAndUnknownOnesDropped) {
  engines_found = {found("a", 1, {"x"}), found("b", 2, {"x"})};
  ejections = {{"b", "x", kStart + 5s, true, "resets"},
               {"a", "x", kStart + 5s, false, "resets"},
               {"ghost", "x", kStart, false, ""}};
  const MeshView view = build().view;
  ASSERT_EQ(view.ejections.size(), 2u);
  EXPECT_TRUE(view.find_ejection(EndpointId(1), view.find_model("x")->id)->half_open);
}

TEST_F(TopologyTest, AModelKeepsTheTimeItWasFirstSeen) {
  engines_found = {found("a", 1, {"x"})};
  build();
  wall = WallTime(9s);
  engines_found[0].models->push_back({"y", {}, {}});
  const MeshView view = build().view;
  EXPECT_EQ(view.find_model("x")->created, WallTime(1s));
  EXPECT_EQ(view.find_model("y")->created, WallTime(9s));
}

TEST_F(TopologyTest, TheLargestContextOfTheEnginesIsTheModels) {
  engines_found = {found("a", 1, {"x"}), found("b", 2, {"x"})};
  engines_found[0].models->front().context_max = Tokens(100);
  engines_found[1].models->front().context_max = Tokens(900);
  EXPECT_EQ(build().view.find_model("x")->context_max, Tokens(900));
}

TEST_F(TopologyTest, TooManyEnginesIsAnErrorWithNumbers) {
  memory.ids = EndpointIds(10min, 2);
  engines_found = {found("a", 1, {"x"}), found("b", 2, {"x"}), found("c", 3, {"x"})};
  EXPECT_THAT(try_build().error().detail, HasSubstr("no place for another engine: 2 are in use"));
}

TEST_F(TopologyTest, APoolMayNameAPolicyWithoutAnObject) {
  engines_found = {found("a", 1, {"x"})};
  PoolObject pool;
  pool.name = "p";
  pool.engines = {"a"};
  pool.policy = "round_robin";
  objects.pools = {pool};
  const MeshView view = build().view;
  EXPECT_EQ(view.pools.at(0).policy.policy, PolicyKind::kRoundRobin);
  objects.pools[0].policy = "round_robbin";
  EXPECT_THAT(try_build().error().detail, HasSubstr("round_robbin"));
}

TEST_F(TopologyTest, AHealthyEngineJoinsUntilItsModelsAreKnown) {
  engines_found = {found("a", 1, {"x"})};
  engines_found[0].models.reset();
  const MeshView before = build().view;
  EXPECT_EQ(before.endpoint(EndpointId(0))->state, EndpointState::kJoining);
  EXPECT_EQ(before.endpoint(EndpointId(0))->state_reason, "its models are not known yet");
  engines_found[0].models = {{ServedModel{"x", "", std::nullopt}}};
  EXPECT_EQ(build().view.endpoint(EndpointId(0))->state, EndpointState::kReady);
}

TEST_F(TopologyTest, TooManyModelsOfAnEngineAreLeftOutWithANote) {
  std::vector<std::string> many;
  for (int i = 0; i < 1100; ++i) many.push_back(fmt::format("m{:04}", i));
  engines_found = {found("a", 1, many)};
  const Topology topology = build();
  EXPECT_EQ(topology.view.models.size(), kModelsPerEngineMax);
  EXPECT_THAT(topology.notes, ElementsAre(HasSubstr("only the first 1024")));
}

TEST_F(TopologyTest, TheOrderOfInputsDoesNotMatter) {
  engines_found = {found("b", 2, {"y", "x"}), found("a", 1, {"x"})};
  const MeshView one = build().view;
  memory = TopologyMemory();
  std::swap(engines_found[0], engines_found[1]);
  const MeshView two = build().view;
  ASSERT_EQ(one.models.size(), two.models.size());
  for (std::size_t i = 0; i < one.models.size(); ++i) {
    EXPECT_EQ(one.models[i].name, two.models[i].name);
    EXPECT_EQ(one.models[i].endpoints, two.models[i].endpoints);
    EXPECT_EQ(one.models[i].pool, two.models[i].pool);
  }
}

TEST(EndpointIds, AFreedNumberRestsBeforeItIsGivenAgain) {
  EndpointIds ids(10s, 2);
  EXPECT_EQ(*ids.assign("a", kStart), EndpointId(0));
  EXPECT_EQ(*ids.assign("b", kStart), EndpointId(1));
  ids.keep_only({"b"}, kStart);
  EXPECT_FALSE(ids.assign("c", kStart + 9s).has_value());
  EXPECT_EQ(*ids.assign("c", kStart + 10s), EndpointId(0));
  EXPECT_EQ(*ids.assign("b", kStart), EndpointId(1));
}

TEST(EndpointIds, FreshNamesEachNewAssignmentOnce) {
  EndpointIds ids;
  (void)ids.assign("a", kStart);
  (void)ids.assign("a", kStart);
  EXPECT_THAT(ids.take_fresh(), ElementsAre(EndpointId(0)));
  EXPECT_THAT(ids.take_fresh(), IsEmpty());
}

TEST_F(TopologyTest, AnEngineServesWhatItsRuntimeAndItsObjectSay) {
  objects.engines = {engine("a", 1), engine("b", 2), engine("c", 3), engine("d", 4)};
  objects.engines[0].runtime = "triton";
  objects.engines[1].runtime = "own";
  objects.engines[2].runtime = "own";
  objects.engines[2].apis = {"chat"};
  RuntimeObject& own = objects.runtimes.emplace_back();
  own.name = "own";
  own.apis = {"rerank", "score"};
  own.openai_prefix = "/openai/v1";
  engines_found = {found("d", 4, {"m"})};
  const MeshView view = build().view;
  const auto endpoint = [&](std::string_view name) {
    for (const auto& one : view.endpoints) {
      if (one && one->name == name) return *one;
    }
    return Endpoint{};
  };
  EXPECT_EQ(endpoint("a").apis, apis_of(Runtime::kTriton));
  EXPECT_EQ(endpoint("b").runtime, Runtime::kDescribed);
  EXPECT_EQ(endpoint("b").runtime_name(), "own");
  EXPECT_EQ(endpoint("b").apis, (ApiSet{Api::kRerank, Api::kScore}));
  EXPECT_EQ(endpoint("b").openai_prefix, "/openai/v1");
  EXPECT_EQ(endpoint("c").apis, ApiSet{Api::kChat});
  EXPECT_EQ(endpoint("d").apis, apis_of(Runtime::kVllm)) << "as it was found to be";
  objects.runtimes.clear();
  const auto refused = try_build();
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().detail, HasSubstr("names runtime \"own\", which does not exist"));
}

}  // namespace
}  // namespace infermesh

// Requests that find every engine full: the queue, its order, its bounds; and that no route has a
// way around it.
#include <gtest/gtest.h>

#include "core/model/api_kind.h"
#include "data/server/route_table.h"
#include "data/server/testing_mesh.h"

namespace infermesh::data {
namespace {

// Engine e0 takes one request at a time, and answers each after `time` with its own user field.
void one_at_a_time(TestMesh& mesh, Duration time) {
  mesh.endpoint(0).in_flight_max = 1;
  mesh.publish();
  mesh.engine().plays([time](TestWire& wire) -> port::Task<void> {
    co_await wire.sleep(time);
    co_await wire.write(json_answer(kPlainAnswer));
  });
}

std::string from(std::string_view user) {
  return fmt::format(R"({{"model":"m","user":"{}","messages":[]}})", user);
}

std::vector<std::string> order_of_users(TestEngine& engine) {
  std::vector<std::string> order;
  for (const auto& request : engine.requests) {
    const auto at = request.body.find("\"user\":\"") + 8;
    order.push_back(request.body.substr(at, request.body.find('"', at) - at));
  }
  return order;
}

TEST(Queue, ThoseWhoWaitAreServedInOrder) {
  TestMesh mesh;
  one_at_a_time(mesh, 35ms);
  std::vector<TestClient> clients;
  const std::vector<std::string> names{"a", "b", "c", "d", "e", "f"};
  for (const std::string& name : names) {
    clients.push_back(mesh.connect());
    clients.back().send(chat(from(name)));
  }
  EXPECT_EQ(mesh.engine().asked(), 1u);
  EXPECT_EQ(mesh.shard.admission.waiting(PoolId(0)), 5u);
  for (TestClient& client : clients) EXPECT_EQ(client.answer().status, 200);
  EXPECT_EQ(order_of_users(mesh.engine()), names);
  EXPECT_EQ(mesh.world.now(), Instant(6 * 35ms)) << "no room was left unused";
}

TEST(Queue, ANewcomerDoesNotOvertake) {
  TestMesh mesh;
  one_at_a_time(mesh, 35ms);
  TestClient first = mesh.connect(), second = mesh.connect();
  first.send(chat(from("a")));
  second.send(chat(from("b")));
  mesh.cell().in_flight.store(0);  // room, which nobody has noticed yet
  TestClient third = mesh.connect();
  third.send(chat(from("c")));
  mesh.cell().in_flight.store(1);
  for (TestClient* client : {&first, &second, &third}) EXPECT_EQ(client->answer().status, 200);
  EXPECT_EQ(order_of_users(mesh.engine()), (std::vector<std::string>{"a", "b", "c"}));
}

TEST(Queue, HigherPrioritiesGoFirst) {
  TestMesh mesh;
  one_at_a_time(mesh, 35ms);
  TestClient running = mesh.connect();
  running.send(chat(from("running")));
  std::vector<TestClient> clients;
  for (const char* name : {"low", "normal", "high"}) {
    clients.push_back(mesh.connect());
    clients.back().send(chat(from(name), fmt::format("x-infermesh-priority: {}\r\n", name)));
  }
  for (TestClient& client : clients) EXPECT_EQ(client.answer().status, 200);
  EXPECT_EQ(order_of_users(mesh.engine()),
            (std::vector<std::string>{"running", "high", "normal", "low"}));
}

TEST(Queue, AModelWhoseEnginesAreFullDoesNotHoldUpAnother) {
  TestMesh mesh(2);
  mesh.endpoint(0).in_flight_max = mesh.endpoint(1).in_flight_max = 1;
  mesh.view.models[0].endpoints = {EndpointId(0)};
  mesh.add_model("n", "n");
  mesh.view.models[1].endpoints = {EndpointId(1)};
  mesh.publish();
  mesh.engine(0).holds();
  mesh.engine(1).plays([](TestWire& wire) -> port::Task<void> {
    co_await wire.sleep(35ms);
    co_await wire.write(json_answer(kPlainAnswer));
  });
  std::vector<TestClient> clients;
  for (const char* model : {"m", "n", "m", "n"}) {
    clients.push_back(mesh.connect());
    clients.back().send(chat(fmt::format(R"({{"model":"{}","messages":[]}})", model)));
  }
  EXPECT_EQ(clients[1].answer().status, 200);
  EXPECT_EQ(clients[3].answer().status, 200);
  EXPECT_LE(mesh.world.now(), Instant(100ms));
}

TEST(Queue, RoomThatAnotherShardFreesIsNoticed) {
  TestMesh mesh;
  one_at_a_time(mesh, 1ms);
  mesh.cell().in_flight.store(1);  // of another shard
  TestClient client = mesh.connect();
  client.send(chat(kPlainBody));
  mesh.world.run_for(1s);
  EXPECT_EQ(mesh.engine().asked(), 0u);
  mesh.cell().in_flight.store(0);
  EXPECT_EQ(client.answer(20ms).status, 200);
}

TEST(Queue, AnEngineThatJoinsIsUsedAtOnce) {
  TestMesh mesh(2);
  one_at_a_time(mesh, 1h);
  mesh.endpoint(1).state = EndpointState::kJoining;
  mesh.publish();
  mesh.engine(1).answers(json_answer(kPlainAnswer));
  TestClient first = mesh.connect(), second = mesh.connect();
  first.send(chat(kPlainBody));
  second.send(chat(kPlainBody));
  EXPECT_EQ(second.peek().status, 0);
  mesh.endpoint(1).state = EndpointState::kReady;
  mesh.publish();
  EXPECT_EQ(second.peek().status, 200);
}

TEST(Queue, TheQueuesDeadlineIsTold) {
  TestMesh mesh;
  mesh.pool().queue_timeout = 3s;
  one_at_a_time(mesh, 20s);
  TestClient first = mesh.connect(), second = mesh.connect();
  first.send(chat(kPlainBody));
  second.send(chat(kPlainBody));
  mesh.world.run_for(2999ms);
  EXPECT_EQ(second.peek().status, 0);
  mesh.world.run_for(1ms);
  const TestAnswer answer = second.peek();
  EXPECT_EQ(answer.status, 504);
  EXPECT_TRUE(answer.has(R"("code":"queue_deadline")")) << answer.body;
  EXPECT_TRUE(answer.has("pool p stayed busy for 3.0 s")) << answer.body;
  EXPECT_EQ(mesh.engine().asked(), 1u);
}

TEST(Queue, AFullQueueRefusesWithAdvice) {
  TestMesh mesh;
  mesh.pool().queue_max = 2;
  one_at_a_time(mesh, 1s);
  std::vector<TestClient> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(mesh.connect());
    clients.back().send(chat(kPlainBody));
  }
  const TestAnswer answer = mesh.ask(chat(kPlainBody));
  EXPECT_EQ(answer.status, 503);
  EXPECT_TRUE(answer.has(R"("code":"queue_full")")) << answer.body;
  EXPECT_EQ(answer.header("x-should-retry"), "true");
  EXPECT_NE(answer.header("retry-after"), "");
  EXPECT_NE(answer.header("retry-after-ms"), "");
  const TestAnswer anthropic = mesh.ask(post("/v1/messages", kPlainBody));
  EXPECT_EQ(anthropic.status, 529);
  EXPECT_TRUE(anthropic.has("overloaded_error")) << anthropic.body;
  for (TestClient& client : clients) EXPECT_EQ(client.answer().status, 200);
}

TEST(Queue, AFullQueueGivesThePlaceOfALowerPriority) {
  TestMesh mesh;
  mesh.pool().queue_max = 1;
  one_at_a_time(mesh, 1s);
  TestClient running = mesh.connect(), low = mesh.connect(), high = mesh.connect();
  running.send(chat(kPlainBody));
  low.send(chat(kPlainBody, "x-infermesh-priority: low\r\n"));
  EXPECT_EQ(low.peek().status, 0);
  high.send(chat(kPlainBody, "x-infermesh-priority: high\r\n"));
  const TestAnswer shed = low.peek();
  EXPECT_EQ(shed.status, 429);
  EXPECT_TRUE(shed.has(R"("code":"shed")")) << shed.body;
  EXPECT_EQ(shed.header("x-should-retry"), "true");
  EXPECT_EQ(high.answer().status, 200);
}

TEST(Queue, AdvisesTheTimeThatOneAnswerTakes) {
  TestMesh mesh;
  mesh.pool().queue_max = 1;
  one_at_a_time(mesh, 3s);
  std::vector<TestClient> clients;
  const auto send_one = [&] {
    clients.push_back(mesh.connect());
    clients.back().send(chat(kPlainBody));
  };
  for (int i = 0; i < 8; ++i) {  // one runs and one waits, all the time
    send_one();
    mesh.world.run_for(i == 0 ? 0s : 3s);
  }
  send_one();
  const TestAnswer answer = mesh.ask(chat(kPlainBody));
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.header("retry-after-ms"), "6000") << "two of 3 s each";
  EXPECT_EQ(answer.header("retry-after"), "6");
}

TEST(Queue, IsOneForAllShards) {
  TestMesh mesh;
  mesh.pool().queue_max = 2;
  mesh.view.pools[0].load = std::make_shared<PoolLoad>();
  one_at_a_time(mesh, 1s);
  mesh.view.pools[0].load->waiting = 1;  // on another shard
  std::vector<TestClient> clients;
  for (int i = 0; i < 2; ++i) {
    clients.push_back(mesh.connect());
    clients.back().send(chat(kPlainBody));
    mesh.world.settle();
  }
  EXPECT_EQ(mesh.view.pools[0].load->waiting.load(), 2);
  EXPECT_EQ(mesh.ask(chat(kPlainBody)).status, 503);
  for (TestClient& client : clients) EXPECT_EQ(client.answer().status, 200);
  EXPECT_EQ(mesh.view.pools[0].load->waiting.load(), 1) << "nothing of this shard is left";
}

TEST(Queue, KeepsItsPlacesWhenPoolsChangeAndTakesTheNewBound) {
  TestMesh mesh;
  mesh.pool().queue_max = 1;
  one_at_a_time(mesh, 1s);
  TestClient running = mesh.connect(), waiting = mesh.connect(), third = mesh.connect();
  running.send(chat(kPlainBody));
  waiting.send(chat(kPlainBody));
  mesh.world.settle();
  // A pool that sorts before it comes: ids move on.
  MeshView& view = mesh.view;
  view.pools.insert(view.pools.begin(),
                    Pool{.id = {}, .spec = {}, .policy = {}, .endpoints = {}, .load = {}});
  view.pools[0].spec.name = "a";
  view.pools[1].id = view.models[0].pool = PoolId(1);
  view.pools[1].spec.queue_max = 2;
  mesh.publish();
  mesh.world.settle();
  EXPECT_EQ(mesh.shard.admission.waiting(PoolId(1)), 1u);
  third.send(chat(kPlainBody));
  EXPECT_EQ(third.answer().status, 200);
  EXPECT_EQ(waiting.answer().status, 200);
}

TEST(Queue, WhoLeavesTheQueueMakesRoom) {
  TestMesh mesh;
  mesh.pool().queue_max = 1;
  one_at_a_time(mesh, 1s);
  TestClient running = mesh.connect(), gone = mesh.connect();
  running.send(chat(kPlainBody));
  gone.send(chat(kPlainBody));
  EXPECT_EQ(mesh.shard.admission.waiting(PoolId(0)), 1u);
  gone.leave();
  mesh.world.settle();
  EXPECT_EQ(mesh.shard.admission.waiting(PoolId(0)), 0u);
  EXPECT_EQ(mesh.ask(chat(kPlainBody)).status, 200);
  EXPECT_EQ(mesh.engine().asked(), 2u);
}

TEST(Queue, AStreamIsKeptAliveWhileItWaits) {
  TestMesh mesh;
  mesh.endpoint(0).in_flight_max = 1;
  mesh.publish();
  mesh.engine().plays([text = sse_answer({delta("a"), kDone})](TestWire& wire) -> port::Task<void> {
    co_await wire.sleep(8s);
    co_await wire.write(text);
  });
  TestClient running = mesh.connect(), waiting = mesh.connect();
  running.send(chat(kStreamBody));
  waiting.send(chat(kStreamBody));
  mesh.world.run_for(6s);
  EXPECT_EQ(waiting.peek().body, ": ping\n\n");
  EXPECT_TRUE(running.answer().whole);
  EXPECT_EQ(waiting.answer().body, ": ping\n\n" + delta("a") + kDone);
}

TEST(Queue, ADrainThatEndsStopsThoseWhoWait) {
  TestMesh mesh;
  one_at_a_time(mesh, 1h);
  TestClient running = mesh.connect(), waiting = mesh.connect();
  running.send(chat(kPlainBody));
  waiting.send(chat(kPlainBody));
  mesh.server.drain(mesh.world.now() + 5s, [] {});
  mesh.world.run_for(5s);
  EXPECT_EQ(waiting.peek().status, 503);
  EXPECT_TRUE(waiting.peek().has(R"("code":"draining")")) << waiting.input;
  EXPECT_EQ(mesh.shard.admission.waiting(PoolId(0)), 0u);
}

TEST(Queue, EveryInferenceRouteGoesThroughIt) {
  for (const Route& route : route_table()) {
    if (route.action != Action::kInference || route.method != "POST") continue;
    SCOPED_TRACE(route.path);
    TestMesh mesh;
    mesh.endpoint(0).apis = {route.api};
    one_at_a_time(mesh, 1ms);
    mesh.publish();
    mesh.cell().in_flight.store(1);
    TestClient client = mesh.connect();
    const bool form = body_form(route.api) == BodyForm::kForm;
    client.send(form ? post(route.path, kFormBody, kFormHead)
                     : post(route.path,
                            R"({"model":"m","messages":[],"prompt":"p","input":"i","query":"q",)"
                            R"("documents":["d"],"text_1":"t","text_2":"t","tokens":[1],)"
                            R"("max_tokens":1})"));
    EXPECT_EQ(mesh.shard.admission.waiting(PoolId(0)), 1u);
    EXPECT_EQ(mesh.engine().asked(), 0u);
    mesh.cell().in_flight.store(0);
    EXPECT_EQ(client.answer().status, 200);
    EXPECT_EQ(mesh.engine().asked(), 1u);
    EXPECT_EQ(mesh.shard.admission.waiting(PoolId(0)), 0u);
  }
}

}  // namespace
}  // namespace infermesh::data

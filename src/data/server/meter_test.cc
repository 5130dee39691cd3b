// What the data plane counts and measures, in virtual time.
#include <gtest/gtest.h>

#include <sstream>

#include "data/server/testing_mesh.h"

namespace infermesh::data {
namespace {

// The sum of all samples of this name.
double sample(const TestMesh& mesh, const std::string& name) {
  std::istringstream page(mesh.metrics_text());
  double sum = 0;
  for (std::string line; std::getline(page, line);) {
    const bool named = line.starts_with(name + "{") || line.starts_with(name + " ");
    if (named) sum += std::stod(line.substr(line.rfind(' ')));
  }
  return sum;
}

TEST(Meter, EveryTimeOfAStreamIsObserved) {
  TestMesh mesh;
  const std::string usage =
      R"(data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}})"
      "\n\n";
  mesh.engine().plays([usage](TestWire& wire) -> port::Task<void> {
    co_await wire.sleep(1s);
    co_await wire.write(kSseHead + chunk(delta("a")));
    co_await wire.sleep(2s);
    co_await wire.write(chunk(delta("b") + usage + kDone) + kLastChunkText);
  });
  const TestAnswer answer = mesh.ask(chat(kStreamBody));
  EXPECT_TRUE(answer.whole);
  const std::pair<const char*, double> wanted[] = {
      {"infermesh_ttft_seconds_sum", 1},
      {"infermesh_itl_seconds_sum", 2},
      {"infermesh_upstream_seconds_sum", 3},
      {"infermesh_request_duration_seconds_sum", 3},
      {"infermesh_queue_seconds_count", 1},
      {"infermesh_added_seconds_count", 1},
      {"infermesh_added_seconds_sum", 0},
      {"infermesh_decisions_total", 1},
      {"infermesh_bytes_total", static_cast<double>(kStreamBody.size() + answer.body.size())},
      {"gen_ai_server_request_duration_seconds_sum", 3},
      {"gen_ai_server_time_to_first_token_seconds_sum", 1},
      {"gen_ai_server_time_per_output_token_seconds_sum", 1},
      {"gen_ai_client_token_usage_sum", 10},
  };
  for (const auto& [name, value] : wanted) EXPECT_NEAR(sample(mesh, name), value, 0.001) << name;
}

TEST(Meter, TimeInTheQueueIsNotTheRoutersOwn) {
  TestMesh mesh;
  mesh.endpoint(0).in_flight_max = 1;
  mesh.publish();
  mesh.engine().plays([](TestWire& wire) -> port::Task<void> {
    co_await wire.sleep(3s);
    co_await wire.write(json_answer(kPlainAnswer));
  });
  TestClient first = mesh.connect(), second = mesh.connect();
  first.send(chat(kPlainBody));
  second.send(chat(kPlainBody));
  EXPECT_EQ(first.answer().status, 200);
  EXPECT_EQ(second.answer().status, 200);
  EXPECT_NEAR(sample(mesh, "infermesh_queue_seconds_sum"), 3, 0.01);
  EXPECT_NEAR(sample(mesh, "infermesh_upstream_seconds_sum"), 6, 0.01);
  EXPECT_NEAR(sample(mesh, "infermesh_added_seconds_sum"), 0, 0.01);
}

TEST(Meter, TheQueueIsCountedFromItsEntryAndOfThoseWhoLeaveItToo) {
  TestMesh mesh;
  mesh.endpoint(0).in_flight_max = 1;
  mesh.pool().queue_timeout = 2s;
  mesh.publish();
  mesh.engine().plays([](TestWire& wire) -> port::Task<void> {
    co_await wire.sleep(7s);
    co_await wire.write(json_answer(kPlainAnswer));
  });
  TestClient first = mesh.connect(), slow = mesh.connect();
  const std::string request = chat(kPlainBody);
  const std::size_t begun = request.find('{') + 1;  // not enough to be routed
  slow.send(request.substr(0, begun));
  mesh.world.run_for(4s);
  first.send(chat(kPlainBody));
  slow.send(request.substr(begun));
  EXPECT_EQ(slow.answer().status, 504);
  EXPECT_NEAR(sample(mesh, "infermesh_queue_seconds_sum"), 2, 0.01) << "not the 4 s before";
  EXPECT_EQ(first.answer().status, 200);
  EXPECT_NEAR(sample(mesh, "infermesh_added_seconds_sum"), 0, 0.01);
}

TEST(Meter, CountsWhatIsNotLetIn) {
  TestMesh mesh;
  mesh.endpoint(0).in_flight_max = 1;
  mesh.pool().queue_max = 0;
  mesh.publish();
  mesh.engine().holds();
  TestClient first = mesh.connect();
  first.send(chat(kPlainBody));
  EXPECT_EQ(mesh.ask(chat(kPlainBody)).status, 503);
  EXPECT_TRUE(mesh.counted(R"(infermesh_shed_total{pool="p",reason="queue_full"} 1)"))
      << mesh.metrics_text();
  first.leave();
}

TEST(Meter, CountsWhatTheRouterAnswersItself) {
  TestMesh mesh;
  mesh.ask("GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n");
  mesh.ask("GET /v1/models/none HTTP/1.1\r\nhost: x\r\n\r\n");
  mesh.ask("GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n");
  mesh.ask("nonsense\r\n\r\n");
  for (const char* labels : {R"(api="models",code="200")", R"(api="models",code="404")",
                             R"(api="unknown",code="404")", R"(api="unknown",code="400")"}) {
    EXPECT_TRUE(
        mesh.counted(fmt::format(R"(infermesh_requests_total{{model="unknown",{}}} 1)", labels)))
        << labels << mesh.metrics_text();
  }
  EXPECT_TRUE(mesh.counted(R"(infermesh_errors_total{code="unknown_path"} 1)"));
  EXPECT_TRUE(mesh.counted(R"(infermesh_errors_total{code="bad_request"} 1)"));
}

}  // namespace
}  // namespace infermesh::data

#include "data/server/testing_mesh.h"

#include <gtest/gtest.h>

namespace infermesh::data {

TestMesh::~TestMesh() {
  world.run_for(2s);
  expect_nothing_in_flight();
  bool drained = false;
  server.drain(world.now(), [&] { drained = true; });
  world.run_for(2h);
  EXPECT_TRUE(drained);
  for (auto& engine : engines) {
    EXPECT_EQ(world.network().connections_open(engine->address()), 0u) << engine->port;
  }
}

void TestMesh::expect_nothing_in_flight() {
  for (std::size_t i = 0; i < engines.size(); ++i) {
    EXPECT_EQ(cell(i).in_flight.load(), 0) << i;
    EXPECT_EQ(cell(i).prefill_tokens_ahead.load(), 0) << i;
    EXPECT_EQ(cell(i).decode_tokens_ahead.load(), 0) << i;
    EXPECT_EQ(cell(i).streams.load(), 0) << i;
  }
  EXPECT_EQ(shard.admission.waiting(PoolId(0)), 0u);
}

namespace {

TEST(TestMesh, CountsWhatIsInFlight) {
  TestMesh mesh;
  mesh.engine().holds();
  TestClient client = mesh.connect();
  client.send(chat(kPlainBody));
  EXPECT_EQ(mesh.cell().in_flight.load(), 1);
  EXPECT_EQ(mesh.world.network().connections_open(mesh.engine().address()), 1u);
}

}  // namespace
}  // namespace infermesh::data

#include "obs/export/span_exporter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include <otlp/trace.pb.h>
#include "port/fake/world.h"

namespace infermesh::obs {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Scene {
  explicit Scene(std::size_t spans_max = 5000) : queue(spans_max) {
    answers.assign(20, {200, "", ""});
  }
  // Starts it; what it posts is kept in `bodies`, answered by `answers` in turn.
  void start() {
    PostSpans post = [this](std::string body, Duration) -> port::Task<CollectorAnswer> {
      bodies.push_back(std::move(body));
      at.push_back(world.now());
      CollectorAnswer answer = answers.front();
      answers.pop_front();
      co_return answer;
    };
    world.spawn(exporter.run(std::move(post)));
    world.settle();
  }
  void put(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      Span span;
      span.trace = {1, i + 1};
      span.id = i + 1;
      span.name = "POST /v1/chat/completions";
      queue.put(std::move(span));
    }
  }
  std::size_t spans_of(std::size_t body) const {
    otlp::ExportTraceServiceRequest request;
    EXPECT_TRUE(request.ParseFromString(bodies.at(body)));
    return static_cast<std::size_t>(request.resource_spans(0).scope_spans(0).spans_size());
  }
  std::string page() const { return metrics.expose(); }

  port::fake::World world;
  SpanQueue queue;
  Metrics metrics{1};
  Log log{-1, LogLevel::kError, LogFormat::kText};
  SpanExporter exporter{
      world.loop(), queue, metrics.set(0), log, {"http://127.0.0.1:4318", "1.2.3", "a", 1s}};
  std::vector<std::string> bodies;
  std::vector<Instant> at;
  std::deque<CollectorAnswer> answers;
};

std::string counted(std::string_view result, int spans) {
  return "infermesh_spans_total{result=\"" + std::string(result) + "\"} " + std::to_string(spans);
}

TEST(SpanExporter, SendsEveryIntervalInBatches) {
  Scene scene;
  scene.start();
  scene.world.run_for(3s);
  EXPECT_TRUE(scene.bodies.empty());
  scene.put(600);
  scene.world.run_for(1s);
  ASSERT_EQ(scene.bodies.size(), 2u);
  EXPECT_EQ(scene.spans_of(0), 512u);
  EXPECT_EQ(scene.spans_of(1), 88u);
  EXPECT_THAT(scene.page(), HasSubstr(counted("exported", 600)));
}

TEST(SpanExporter, TriesAgainWithGrowingPausesWhatMayPass) {
  Scene scene;
  scene.answers = {{503, "", ""}, {0, "", "refused"}, {200, "", ""}};
  scene.put(3);
  scene.start();
  scene.world.run_for(10s);
  ASSERT_EQ(scene.bodies.size(), 3u);
  EXPECT_EQ(scene.at[1] - scene.at[0], 500ms);
  EXPECT_EQ(scene.at[2] - scene.at[1], 1s);
  EXPECT_EQ(scene.bodies[0], scene.bodies[2]);
  EXPECT_THAT(scene.page(), HasSubstr(counted("exported", 3)));
}

TEST(SpanExporter, GivesUpAfterThreeTriesAndCountsTheLoss) {
  Scene scene;
  scene.answers = {{0, "", "refused"}, {0, "", "refused"}, {0, "", "refused"}, {200, "", ""}};
  scene.put(3);
  scene.start();
  scene.world.run_for(10s);
  EXPECT_EQ(scene.bodies.size(), 3u);
  EXPECT_THAT(scene.page(), HasSubstr(counted("lost", 3)));
  scene.put(1);
  scene.world.run_for(2s);
  EXPECT_THAT(scene.page(), HasSubstr(counted("exported", 1)));
}

TEST(SpanExporter, DoesNotRepeatWhatTheCollectorRefuses) {
  Scene scene;
  scene.answers = {{400, "", ""}, {200, "", ""}};
  scene.put(2);
  scene.start();
  scene.world.run_for(10s);
  EXPECT_EQ(scene.bodies.size(), 1u);
  EXPECT_THAT(scene.page(), HasSubstr(counted("rejected", 2)));
}

TEST(SpanExporter, CountsTheSpansOfABatchThatWereNotTaken) {
  Scene scene;
  otlp::ExportTraceServiceResponse partly;
  partly.mutable_partial_success()->set_rejected_spans(2);
  scene.answers = {{200, partly.SerializeAsString(), ""}};
  scene.put(5);
  scene.start();
  scene.world.run_for(2s);
  EXPECT_THAT(scene.page(), HasSubstr(counted("exported", 3)));
  EXPECT_THAT(scene.page(), HasSubstr(counted("rejected", 2)));
}

TEST(SpanExporter, CountsWhatTheQueueDropped) {
  Scene scene(4);
  scene.put(10);
  scene.start();
  scene.world.run_for(2s);
  EXPECT_THAT(scene.page(), HasSubstr(counted("dropped", 6)));
  EXPECT_THAT(scene.page(), HasSubstr(counted("exported", 4)));
}

TEST(SpanExporter, SendsWhatIsLeftBeforeItStops) {
  Scene scene;
  scene.start();
  scene.put(3);
  bool done = false;
  scene.exporter.stop([&] { done = true; });
  scene.world.settle();
  EXPECT_TRUE(done);
  ASSERT_EQ(scene.bodies.size(), 1u);
  EXPECT_EQ(scene.spans_of(0), 3u);
}

TEST(SpanExporter, DoesNotWaitForACollectorThatIsAwayWhenItStops) {
  Scene scene;
  scene.answers = {{0, "", "refused"}, {200, "", ""}};
  scene.start();
  scene.put(3);
  bool done = false;
  scene.exporter.stop([&] { done = true; });
  scene.world.settle();
  EXPECT_TRUE(done);
  EXPECT_EQ(scene.bodies.size(), 1u);
  EXPECT_THAT(scene.page(), HasSubstr(counted("lost", 3)));
}

}  // namespace
}  // namespace infermesh::obs

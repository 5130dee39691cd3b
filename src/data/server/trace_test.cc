// Spans: what a request's life looks like to a tracing backend, and what its engine sees of the
// trace.
#include <gtest/gtest.h>

#include <algorithm>

#include "data/server/testing_mesh.h"
#include "wire/http/trace_context.h"

namespace infermesh::data {
namespace {

constexpr std::string_view kSampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
constexpr std::string_view kUnsampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
constexpr TraceId kTrace{0x4bf92f3577b34da6, 0xa3ce929d0e0e4736};

struct TracedMesh : TestMesh {
  explicit TracedMesh(std::size_t count = 1, const config::Settings& given = {})
      : TestMesh(count, given) {
    shard.spans = &spans;
  }
  Span span() {
    std::vector<Span> taken = spans.take(10);
    EXPECT_EQ(taken.size(), 1u);
    return taken.empty() ? Span{} : std::move(taken.front());
  }
};

std::string with(std::string_view traceparent, std::string_view more = "") {
  return chat(kPlainBody, fmt::format("traceparent: {}\r\n{}", traceparent, more));
}

std::string traceparent_at(const TestEngine& engine) {
  constexpr std::string_view kName = "traceparent: ";
  const std::string& head = engine.requests.back().head;
  const std::size_t at = head.find(kName);
  EXPECT_EQ(at, head.rfind(kName)) << "once at most: " << head;
  if (at == std::string::npos) return "";
  return head.substr(at + kName.size(), head.find('\r', at) - at - kName.size());
}

template <typename T>
T attribute(const std::vector<SpanAttribute>& all, std::string_view name) {
  const auto found = std::find_if(all.begin(), all.end(), [&](const SpanAttribute& attribute) {
    return attribute.name == name && std::holds_alternative<T>(attribute.value);
  });
  return found == all.end() ? T{} : std::get<T>(found->value);
}

std::vector<std::string_view> names_of(const std::vector<SpanEvent>& events) {
  std::vector<std::string_view> names;
  for (const SpanEvent& event : events) names.push_back(event.name);
  return names;
}

TEST(Trace, PassesTheClientsContextUntouchedWhenSpansAreNotExported) {
  TestMesh mesh;
  mesh.engine().answers(json_answer(kPlainAnswer));
  mesh.ask(with(kSampled, "tracestate: a=1\r\n"));
  EXPECT_EQ(traceparent_at(mesh.engine()), kSampled);
  EXPECT_NE(mesh.engine().requests.back().head.find("tracestate: a=1"), std::string::npos);
}

TEST(Trace, GoesOnWithTheClientsTraceAndIsTheEnginesParent) {
  TracedMesh mesh;
  mesh.engine().answers(json_answer(kPlainAnswer));
  mesh.ask(with(kSampled, "tracestate: a=1\r\n"));
  const Span span = mesh.span();
  EXPECT_EQ(span.trace, kTrace);
  EXPECT_EQ(span.parent, 0x00f067aa0ba902b7u);
  EXPECT_EQ(span.trace_state, "a=1");
  EXPECT_NE(span.id, span.parent);
  EXPECT_EQ(traceparent_at(mesh.engine()),
            http::format_traceparent({kTrace, span.id, http::Sampled::kYes}));
}

TEST(Trace, ARequestThatItsClientDoesNotSampleMakesNoSpan) {
  TracedMesh mesh;
  mesh.engine().answers(json_answer(kPlainAnswer));
  mesh.ask(with(kUnsampled));
  EXPECT_TRUE(mesh.spans.take(10).empty());
  EXPECT_EQ(traceparent_at(mesh.engine()), kUnsampled);
}

TEST(Trace, BeginsATraceWhenThereIsNoneOrNoUsableOne) {
  TracedMesh mesh;
  mesh.engine().answers(json_answer(kPlainAnswer));
  for (const std::string& request :
       {chat(kPlainBody), with("00-nonsense", "tracestate: a=1\r\n")}) {
    mesh.ask(request);
    const Span span = mesh.span();
    EXPECT_EQ(span.parent, 0u);
    EXPECT_TRUE(span.trace_state.empty());
    EXPECT_EQ(traceparent_at(mesh.engine()),
              http::format_traceparent({span.trace, span.id, http::Sampled::kYes}));
  }
}

TEST(Trace, TracesTheShareThatIsAskedFor) {
  config::Settings settings;
  settings.trace_sample = 0;
  TracedMesh mesh(1, settings);
  mesh.engine().answers(json_answer(kPlainAnswer));
  mesh.ask(chat(kPlainBody));
  EXPECT_TRUE(mesh.spans.take(10).empty());
  EXPECT_TRUE(traceparent_at(mesh.engine()).ends_with("-00")) << "the engine is told not to either";
  mesh.ask(with(kSampled));
  EXPECT_EQ(mesh.spans.take(10).size(), 1u) << "the client's choice holds";
}

TEST(Trace, TellsRouteUpstreamAndFirstByte) {
  TracedMesh mesh;
  mesh.engine().plays([&mesh](TestWire& wire) -> port::Task<void> {
    co_await mesh.world.loop().sleep_until(mesh.world.now() + 300ms);
    co_await wire.write(json_answer(kPlainAnswer));
  });
  mesh.ask(chat(kPlainBody, "x-request-id: r\r\n"));
  const Span span = mesh.span();
  EXPECT_EQ(span.name, "POST /v1/chat/completions");
  EXPECT_EQ(span.status, SpanStatus::kUnset);
  EXPECT_EQ(attribute<std::string>(span.attributes, "gen_ai.operation.name"), "chat");
  EXPECT_EQ(attribute<std::string>(span.attributes, "gen_ai.request.model"), "m");
  EXPECT_EQ(attribute<std::string>(span.attributes, "infermesh.request_id"), "r");
  EXPECT_EQ(attribute<std::string>(span.attributes, "infermesh.engine"), "e0");
  EXPECT_EQ(attribute<std::string>(span.attributes, "infermesh.pool"), "p");
  EXPECT_EQ(attribute<std::int64_t>(span.attributes, "http.response.status_code"), 200);
  EXPECT_EQ(attribute<std::int64_t>(span.attributes, "gen_ai.usage.input_tokens"), 3);
  EXPECT_EQ(attribute<std::int64_t>(span.attributes, "gen_ai.usage.output_tokens"), 1);
  ASSERT_EQ(names_of(span.events),
            (std::vector<std::string_view>{"infermesh.routed", "infermesh.first_byte"}));
  EXPECT_EQ(attribute<std::string>(span.events[0].attributes, "infermesh.reason"), "only_one");
  EXPECT_EQ(span.events[1].at - span.start, 300ms);
  EXPECT_GE(span.end, span.events[1].at);
}

TEST(Trace, TellsTheWaitInTheQueue) {
  TracedMesh mesh;
  mesh.endpoint(0).in_flight_max = 1;
  mesh.publish();
  mesh.engine().plays([&mesh](TestWire& wire) -> port::Task<void> {
    co_await mesh.world.loop().sleep_until(mesh.world.now() + 2s);
    co_await wire.write(json_answer(kPlainAnswer));
  });
  TestClient first = mesh.connect(), second = mesh.connect();
  first.send(chat(kPlainBody));
  mesh.world.settle();
  second.send(chat(kPlainBody));
  first.answer();
  second.answer();
  const std::vector<Span> spans = mesh.spans.take(10);
  ASSERT_EQ(spans.size(), 2u);
  EXPECT_EQ(attribute<double>(spans[0].attributes, "infermesh.queue_seconds"), 0);
  EXPECT_NEAR(attribute<double>(spans[1].attributes, "infermesh.queue_seconds"), 2, 0.1);
  EXPECT_EQ(spans[1].events.at(0).name, "infermesh.queued");
  EXPECT_EQ(spans[1].events.at(1).name, "infermesh.routed");
}

TEST(Trace, TellsEveryAttempt) {
  TracedMesh mesh(2);
  mesh.engine(1).answers(json_answer(kPlainAnswer));
  mesh.ask(chat(kPlainBody));
  const Span span = mesh.span();
  ASSERT_EQ(names_of(span.events),
            (std::vector<std::string_view>{"infermesh.routed", "infermesh.attempt_failed",
                                           "infermesh.routed", "infermesh.first_byte"}));
  EXPECT_EQ(attribute<std::string>(span.events[1].attributes, "infermesh.outcome"),
            to_string(OutcomeKind::kConnectFailed));
  EXPECT_EQ(attribute<std::int64_t>(span.attributes, "infermesh.attempts"), 2);
  EXPECT_EQ(span.status, SpanStatus::kUnset) << "the client got its answer";
}

TEST(Trace, AnErrorOfTheRouterIsTold) {
  TracedMesh mesh;
  mesh.endpoint(0).state = EndpointState::kDown;
  mesh.publish();
  mesh.ask(chat(kPlainBody));
  const Span down = mesh.span();
  EXPECT_EQ(down.status, SpanStatus::kError);
  EXPECT_EQ(attribute<std::string>(down.attributes, "error.type"), "no_healthy_backend");
  mesh.ask(chat(R"({"model":"nobody's","messages":[]})"));
  const Span unknown = mesh.span();
  EXPECT_EQ(unknown.status, SpanStatus::kUnset) << "the client's mistake";
  EXPECT_EQ(attribute<std::int64_t>(unknown.attributes, "http.response.status_code"), 404);
  EXPECT_EQ(attribute<std::string>(unknown.attributes, "gen_ai.request.model"), "");
}

TEST(Trace, AStreamThatBreaksOffIsAnErrorThoughItsStatusWas200) {
  TracedMesh mesh;
  mesh.engine().plays([](TestWire& wire) -> port::Task<void> {
    co_await wire.write(kSseHead + chunk(delta("a")));
    co_await wire.sleep(10ms);
    wire.reset();
  });
  mesh.ask(chat(kStreamBody));
  const Span span = mesh.span();
  EXPECT_EQ(span.status, SpanStatus::kError);
  EXPECT_TRUE(attribute<bool>(span.attributes, "infermesh.stream"));
}

}  // namespace
}  // namespace infermesh::data

// gRPC calls over time: how long a stream may be silent, sequences, spans.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "data/server/testing_grpc_mesh.h"
#include "wire/http/trace_context.h"
#include "wire/openai/facts_options.h"

namespace infermesh::data {
namespace {

struct StreamMesh : GrpcMesh {
  explicit StreamMesh(std::size_t count = 1) : GrpcMesh(count) {
    mesh.pool().first_byte_timeout = 10s;
    mesh.pool().between_bytes_timeout = 5s;
    mesh.publish();
  }
  // Answers each piece of the request that comes with itself, unless it has `silent` in it.
  void answers() {
    engine().plays([](TestCall& call) -> port::Task<void> {
      bool begun = false;
      while (true) {
        const std::string heard = co_await call.more();
        if (heard.empty()) break;
        if (heard.contains("silent")) continue;
        if (!std::exchange(begun, true)) call.head();
        co_await call.say(heard);
      }
      if (call.stream->broken()) co_return;
      if (!begun) call.head();
      call.end();
    });
  }
  std::unique_ptr<Http2Client> open() {
    auto client = connect();
    client->send(frame(kHeaders, kEndHeaders, 1, head("ModelStreamInfer")));
    return client;
  }
  static void say(Http2Client& client, std::string_view bytes) {
    client.send(frame(kData, 0, 1, bytes));
  }
  std::string status_after(Http2Client& client, Duration time) {
    mesh.world.run_for(time);
    client.read();
    auto& answer = client.answers[1];
    return answer.head.contains("grpc-status") ? answer.head["grpc-status"]
                                               : answer.trailers["grpc-status"];
  }
};

TEST(GrpcStream, MayBeSilentWhileItsClientAsksNothing) {
  StreamMesh g;
  g.answers();
  auto client = g.open();
  g.say(*client, message("m"));
  EXPECT_EQ(g.status_after(*client, 100s), "") << "answered, and nothing asked since";
  g.say(*client, message("m", "\x1a\1x"));
  EXPECT_EQ(g.status_after(*client, 100s), "");
  client->send(frame(kData, kEndStream, 1, ""));
  EXPECT_EQ(client->wait(1).trailers["grpc-status"], "0");
}

TEST(GrpcStream, ThatIsNotAnsweredAtAllEndsWithTheFirstByteTimeout) {
  StreamMesh g;
  g.answers();
  auto client = g.open();
  g.say(*client, message("m", "\x1a\6silent"));
  EXPECT_EQ(g.status_after(*client, 9s), "");
  g.say(*client, message("m", "\x1a\6silent"));
  EXPECT_EQ(g.status_after(*client, 9s), "") << "the client has gone on asking";
  EXPECT_EQ(g.status_after(*client, 2s), "4");
  EXPECT_EQ(g.mesh.outcomes.back().kind, OutcomeKind::kTimeout);
}

TEST(GrpcStream, ThatFallsSilentAfterAQuestionEndsWithTheBetweenBytesTimeout) {
  StreamMesh g;
  g.answers();
  auto client = g.open();
  g.say(*client, message("m"));
  EXPECT_EQ(g.status_after(*client, 20s), "");
  g.say(*client, message("m", "\x1a\6silent"));
  EXPECT_EQ(g.status_after(*client, 4s), "");
  EXPECT_EQ(g.status_after(*client, 2s), "4");
  EXPECT_NE(client->answers[1].trailers["grpc-message"].find("no more"), std::string::npos);
}

TEST(GrpcStream, WhoseClientHasEndedIsExpectedToEnd) {
  StreamMesh g;
  g.engine().plays([](TestCall& call) -> port::Task<void> {
    co_await call.whole();
    call.head();
    co_await call.say("one");
    co_await call.until_gone();
  });
  auto client = g.open();
  client->send(frame(kData, kEndStream, 1, message("m")));
  EXPECT_EQ(g.status_after(*client, 4s), "");
  EXPECT_EQ(g.status_after(*client, 2s), "4");
  EXPECT_TRUE(g.engine().calls.at(0)->gone) << "and is cancelled at the engine";
}

TEST(GrpcStream, AHalfMessageIsItsClientsDelay) {
  StreamMesh g;
  g.answers();
  auto client = g.open();
  const std::string whole = message("m", "\x1a\6silent");
  g.say(*client, whole.substr(0, whole.size() - 1));
  EXPECT_EQ(g.status_after(*client, 11s), "");
  const std::string status = g.status_after(*client, g.mesh.settings.client_body_timeout);
  EXPECT_EQ(status, "4");
  EXPECT_EQ(g.mesh.shard.decisions.recent(1).at(0)->error_code, "request_timeout");
}

std::string parameter(std::string_view key, std::string_view value) {
  const auto text = [](char tag, std::string_view of) {
    return std::string{tag, static_cast<char>(of.size())}.append(of);
  };
  return text('\x22', text('\x0a', key) + text('\x12', value));
}

struct SequenceMesh : GrpcMesh {
  SequenceMesh() : GrpcMesh(4) {
    mesh.view.pools[0].policy.policy = PolicyKind::kSession;
    mesh.view.pools[0].policy.session_body_key = "sequence_id";
    mesh.publish();
    for (const auto& engine : engines) engine->echoes();
  }
  std::string engine_of(std::string_view body, std::string_view more = "") {
    auto client = connect();
    call(*client, 1, body, more);
    return client->wait(1).head["x-infermesh-engine"];
  }
};

TEST(GrpcSequence, KeepsToOneEngineWhicheverTypeItsIdHas) {
  SequenceMesh g;
  std::set<std::string> used;
  for (const char id : {'\x07', '\x08', '\x09', '\x0a', '\x0b', '\x0c'}) {
    const std::string number = parameter("sequence_id", std::string{'\x10', id});
    const std::string home = g.engine_of(message("m", number));
    const std::string unsigned_number = parameter("sequence_id", std::string{'\x28', id});
    EXPECT_EQ(g.engine_of(message("m", "\x1a\1x" + unsigned_number)), home);
    const std::string text = std::to_string(static_cast<int>(id));
    const std::string as_text =
        parameter("sequence_id", std::string{'\x1a', static_cast<char>(text.size())} + text);
    EXPECT_EQ(g.engine_of(message("m", parameter("other", "\x10\x63") + as_text)), home);
    EXPECT_EQ(g.mesh.shard.decisions.recent(1).at(0)->facts.session_key, openai::session_key(text))
        << "the key that the REST routes make of it";
    used.insert(home);
  }
  EXPECT_GE(used.size(), 2u);
}

TEST(GrpcSequence, AHeaderWinsAndZeroIsNone) {
  SequenceMesh g;
  g.mesh.view.pools[0].policy.session_header = "x-session";
  g.mesh.publish();
  g.engine_of(message("m", parameter("sequence_id", "\x10\x07")), field("x-session", "mine"));
  EXPECT_EQ(g.mesh.shard.decisions.recent(1).at(0)->facts.session_key, openai::session_key("mine"));
  g.engine_of(message("m", parameter("sequence_id", std::string("\x10\0", 2))));
  EXPECT_EQ(g.mesh.shard.decisions.recent(1).at(0)->facts.session_key, 0u);
}

TEST(GrpcSequence, IsFoundThoughItsMessageComesInPieces) {
  SequenceMesh g;
  const std::string body = message("m", parameter("sequence_id", "\x10\x07") + "\x3a\1x");
  for (std::size_t cut = 1; cut < body.size(); ++cut) {
    auto client = g.connect();
    client->send(frame(kHeaders, kEndHeaders, 1, GrpcMesh::head("ModelInfer")));
    client->send(frame(kData, 0, 1, body.substr(0, cut)));
    client->send(frame(kData, kEndStream, 1, body.substr(cut)));
    EXPECT_EQ(client->wait(1).body, body) << cut;
    EXPECT_EQ(g.mesh.shard.decisions.recent(1).at(0)->facts.session_key, openai::session_key("7"))
        << cut;
  }
}

template <typename T>
T attribute(const Span& span, std::string_view name) {
  const auto found = std::ranges::find(span.attributes, name, &SpanAttribute::name);
  const bool there = found != span.attributes.end() && std::holds_alternative<T>(found->value);
  return there ? std::get<T>(found->value) : T{};
}

TEST(GrpcTrace, ACallIsOneSpanOfItsClientsTraceAndTheEnginesParent) {
  GrpcMesh g;
  g.mesh.shard.spans = &g.mesh.spans;
  g.engine().echoes();
  auto client = g.connect();
  const std::string given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  g.call(*client, 1, message("m"), field("traceparent", given) + field("x-request-id", "r"));
  client->wait(1);
  g.call(*client, 3, message("none"), field("traceparent", given));
  client->wait(3);
  const std::vector<Span> spans = g.mesh.spans.take(10);
  ASSERT_EQ(spans.size(), 2u);
  EXPECT_EQ(spans[0].parent, 0x00f067aa0ba902b7u);
  EXPECT_EQ(spans[0].name, "inference.GRPCInferenceService/ModelInfer");
  EXPECT_EQ(attribute<std::string>(spans[0], "rpc.system"), "grpc");
  EXPECT_EQ(attribute<std::string>(spans[0], "rpc.service"), "inference.GRPCInferenceService");
  EXPECT_EQ(attribute<std::string>(spans[0], "rpc.method"), "ModelInfer");
  EXPECT_EQ(attribute<std::string>(spans[0], "gen_ai.request.model"), "m");
  EXPECT_EQ(attribute<std::string>(spans[0], "infermesh.engine"), "e0");
  ASSERT_EQ(spans[0].events.size(), 2u);
  EXPECT_EQ(spans[0].events[0].name, "infermesh.routed");
  EXPECT_EQ(spans[0].events[1].name, "infermesh.first_byte");
  EXPECT_EQ(g.engine().calls.at(0)->fields.at("traceparent"),
            http::format_traceparent({spans[0].trace, spans[0].id, http::Sampled::kYes}));
  EXPECT_EQ(attribute<std::int64_t>(spans[1], "rpc.grpc.status_code"), 5);
  EXPECT_EQ(attribute<std::string>(spans[1], "gen_ai.request.model"), "");
}

TEST(GrpcTrace, WithoutExportTheClientsContextPassesAndNothingIsKept) {
  GrpcMesh g;
  g.engine().echoes();
  auto client = g.connect();
  g.call(*client, 1, message("m"), field("traceparent", "whatever"));
  client->wait(1);
  EXPECT_EQ(g.engine().calls.at(0)->fields.at("traceparent"), "whatever");
  EXPECT_TRUE(g.mesh.spans.take(10).empty());
}

}  // namespace
}  // namespace infermesh::data

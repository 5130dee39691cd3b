// The simulated engine over a simulated network: what a client of vLLM would see.
#include "lab/engine/engine_server.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lab/shared/connection.h"
#include "lab/shared/text_model.h"
#include "port/fake/world.h"

namespace infermesh::lab {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class EngineServerTest : public ::testing::Test {
 protected:
  ~EngineServerTest() override {
    if (server_) server_->stop();
    world_.settle();
  }

  void serve(EngineServerOptions options = {}) {
    options.profile.step_base = 10ms;
    options.profile.prefill_ns_per_token = 0;
    options.profile.decode_ns_per_sequence = 0;
    options.profile.context_ns_per_token = 0;
    server_ = std::make_shared<EngineServer>(
        world_.loop(), world_.network().listen("127.0.0.1", 8000).value(), std::move(options));
    world_.loop().spawn(server_->serve());
  }

  std::unique_ptr<Connection> connect() {
    auto stream = world_.run(world_.loop().connect("127.0.0.1", 8000, kNever));
    return std::make_unique<Connection>(world_.loop(), std::move(stream.value()));
  }

  static std::string request(std::string_view method, std::string_view path,
                             std::string_view headers, std::string_view body) {
    return fmt::format("{} {} HTTP/1.1\r\nhost: x\r\n{}content-length: {}\r\n\r\n{}", method, path,
                       headers, body.size(), body);
  }

  // Everything that comes until the server closes or falls silent for 2 s.
  std::string exchange(std::string_view method, std::string_view path, std::string_view body = "",
                       std::string_view headers = "") {
    auto connection = connect();
    world_.run(connection->write(request(method, path, headers, body), kNever));
    read(*connection, 2s);
    return connection->input();
  }

  void read(Connection& connection, Duration time) {
    const Instant until = world_.now() + time;
    bool done = false;
    world_.loop().spawn(
        [](Connection& from, Instant end, port::Loop& loop, bool& finished) -> port::Task<void> {
          while (!from.ended() && loop.now() < end) co_await from.pause(end);
          finished = true;
        }(connection, until, world_.loop(), done));
    ASSERT_TRUE(world_.run_until([&] { return done; }, time + 1s));
  }

  std::string chat(std::string_view more, std::string_view headers = "") {
    return exchange("POST", "/v1/chat/completions",
                    fmt::format(R"({{"messages":[{{"role":"user","content":"hello"}}]{}}})", more),
                    headers);
  }
  double metric(std::string_view series) { return after(exchange("GET", "/metrics"), series); }
  static double after(const std::string& text, std::string_view name) {
    const auto at = text.find(name);
    EXPECT_NE(at, std::string::npos) << name;
    return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size()));
  }

  port::fake::World world_;
  std::shared_ptr<EngineServer> server_;
};

constexpr std::string_view kRunning = "vllm:num_requests_running{engine=\"0\",model_name=\"sim\"} ";
constexpr std::string_view kAborted =
    "vllm:request_success_total{engine=\"0\",model_name=\"sim\",finished_reason=\"abort\"} ";

TEST_F(EngineServerTest, AnswersAChatWhole) {
  serve();
  const std::string answer = chat(R"(,"max_tokens":3,"ignore_eos":true)");
  EXPECT_THAT(
      answer,
      AllOf(StartsWith("HTTP/1.1 200 OK\r\n"), HasSubstr("content-type: application/json\r\n"),
            HasSubstr("\"object\":\"chat.completion\""), HasSubstr("\"finish_reason\":\"length\""),
            HasSubstr("\"completion_tokens\":3"), HasSubstr("\"cached_tokens\":0")));
}

TEST_F(EngineServerTest, StreamsAChatAsVllmDoes) {
  serve();
  const std::string answer = chat(R"(,"max_tokens":2,"ignore_eos":true,"stream":true)");
  EXPECT_THAT(answer,
              AllOf(HasSubstr("content-type: text/event-stream; charset=utf-8\r\n"),
                    HasSubstr("transfer-encoding: chunked\r\n"),
                    HasSubstr(R"("delta":{"role":"assistant","content":""})"),
                    HasSubstr(R"("finish_reason":"length")"),
                    HasSubstr("data: [DONE]\n\n\r\n0\r\n\r\n"), Not(HasSubstr("\"usage\""))));
}

TEST_F(EngineServerTest, SendsUsageWhereItIsAskedFor) {
  serve();
  const std::string answer = chat(
      R"(,"max_tokens":2,"ignore_eos":true,"stream":true,"stream_options":{"include_usage":true})");
  EXPECT_THAT(answer, HasSubstr(R"("choices":[],"usage":{"prompt_tokens":)"));
}

TEST_F(EngineServerTest, TokensComeAtTheEnginesPace) {
  serve();
  auto connection = connect();
  const Instant start = world_.now();
  world_.run(
      connection->write(request("POST", "/v1/completions", "",
                                R"({"prompt":"x","max_tokens":5,"ignore_eos":true,"stream":true})"),
                        kNever));
  const auto arrived = [&] { return connection->input().find("[DONE]") != std::string::npos; };
  world_.loop().spawn([](Connection& from) -> port::Task<void> {
    while (!from.ended() && from.input().find("[DONE]") == std::string::npos)
      co_await from.pause(kNever);
  }(*connection));
  ASSERT_TRUE(world_.run_until(arrived, 10s));
  EXPECT_EQ(world_.now() - start, Duration(50ms)) << "five steps of 10 ms";
}

TEST_F(EngineServerTest, EqualPromptsGetEqualAnswersAndHitTheCache) {
  serve();
  const std::string long_text(1000, 'x');
  const std::string body =
      fmt::format(R"({{"prompt":"{}","max_tokens":4,"ignore_eos":true}})", long_text);
  const std::string first = exchange("POST", "/v1/completions", body);
  const std::string second = exchange("POST", "/v1/completions", body);
  const auto text = [](const std::string& answer) {
    return answer.substr(answer.find("\"text\":"), 30);
  };
  EXPECT_EQ(text(first), text(second));
  EXPECT_THAT(first, HasSubstr("\"cached_tokens\":0"));
  EXPECT_THAT(second, HasSubstr("\"cached_tokens\":240"));
  EXPECT_EQ(metric("vllm:prefix_cache_hits_total{engine=\"0\",model_name=\"sim\"} "), 240);
}

TEST_F(EngineServerTest, AStreamTellsWhatWasCachedUntilTheCacheIsReset) {
  serve();
  const std::string body = fmt::format(
      R"({{"prompt":"{}","max_tokens":2,"stream":true,"stream_options":{{"include_usage":true}}}})",
      std::string(1000, 'x'));
  constexpr std::string_view kCached = "\"cached_tokens\":";
  EXPECT_EQ(after(exchange("POST", "/v1/completions", body), kCached), 0);
  EXPECT_EQ(after(exchange("POST", "/v1/completions", body), kCached), 240);
  EXPECT_THAT(exchange("POST", "/reset_prefix_cache"), StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(after(exchange("POST", "/v1/completions", body), kCached), 0);
}

TEST_F(EngineServerTest, TheNextTurnFindsTheAnswerOfTheLastInTheCache) {
  serve();
  const std::string prompt(640, 'x');  // ten blocks
  constexpr std::string_view kBody = R"({{"prompt":"{}","max_tokens":48,"ignore_eos":true}})";
  const std::string first = exchange("POST", "/v1/completions", fmt::format(kBody, prompt));
  const auto begin = first.find("\"text\":\"") + 8;
  const std::string said = first.substr(begin, first.find('"', begin) - begin);
  EXPECT_EQ(said.size(), 48 * kTokenBytes);
  const std::string second =
      exchange("POST", "/v1/completions", fmt::format(kBody, prompt + said + "and?"));
  EXPECT_GE(after(second, "\"cached_tokens\":"), 160 + 32);
}

TEST_F(EngineServerTest, AnAnswerThatNothingBoundsHasItsOwnLength) {
  EngineServerOptions options;
  options.output_tokens_mean = 4;
  serve(std::move(options));
  constexpr std::string_view kMade = "\"completion_tokens\":";
  const std::string natural = chat("");
  EXPECT_THAT(natural, HasSubstr("\"finish_reason\":\"stop\""));
  EXPECT_LE(after(natural, kMade), 64);
  const std::string longer = chat(R"(,"min_tokens":100)");
  EXPECT_EQ(after(longer, kMade), 100);
}

TEST_F(EngineServerTest, TheTimeToTheFirstTokenCountsTheWaitForAPlace) {
  EngineServerOptions options;
  options.profile.sequences_max = 1;
  serve(std::move(options));
  std::vector<std::unique_ptr<Connection>> clients;
  for (int i = 0; i < 2; ++i) {
    clients.push_back(connect());
    world_.run(clients.back()->write(request("POST", "/v1/completions", "",
                                             R"({"prompt":"x","max_tokens":50,"ignore_eos":true})"),
                                     kNever));
  }
  world_.run_for(2s);
  EXPECT_NEAR(metric("vllm:time_to_first_token_seconds_sum{engine=\"0\",model_name=\"sim\"} "),
              0.01 + 0.51, 0.02);
}

TEST_F(EngineServerTest, ConnectionsBeyondItsLimitAreClosed) {
  EngineServerOptions options;
  options.connections_max = 1;
  serve(std::move(options));
  const auto first = connect(), second = connect();
  read(*second, 100ms);
  EXPECT_TRUE(second->ended());
  EXPECT_FALSE(first->ended());
}

TEST_F(EngineServerTest, AClientThatLeavesFreesItsSlot) {
  serve();
  auto connection = connect();
  world_.run(connection->write(
      request("POST", "/v1/completions", "",
              R"({"prompt":"x","max_tokens":5000,"ignore_eos":true,"stream":true})"),
      kNever));
  world_.run_for(100ms);
  EXPECT_EQ(metric(kRunning), 1);
  connection.reset();
  world_.run_for(1ms);
  EXPECT_EQ(metric(kRunning), 0);
  EXPECT_EQ(metric(kAborted), 1);
}

TEST_F(EngineServerTest, AClientThatLeavesBeforeAWholeAnswerFreesItsSlotToo) {
  serve();
  auto connection = connect();
  world_.run(
      connection->write(request("POST", "/v1/completions", "", R"({"prompt":"x","max_tokens":5000,
      "ignore_eos":true})"),
                        kNever));
  world_.run_for(100ms);
  connection.reset();
  world_.run_for(1ms);
  EXPECT_EQ(metric(kAborted), 1);
}

TEST_F(EngineServerTest, TheJournalTellsWhatBecameOfEveryRequest) {
  std::string told;
  EngineServerOptions options;
  options.journal = [&told](std::string_view event, std::string_view id) {
    told += fmt::format("{} {}\n", event, id);
  };
  serve(std::move(options));
  const std::string stream = R"({"prompt":"x","max_tokens":3,"ignore_eos":true,"stream":true})";
  exchange("POST", "/v1/completions", stream, "x-request-id: s\r\n");
  exchange("POST", "/v1/completions", R"({"prompt":"x","max_tokens":3})", "x-request-id: w\r\n");
  exchange("POST", "/v1/completions", R"({"model":"no"})", "x-request-id: refused\r\n");
  exchange("POST", "/v1/completions", stream, "x-request-id: cut\r\nx-fault: cut=2\r\n");
  auto left = connect();
  world_.run(left->write(request("POST", "/v1/completions", "x-request-id: left\r\n",
                                 R"({"prompt":"x","max_tokens":5000,"ignore_eos":true})"),
                         kNever));
  world_.run_for(100ms);
  left.reset();
  world_.run_for(1ms);
  EXPECT_EQ(told,
            "begin s\nfirst s\nend s\nbegin w\nfirst w\nend w\n"
            "begin cut\nfirst cut\ngone cut\nbegin left\ngone left\n");
}

TEST_F(EngineServerTest, KeepsAConnectionForFurtherRequestsUntilItIsIdleTooLong) {
  serve();
  auto connection = connect();
  for (int i = 1; i <= 2; ++i) {
    world_.run(connection->write(request("GET", "/version", "", ""), kNever));
    read(*connection, 100ms);
    EXPECT_THAT(connection->input(), HasSubstr(R"({"version":"0.32.0"})"));
    EXPECT_FALSE(connection->ended());
    connection->input().clear();
  }
  read(*connection, 5s);
  EXPECT_TRUE(connection->ended());
}

TEST_F(EngineServerTest, AnswersPipelinedRequestsInOrder) {
  serve();
  auto connection = connect();
  world_.run(connection->write(request("GET", "/version", "", "") + request("GET", "/load", "", ""),
                               kNever));
  read(*connection, 1s);
  const std::string& input = connection->input();
  EXPECT_LT(input.find("version"), input.find("server_load"));
  EXPECT_NE(input.find("server_load"), std::string::npos);
}

TEST_F(EngineServerTest, ListsItsModelsAsVllmDoes) {
  EngineServerOptions options;
  options.models = {"llama", "llama-alias"};
  serve(std::move(options));
  EXPECT_THAT(exchange("GET", "/v1/models"),
              AllOf(HasSubstr(R"("id":"llama","object":"model")"),
                    HasSubstr(R"("owned_by":"vllm","root":"llama")"),
                    HasSubstr(R"("id":"llama-alias")"), HasSubstr(R"("max_model_len":32768)")));
  EXPECT_THAT(exchange("GET", "/health"),
              AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("content-length: 0")));
}

TEST_F(EngineServerTest, RefusesAsVllmDoes) {
  serve();
  EXPECT_THAT(exchange("GET", "/nope"),
              AllOf(StartsWith("HTTP/1.1 404"), HasSubstr(R"({"detail":"Not Found"})")));
  EXPECT_THAT(exchange("GET", "/v1/completions"),
              AllOf(StartsWith("HTTP/1.1 405"), HasSubstr("allow: POST")));
  EXPECT_THAT(exchange("POST", "/v1/completions", R"({"model":"other","prompt":"x"})"),
              AllOf(StartsWith("HTTP/1.1 404"),
                    HasSubstr("The model `other` does not exist. Valid aliases: sim."),
                    HasSubstr(R"("type":"NotFoundError","param":"model","code":404)")));
  EXPECT_THAT(exchange("POST", "/v1/completions", "{"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(
      exchange("POST", "/v1/completions", R"({"prompt":"x","max_tokens":100000})"),
      AllOf(StartsWith("HTTP/1.1 400"), HasSubstr("maximum context length is 32768 tokens")));
  EXPECT_THAT(exchange("GET ", "/health"), StartsWith("HTTP/1.1 400")) << "malformed request line";
}

TEST_F(EngineServerTest, AFullQueueIs503) {
  EngineServerOptions options;
  options.profile.sequences_max = 1;
  options.profile.waiting_max = 1;
  serve(std::move(options));
  std::vector<std::unique_ptr<Connection>> held;
  for (int i = 0; i < 2; ++i) {
    held.push_back(connect());
    world_.run(held.back()->write(request("POST", "/v1/completions", "",
                                          R"({"prompt":"x","max_tokens":5000,"ignore_eos":true})"),
                                  kNever));
    world_.run_for(15ms);
  }
  EXPECT_THAT(chat(""), AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("queue is full")));
  EXPECT_EQ(metric("vllm:admission_rejections_total{engine=\"0\",model_name=\"sim\",reason="
                   "\"max_num_queued_reqs\"} "),
            1);
}

TEST_F(EngineServerTest, EchoesTheRequestId) {
  serve();
  EXPECT_THAT(
      chat(R"(,"max_tokens":1)", "x-request-id: abc-123\r\n"),
      AllOf(HasSubstr("x-request-id: abc-123\r\n"), HasSubstr(R"("id":"chatcmpl-abc-123")")));
}

TEST_F(EngineServerTest, ServesTheOtherApis) {
  serve();
  EXPECT_THAT(
      exchange("POST", "/v1/embeddings", R"({"input":["a","b"],"dimensions":2})"),
      AllOf(HasSubstr(R"("index":1,"object":"embedding")"), HasSubstr(R"("prompt_tokens":2)")));
  EXPECT_THAT(exchange("POST", "/v1/rerank", R"({"query":"q","documents":["a","b"]})"),
              HasSubstr("relevance_score"));
  EXPECT_THAT(exchange("POST", "/score", R"({"text_1":"q","text_2":"a"})"),
              HasSubstr(R"("object":"score")"));
  EXPECT_THAT(exchange("POST", "/classify", R"({"input":"a"})"), HasSubstr("LABEL_"));
  EXPECT_THAT(exchange("POST", "/tokenize", R"({"prompt":"12345678"})"), HasSubstr(R"("count":2)"));
  EXPECT_THAT(exchange("POST", "/detokenize", R"({"tokens":[1,2]})"), HasSubstr(R"({"prompt":")"));
  EXPECT_THAT(exchange("POST", "/v1/messages", R"({"messages":[],"max_tokens":2})"),
              HasSubstr(R"("stop_reason":"max_tokens")"));
  EXPECT_THAT(exchange("POST", "/v1/responses", R"({"input":"x","max_output_tokens":2})"),
              HasSubstr(R"("status":"incomplete")"));
}

TEST_F(EngineServerTest, NamedEventsOfMessagesAndResponsesComeInOrder) {
  serve();
  const std::string messages =
      exchange("POST", "/v1/messages", R"({"messages":[],"max_tokens":2,"stream":true})");
  std::size_t at = 0;
  for (const auto* event : {"message_start", "content_block_start", "content_block_delta",
                            "content_block_stop", "message_delta", "message_stop"}) {
    at = messages.find(fmt::format("event: {}\n", event), at);
    ASSERT_NE(at, std::string::npos) << event;
  }
  EXPECT_THAT(messages, Not(HasSubstr("[DONE]")));
  const std::string responses =
      exchange("POST", "/v1/responses", R"({"input":"x","max_output_tokens":1,"stream":true})");
  at = 0;
  int sequence = 0;
  for (const auto* event :
       {"response.created", "response.in_progress", "response.output_item.added",
        "response.content_part.added", "response.output_text.delta", "response.output_text.done",
        "response.content_part.done", "response.output_item.done", "response.incomplete"}) {
    const auto found =
        responses.find(fmt::format("event: {0}\ndata: {{\"type\":\"{0}\",\"sequence_number\":{1}",
                                   event, sequence++),
                       at);
    ASSERT_NE(found, std::string::npos) << event;
    at = found;
  }
}

TEST_F(EngineServerTest, FaultsHappenOnDemand) {
  serve();
  const std::string stream = R"(,"max_tokens":3,"ignore_eos":true,"stream":true)";
  const auto faulty = [&](std::string_view fault) {
    return chat(stream, fmt::format("x-fault: {}\r\n", fault));
  };
  const std::string cut = faulty("cut=2");
  EXPECT_THAT(cut,
              AllOf(HasSubstr("\"role\""), Not(HasSubstr("[DONE]")), Not(HasSubstr("\r\n0\r\n"))));
  EXPECT_THAT(faulty("bad-chunk"), HasSubstr("\r\nno-size\r\n"));
  EXPECT_THAT(faulty("bad-frame"),
              AllOf(HasSubstr("data: {\"id\":\"broken\n"), HasSubstr("[DONE]")));
  EXPECT_THAT(faulty("error-frame"), AllOf(HasSubstr("data: {\"error\":{"),
                                           HasSubstr("data: [DONE]"), HasSubstr("\r\n0\r\n\r\n")));
  EXPECT_THAT(faulty("no-done"), AllOf(Not(HasSubstr("[DONE]")), HasSubstr("\r\n0\r\n\r\n")));
  EXPECT_THAT(faulty("stall=1"),
              AllOf(HasSubstr("\"role\""), Not(HasSubstr("\"content\":\"\"},\"logprobs\":null,"
                                                         "\"finish_reason\":\"length\""))));
  EXPECT_THAT(faulty("status=429,retry-after=7"),
              AllOf(StartsWith("HTTP/1.1 429"), HasSubstr("retry-after: 7\r\n")));
  EXPECT_THAT(faulty("content-type=text/html"),
              AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("<html>")));
  EXPECT_EQ(faulty("reset"), "");
  EXPECT_THAT(faulty("nonsense"), AllOf(StartsWith("HTTP/1.1 400"), HasSubstr("no such fault")));
  EXPECT_EQ(metric(kRunning), 0) << "no fault leaves a request behind";
}

TEST_F(EngineServerTest, AResetBreaksTheConnectionAndACutEndsIt) {
  serve();
  for (const std::string stream : {"true", "false"}) {
    for (const auto& [fault, broken] : std::vector<std::pair<std::string, bool>>{
             {"reset", true}, {"reset=2", true}, {"cut=2", false}}) {
      const auto connection = connect();
      const std::string body =
          fmt::format(R"({{"prompt":"x","max_tokens":5,"ignore_eos":true,"stream":{}}})", stream);
      world_.run(connection->write(
          request("POST", "/v1/completions", fmt::format("x-fault: {}\r\n", fault), body), kNever));
      read(*connection, 1s);
      EXPECT_TRUE(connection->ended()) << fault << stream;
      EXPECT_EQ(connection->broken(), broken) << fault << stream;
      EXPECT_THAT(connection->input(), Not(HasSubstr("[DONE]")));
    }
  }
}

TEST_F(EngineServerTest, FaultsOnWholeAnswers) {
  serve();
  const auto faulty = [&](std::string_view fault) {
    return chat(R"(,"max_tokens":2)", fmt::format("x-fault: {}\r\n", fault));
  };
  EXPECT_THAT(faulty("cut=1"),
              AllOf(HasSubstr("content-length: "), Not(HasSubstr("kv_transfer_params"))));
  EXPECT_THAT(faulty("bad-frame"), HasSubstr("\r\n\r\n<\"id\""));
  EXPECT_THAT(faulty("bad-chunk"), HasSubstr("no-size"));
  EXPECT_EQ(faulty("stall=0"), "");
}

TEST_F(EngineServerTest, ADelayHoldsTheAnswerBack) {
  serve();
  auto connection = connect();
  world_.run(connection->write(request("POST", "/v1/completions", "x-fault: delay=700ms\r\n",
                                       R"({"prompt":"x","max_tokens":1})"),
                               kNever));
  read(*connection, 600ms);
  EXPECT_EQ(connection->input(), "");
  read(*connection, 200ms);
  EXPECT_THAT(connection->input(), StartsWith("HTTP/1.1 200"));
}

TEST_F(EngineServerTest, AShareOfRequestsFails) {
  EngineServerOptions options;
  options.fault.status = 500;
  options.fault_share = 0.5;
  serve(std::move(options));
  int failed = 0;
  for (int i = 0; i < 40; ++i)
    failed += chat(R"(,"max_tokens":1)").starts_with("HTTP/1.1 500") ? 1 : 0;
  EXPECT_GT(failed, 8);
  EXPECT_LT(failed, 32);
}

TEST_F(EngineServerTest, ManyClientsAreServedAtOnce) {
  serve();
  std::vector<std::unique_ptr<Connection>> clients;
  for (int i = 0; i < 50; ++i) {
    clients.push_back(connect());
    world_.run(clients.back()->write(
        request("POST", "/v1/completions", "",
                R"({"prompt":"x","max_tokens":20,"ignore_eos":true,"stream":true})"),
        kNever));
  }
  for (auto& client : clients) {
    read(*client, 300ms);
    EXPECT_THAT(client->input(), HasSubstr("[DONE]"));
  }
}

TEST_F(EngineServerTest, StoppingDropsConnections) {
  serve();
  auto connection = connect();
  world_.run(connection->write(
      request("POST", "/v1/completions", "",
              R"({"prompt":"x","max_tokens":5000,"ignore_eos":true,"stream":true})"),
      kNever));
  world_.run_for(50ms);
  const auto idle = connect();
  world_.run_for(1ms);
  server_->stop();
  read(*connection, 100ms);
  EXPECT_TRUE(connection->ended());
  EXPECT_FALSE(world_.run(world_.loop().connect("127.0.0.1", 8000, world_.now() + 1s)).has_value());
  const std::weak_ptr<EngineServer> gone = server_;
  server_.reset();
  world_.run_for(100ms);
  EXPECT_TRUE(gone.expired()) << "no session, busy or idle, holds on to it";
}

}  // namespace
}  // namespace infermesh::lab

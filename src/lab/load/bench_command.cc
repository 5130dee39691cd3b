#include "lab/load/bench_command.h"

#include <fmt/format.h>

#include <algorithm>

#include "wire/json/write.h"

namespace infermesh::lab {
namespace {

// The id of the first model that the server lists.
std::string first_model(std::string_view body) {
  constexpr std::string_view kKey = "\"id\":";
  auto at = body.find(kKey, body.find("\"data\""));
  if (at == std::string_view::npos) return {};
  at = body.find('"', at + kKey.size());
  const auto end = at == std::string_view::npos ? at : body.find('"', at + 1);
  return end == std::string_view::npos ? std::string()
                                       : std::string(body.substr(at + 1, end - at - 1));
}

std::string headers_of(const BenchOptions& options) {
  std::string out;
  if (!options.api_key.empty()) out += fmt::format("authorization: Bearer {}\r\n", options.api_key);
  for (const auto& header : options.headers) out += header + "\r\n";
  return out;
}

}  // namespace

BenchCommand::BenchCommand(BenchOptions options, Workload workload)
    : options_(std::move(options)), workload_(std::move(workload)), report_(options_.slo) {}

Result<std::unique_ptr<BenchCommand>> BenchCommand::make(BenchOptions options,
                                                         std::string_view trace_text) {
  if (options.trace_file.empty()) {
    Workload workload(options.workload);
    return std::unique_ptr<BenchCommand>(new BenchCommand(std::move(options), std::move(workload)));
  }
  auto trace = parse_trace(trace_text);
  if (!trace) {
    return fail(ErrorCode::kInvalidField,
                fmt::format("{}: {}", options.trace_file, trace.error().detail), "trace");
  }
  Workload workload(options.workload, std::move(*trace));
  return std::unique_ptr<BenchCommand>(new BenchCommand(std::move(options), std::move(workload)));
}

port::Task<Result<void>> BenchCommand::run(port::Loop& loop, ProgressFn progress) {
  BenchClient client(loop, options_.target, headers_of(options_));
  auto found = co_await find_model(client, loop);
  if (!found) co_return std::unexpected(found.error());
  start_ = loop.now();
  running_ = workload_.timed() ? 1 : options_.concurrency;
  if (workload_.timed()) {
    loop.spawn(dispatch(client, loop));
  } else {
    for (std::uint32_t i = 0; i < options_.concurrency; ++i) loop.spawn(client_loop(client, loop));
  }
  co_await wait_for_all(loop, progress);
  const Instant counted_from = start_ + options_.warm_up;
  report_.finish(std::max(loop.now() - counted_from, Duration(1)));
  co_return Result<void>{};
}

port::Task<Result<void>> BenchCommand::find_model(BenchClient& client, port::Loop& loop) {
  if (!options_.model.empty()) co_return Result<void>{};
  auto body = co_await client.get("/v1/models", loop.now() + 10s);
  if (!body) co_return std::unexpected(body.error());
  options_.model = first_model(*body);
  if (options_.model.empty()) {
    co_return fail(ErrorCode::kUnavailable, "the server lists no model; name one with --model");
  }
  co_return Result<void>{};
}

port::Task<void> BenchCommand::wait_for_all(port::Loop& loop, const ProgressFn& progress) {
  Instant line_due = loop.now() + 1s;
  while (running_ > 0 || in_flight_ > 0) {
    co_await loop.sleep_until(loop.now() + 20ms);
    if (!progress || loop.now() < line_due) continue;
    line_due = loop.now() + 1s;
    progress(report_.progress(loop.now() - start_, in_flight_));
  }
}

std::optional<PlannedRequest> BenchCommand::next(Instant now) {
  const bool enough = options_.requests > 0 && planned_ >= options_.requests;
  const bool late = options_.duration > Duration(0) && now >= start_ + options_.duration;
  if (stopped_ || enough || late) return std::nullopt;
  auto request = workload_.next();
  if (request && request->at && options_.duration > Duration(0) &&
      *request->at >= options_.duration) {
    return std::nullopt;
  }
  if (request) ++planned_;
  return request;
}

port::Task<void> BenchCommand::client_loop(BenchClient& client, port::Loop& loop) {
  while (auto request = next(loop.now())) {
    ++in_flight_;
    co_await send(client, loop, std::move(*request), loop.now());
  }
  --running_;
}

port::Task<void> BenchCommand::dispatch(BenchClient& client, port::Loop& loop) {
  while (auto request = next(loop.now())) {
    const Instant due = start_ + request->at.value_or(Duration(0));
    // In short naps, so that a stop is noticed.
    while (loop.now() < due && !stopped_)
      co_await loop.sleep_until(std::min(due, loop.now() + 200ms));
    if (stopped_) break;
    if (in_flight_ >= options_.in_flight_max) {
      report_.add_skipped();
      continue;
    }
    ++in_flight_;
    loop.spawn(send(client, loop, std::move(*request), due));
  }
  --running_;
}

port::Task<void> BenchCommand::send(BenchClient& client, port::Loop& loop, PlannedRequest request,
                                    Instant intended) {
  const std::string body = body_of(request);
  BenchCall call;
  call.path = options_.chat ? "/v1/chat/completions" : "/v1/completions";
  call.body = body;
  call.stream = options_.stream;
  call.deadline = loop.now() + options_.timeout;
  const bool counted = intended >= start_ + options_.warm_up;
  const BenchAnswer answer =
      co_await client.post(std::move(call), counted ? &report_.inter_token() : nullptr);
  if (counted) report_.add(answer, intended, options_.stream);
  --in_flight_;
  // A server that refuses at once must not be asked in a tight loop.
  if (answer.error == "connect" && !workload_.timed()) co_await loop.sleep_until(loop.now() + 50ms);
}

std::string BenchCommand::body_of(const PlannedRequest& request) const {
  const std::string text = request.prompt_text();  // words only: safe inside a JSON string
  std::string body = fmt::format("{{\"model\":{},", json::quoted(options_.model));
  if (options_.chat) {
    body += "\"messages\":[{\"role\":\"user\",\"content\":\"" + text + "\"}]";
  } else {
    body += "\"prompt\":\"" + text + "\"";
  }
  body += fmt::format(",\"max_tokens\":{}", request.output_tokens);
  if (options_.ignore_eos) body += ",\"ignore_eos\":true";
  if (options_.stream) body += R"(,"stream":true,"stream_options":{"include_usage":true})";
  return body + "}";
}

std::string BenchCommand::output() const {
  return options_.output == BenchOutput::kJson ? report_.json() : report_.table();
}

}  // namespace infermesh::lab

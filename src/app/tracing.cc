#include "app/tracing.h"

#include <fmt/format.h>

#include "app/version.h"
#include "core/model/engine_url.h"
#include "wire/otlp/encode.h"

namespace infermesh::app {
namespace {

constexpr const char* kTracesPath = "/v1/traces";

obs::SpanExporter::Options exporter_options(const config::Settings& settings, port::Loop& loop) {
  return {.endpoint = settings.otlp_endpoint,
          .version = std::string(kVersion),
          .instance = fmt::format("{:016x}", loop.entropy()),
          .interval = settings.trace_interval};
}

}  // namespace

Result<std::unique_ptr<Tracing>> Tracing::make(const config::Settings& settings,
                                               const Borrowed& borrowed) {
  if (settings.otlp_endpoint.empty()) return nullptr;
  const auto url = parse_engine_url(settings.otlp_endpoint);
  if (!url) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("otlp_endpoint is \"{}\": {} It takes http://HOST:PORT, a collector's "
                            "OTLP/HTTP port, 4318 by custom.",
                            settings.otlp_endpoint, url.error().detail));
  }
  signal::ProbeTarget collector;
  collector.host = url->host;
  collector.port = url->port;
  collector.authority = url->authority;
  return std::unique_ptr<Tracing>(new Tracing(settings, borrowed, std::move(collector)));
}

Tracing::Tracing(const config::Settings& settings, const Borrowed& borrowed,
                 signal::ProbeTarget collector)
    : loop_(borrowed.loop),
      queue_(settings.trace_queue_max),
      collector_(borrowed.loop, std::move(collector)),
      exporter_(borrowed.loop, queue_, borrowed.metrics, borrowed.log,
                exporter_options(settings, borrowed.loop)) {}

void Tracing::start() {
  obs::PostSpans post = [this](std::string body, Duration timeout) {
    return this->post(std::move(body), timeout);
  };
  loop_.spawn(exporter_.run(std::move(post)));
}

port::Task<obs::CollectorAnswer> Tracing::post(std::string body, Duration timeout) {
  signal::ProbeBody sent{std::string(otlp::kContentType), std::move(body)};
  signal::ProbeAnswer answer = co_await collector_.post(kTracesPath, std::move(sent), timeout);
  obs::CollectorAnswer told;
  told.status = answer.status;
  told.body = std::move(answer.body);
  told.failure = std::move(answer.detail);
  if (answer.failure != signal::ProbeFailure::kNone) told.status = 0;
  co_return told;
}

}  // namespace infermesh::app

#include "obs/export/span_exporter.h"

#include <algorithm>

#include "wire/otlp/encode.h"

namespace infermesh::obs {
namespace {

constexpr std::size_t kBatchMax = 512;
constexpr int kTriesMax = 3;
constexpr Duration kFirstPause = 500ms;  // then twice as long each time
constexpr Duration kTimeout = 10s;
constexpr Duration kLastTimeout = 2s;

bool is_worth_a_retry(std::uint16_t status) {
  constexpr std::uint16_t kTransient[]{0, 429, 502, 503, 504};
  return std::find(std::begin(kTransient), std::end(kTransient), status) != std::end(kTransient);
}

bool is_taken(const CollectorAnswer& answer) {
  return answer.status >= 200 && answer.status < 300;
}

}  // namespace

SpanExporter::SpanExporter(port::Loop& loop, SpanQueue& queue, MetricSet& metrics, Log& log,
                           Options options)
    : loop_(loop),
      queue_(queue),
      log_(log),
      options_(std::move(options)),
      exported_(metrics.counter(CounterId::kSpans, {"exported"})),
      rejected_(metrics.counter(CounterId::kSpans, {"rejected"})),
      lost_(metrics.counter(CounterId::kSpans, {"lost"})),
      dropped_(metrics.counter(CounterId::kSpans, {"dropped"})),
      timer_([this] { wake_.set(); }) {}

void SpanExporter::stop(std::function<void()> done) {
  stopping_ = true;
  done_ = std::move(done);
  wake_.set();
}

port::Task<void> SpanExporter::run(PostSpans post) {
  while (!stopping_) {
    co_await pause(options_.interval);
    co_await send_all(post);
    count_dropped();
  }
  const std::function<void()> done = std::move(done_);
  if (done) done();
}

port::Task<void> SpanExporter::pause(Duration duration) {
  if (stopping_) co_return;
  loop_.arm(timer_, loop_.now() + duration);
  co_await wake_.wait();
  loop_.arm(timer_, kNever);
}

port::Task<void> SpanExporter::send_all(const PostSpans& post) {
  const otlp::Source source{"infermesh", options_.version, options_.instance};
  const Instant last = loop_.now() + kLastTimeout;
  while (true) {
    const std::vector<Span> batch = queue_.take(kBatchMax);
    if (batch.empty()) co_return;
    const std::string body = otlp::encode_spans(batch, source);
    const CollectorAnswer answer = co_await post_with_patience(post, body);
    note(answer, batch.size());
    if (stopping_ && (!is_taken(answer) || loop_.now() >= last)) co_return;
  }
}

port::Task<CollectorAnswer> SpanExporter::post_with_patience(const PostSpans& post,
                                                             const std::string& body) {
  Duration next_pause = kFirstPause;
  for (int tries = 1;; ++tries) {
    const Duration timeout = stopping_ ? kLastTimeout : kTimeout;
    CollectorAnswer answer = co_await post(body, timeout);
    if (!is_worth_a_retry(answer.status) || tries == kTriesMax || stopping_) co_return answer;
    co_await pause(next_pause);
    next_pause *= 2;
  }
}

void SpanExporter::note(const CollectorAnswer& answer, std::size_t spans) {
  if (is_taken(answer)) {
    // A collector that answers with something else than protobuf has still taken the batch.
    const auto partial = otlp::decode_answer(answer.body);
    const std::uint64_t rejected =
        partial ? std::min<std::uint64_t>(partial->rejected, spans) : std::uint64_t{0};
    exported_.add(spans - rejected);
    rejected_.add(rejected);
    if (failing_) log_.info(loop_.wall_now(), "the trace collector takes spans again");
    if (rejected > 0) {
      log_.warn(loop_.wall_now(), "the trace collector did not take all spans",
                {{"rejected", rejected}, {"why", partial->reason}});
    }
    failing_ = false;
    return;
  }
  const bool answered = answer.status != 0;
  (answered && !is_worth_a_retry(answer.status) ? rejected_ : lost_).add(spans);
  if (failing_) return;
  failing_ = true;
  const std::string why =
      answered ? "it answered " + std::to_string(answer.status) : answer.failure;
  log_.warn(loop_.wall_now(), "the trace collector takes no spans",
            {{"otlp_endpoint", options_.endpoint}, {"why", why}});
}

void SpanExporter::count_dropped() {
  const std::uint64_t dropped = queue_.dropped();
  dropped_.add(dropped - dropped_seen_);
  dropped_seen_ = dropped;
}

}  // namespace infermesh::obs

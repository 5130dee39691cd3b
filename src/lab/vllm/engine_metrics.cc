#include "lab/vllm/engine_metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/assert.h"

namespace infermesh::lab {
namespace {

constexpr std::array kFirstToken{0.001, 0.005, 0.01, 0.02,  0.04,  0.06,  0.08, 0.1,
                                 0.25,  0.5,   0.75, 1.0,   2.5,   5.0,   7.5,  10.0,
                                 20.0,  40.0,  80.0, 160.0, 640.0, 2560.0};
constexpr std::array kPerToken{0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2,  0.3,  0.4, 0.5,
                               0.75, 1.0,   2.5,  5.0,   7.5, 10.0, 20.0, 40.0, 80.0};
constexpr std::array kRequest{0.3,  0.5,  0.8,   1.0,   1.5,   2.0,    2.5,
                              5.0,  10.0, 15.0,  20.0,  30.0,  40.0,   50.0,
                              60.0, 120., 240.0, 480.0, 960.0, 1920.0, 7680.0};
constexpr std::array kTokens{1.,   2.,  5.,    10.,   20., 50.,    100.,   200.,
                             500., 1e3, 2000., 5000., 1e4, 20000., 50000., 1e5};

// Python's way of writing a float: at least one decimal.
std::string number(double value) {
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}

class Page {
 public:
  explicit Page(std::string_view model)
      : labels_(fmt::format("engine=\"0\",model_name=\"{}\"", model)) {}

  void head(std::string_view name, std::string_view type, std::string_view help) {
    fmt::format_to(std::back_inserter(text_), "# HELP {0} {2}\n# TYPE {0} {1}\n", name, type, help);
  }
  void sample(std::string_view name, double value, std::string_view more = {}) {
    fmt::format_to(std::back_inserter(text_), "{}{{{}{}}} {}\n", name, labels_, more,
                   number(value));
  }
  void gauge(std::string_view name, std::string_view help, double value) {
    head(name, "gauge", help);
    sample(name, value);
  }
  void counter(std::string_view name, std::string_view help, std::uint64_t value) {
    head(name, "counter", help);
    sample(name, static_cast<double>(value));
  }
  void histogram(std::string_view name, std::string_view help, const PromHistogram& values) {
    head(name, "histogram", help);
    values.append(text_, name, labels_);
  }
  std::string take() { return std::move(text_); }

 private:
  std::string labels_;
  std::string text_;
};

void add_load(Page& page, const engine::EngineStats& stats) {
  page.gauge("vllm:num_requests_running", "Requests in the batch.", stats.running);
  page.gauge("vllm:num_requests_waiting", "Requests in the queue.", stats.waiting);
  page.head("vllm:num_requests_waiting_by_reason", "gauge",
            "Requests in the queue, by why they wait.");
  page.sample("vllm:num_requests_waiting_by_reason", stats.waiting, ",reason=\"capacity\"");
  page.sample("vllm:num_requests_waiting_by_reason", 0, ",reason=\"deferred\"");
  page.head("vllm:engine_sleep_state", "gauge", "Sleep state; one of them is 1.");
  page.sample("vllm:engine_sleep_state", 1, ",sleep_state=\"awake\"");
  page.sample("vllm:engine_sleep_state", 0, ",sleep_state=\"weights_offloaded\"");
  page.sample("vllm:engine_sleep_state", 0, ",sleep_state=\"discard_all\"");
  page.gauge("vllm:kv_cache_usage_perc", "Share of KV blocks in use, 0 to 1.", stats.kv_used);
}

void add_tokens(Page& page, const engine::EngineStats& stats) {
  page.counter("vllm:prefix_cache_queries_total", "Prompt tokens looked up in the prefix cache.",
               stats.prefix_query_tokens);
  page.counter("vllm:prefix_cache_hits_total", "Prompt tokens found in the prefix cache.",
               stats.prefix_hit_tokens);
  page.counter("vllm:num_preemptions_total", "Requests that lost their blocks.", stats.preemptions);
  page.counter("vllm:prompt_tokens_total", "Prompt tokens processed.", stats.prompt_tokens);
  page.head("vllm:prompt_tokens_by_source_total", "counter",
            "Prompt tokens, by where their KV came from.");
  page.sample("vllm:prompt_tokens_by_source_total",
              static_cast<double>(stats.prefix_query_tokens - stats.prefix_hit_tokens),
              ",source=\"local_compute\"");
  page.sample("vllm:prompt_tokens_by_source_total", static_cast<double>(stats.prefix_hit_tokens),
              ",source=\"local_cache_hit\"");
  page.counter("vllm:generation_tokens_total", "Output tokens made.", stats.generation_tokens);
}

void add_requests(Page& page, const EngineMetrics& metrics) {
  page.head("vllm:request_success_total", "counter", "Requests that ended, by why.");
  for (std::size_t i = 0; i < kFinishReasons; ++i) {
    page.sample("vllm:request_success_total", static_cast<double>(metrics.finished[i]),
                fmt::format(",finished_reason=\"{}\"", to_string(static_cast<FinishReason>(i))));
  }
  page.head("vllm:admission_rejections_total", "counter", "Requests refused, by which limit.");
  page.sample("vllm:admission_rejections_total", static_cast<double>(metrics.rejected),
              ",reason=\"max_num_queued_reqs\"");
  page.histogram("vllm:request_prompt_tokens", "Prompt tokens a request.", metrics.prompt_tokens);
  page.histogram("vllm:request_generation_tokens", "Output tokens a request.",
                 metrics.generation_tokens);
  page.histogram("vllm:time_to_first_token_seconds", "From arrival to the first token.",
                 metrics.time_to_first_token);
  page.histogram("vllm:inter_token_latency_seconds", "Between two tokens.", metrics.inter_token);
  page.histogram("vllm:request_time_per_output_token_seconds",
                 "Mean time per output token of a request.", metrics.time_per_output_token);
  page.histogram("vllm:e2e_request_latency_seconds", "From arrival to the last token.",
                 metrics.e2e);
  page.histogram("vllm:request_queue_time_seconds", "In the queue.", metrics.queue_time);
  page.histogram("vllm:request_inference_time_seconds", "In the batch.", metrics.inference_time);
  page.histogram("vllm:request_prefill_time_seconds", "From the batch to the first token.",
                 metrics.prefill_time);
  page.histogram("vllm:request_decode_time_seconds", "From the first token to the last.",
                 metrics.decode_time);
}

}  // namespace

void PromHistogram::observe(double value) {
  const auto at = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
  ++counts_[static_cast<std::size_t>(at)];
  ++count_;
  sum_ += value;
}

void PromHistogram::append(std::string& out, std::string_view name, std::string_view labels) const {
  const auto to = std::back_inserter(out);
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    below += counts_[i];
    const std::string bound = i < bounds_.size() ? number(bounds_[i]) : "+Inf";
    fmt::format_to(to, "{}_bucket{{{},le=\"{}\"}} {}.0\n", name, labels, bound, below);
  }
  fmt::format_to(to, "{0}_count{{{1}}} {2}.0\n{0}_sum{{{1}}} {3}\n", name, labels, count_,
                 number(sum_));
}

std::string_view to_string(FinishReason reason) {
  constexpr std::array<std::string_view, kFinishReasons> kNames{"stop", "length", "abort", "error"};
  const auto index = static_cast<std::size_t>(reason);
  IM_ASSERT(index < kNames.size());
  return kNames[index];
}

EngineMetrics::EngineMetrics()
    : time_to_first_token(kFirstToken),
      inter_token(kPerToken),
      time_per_output_token(kPerToken),
      e2e(kRequest),
      queue_time(kRequest),
      prefill_time(kRequest),
      decode_time(kRequest),
      inference_time(kRequest),
      prompt_tokens(kTokens),
      generation_tokens(kTokens) {}

std::string metrics_page(const EngineMetrics& metrics, const engine::EngineStats& stats,
                         const engine::EngineProfile& profile, std::string_view model) {
  Page page(model);
  add_load(page, stats);
  add_tokens(page, stats);
  add_requests(page, metrics);
  page.head("vllm:cache_config_info", "gauge", "Cache settings, as labels.");
  page.sample(
      "vllm:cache_config_info", 1,
      fmt::format(",block_size=\"{0}\",enable_prefix_caching=\"True\",kv_cache_size_tokens=\"{1}\","
                  "num_gpu_blocks=\"{2}\"",
                  engine::kBlockTokens, std::uint64_t{profile.kv_blocks} * engine::kBlockTokens,
                  profile.kv_blocks));
  return page.take();
}

}  // namespace infermesh::lab

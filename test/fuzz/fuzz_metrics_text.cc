// Metrics pages: any bytes scan to the end without reading outside them; a page cut at a line's end
// gives the samples of its two parts; what stands before a good line does not hide it; the load
// readers keep their promises about ranges.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "wire/engine/adapter.h"
#include "wire/engine/metrics_text.h"

namespace {

using namespace infermesh;
using namespace infermesh::engines;

constexpr std::array kWanted{
    WantedMetric{"vllm:num_requests_running", 1}, WantedMetric{"sglang:token_usage", 2},
    WantedMetric{"llamacpp:prompt_tokens", 3}, WantedMetric{"process_start_time_seconds", 4}};
constexpr MetricTable kTable{kWanted};

void require(bool condition) {
  if (!condition) std::abort();
}

std::vector<MetricSample> scan(std::string_view page) {
  std::vector<MetricSample> samples;
  MetricScanner scanner(page, kTable);
  MetricSample sample;
  while (scanner.next(sample)) {
    require(sample.key >= 1 && sample.key <= kWanted.size());
    if (!sample.labels.empty()) {
      require(sample.labels.data() >= page.data());
      require(sample.labels.data() + sample.labels.size() <= page.data() + page.size());
    }
    const auto label = sample.label("engine");
    if (label) require(label->size() <= sample.labels.size());
    samples.push_back(sample);
  }
  return samples;
}

bool same(const MetricSample& a, const MetricSample& b) {
  const bool values = a.value == b.value || (std::isnan(a.value) && std::isnan(b.value));
  return a.key == b.key && a.labels == b.labels && values;
}

void check_report(const Result<LoadReading>& reading) {
  if (!reading) return;
  const EngineReport& report = reading->report;
  if (report.kv_used) require(*report.kv_used >= 0 && *report.kv_used <= 1);
  if (report.running) require(*report.running <= INT32_MAX);
  if (report.waiting) require(*report.waiting <= INT32_MAX);
  if (report.kv_tokens_total) require(report.kv_tokens_total->value >= 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string page(reinterpret_cast<const char*>(data), size);
  const auto whole = scan(page);

  const std::size_t cut = page.find('\n', size / 2);
  if (cut != std::string::npos) {
    const std::string first = page.substr(0, cut + 1);
    const std::string second = page.substr(cut + 1);
    auto parts = scan(first);
    const auto rest = scan(second);
    parts.insert(parts.end(), rest.begin(), rest.end());
    require(parts.size() == whole.size());
    for (std::size_t i = 0; i < parts.size(); ++i) require(same(parts[i], whole[i]));
  }

  const std::string longer = page + "\nvllm_num_requests_running_total{engine=\"3\",} 1.04E7\n";
  const auto more = scan(longer);
  require(more.size() == whole.size() + 1);
  require(more.back().value == 1.04e7 && more.back().label("engine") == "3");

  const std::string shown = page +
                            "\nvllm:num_requests_running 1\nsglang:num_running_reqs 1\n"
                            "llamacpp:requests_processing 1\n";
  for (const Runtime runtime : {Runtime::kVllm, Runtime::kSglang, Runtime::kLlamacpp}) {
    check_report(adapter_of(runtime).read_load("/metrics", page, Instant{}));
    const auto reading = adapter_of(runtime).read_load("/metrics", shown, Instant{});
    require(reading.has_value());
    check_report(reading);
  }
  return 0;
}

#include "wire/engine/load_figures.h"

#include <algorithm>

#include "base/assert.h"

namespace infermesh::engines {
namespace {

using Kind = LoadOperand::Kind;

// Values that are no measure are left out, as everywhere in this folder.
void combine_into(Sum& sum, double value, bool largest) {
  largest ? sum.take_max(value) : sum.add(value);
}

bool has_labels(const MetricSample& sample, const LoadOperand& operand) {
  return std::all_of(operand.labels.begin(), operand.labels.end(),
                     [&](const auto& label) { return sample.label(label.first) == label.second; });
}

std::optional<double> apply(LoadOperator op, double left, double right) {
  if (op == LoadOperator::kTimes) return left * right;
  if (right == 0) return std::nullopt;
  return left / right;
}

}  // namespace

LoadFigures::LoadFigures(const RuntimeObject& object) : table_({}) {
  const std::array<const std::vector<std::string>*, kFigures> all{
      &object.running,           &object.waiting,
      &object.waiting_tokens,    &object.kv_used,
      &object.kv_tokens,         &object.prompt_tokens,
      &object.generation_tokens, &object.prefix_query_tokens,
      &object.prefix_hit_tokens, &object.concurrency_max,
      &object.started_at,        &object.work_done};
  for (std::size_t i = 0; i < kFigures; ++i) {
    for (const std::string& text : *all[i]) add_source(static_cast<Figure>(i), text);
  }
  table_ = make_table();
}

void LoadFigures::add_source(Figure figure, std::string_view text) {
  const auto source = parse_load_source(text);
  IM_ASSERT(source.has_value());  // check_runtime_object has read it
  json_ = source->reads_json();
  if (first_source_.empty()) first_source_ = text;
  const bool largest =
      (figure == kKvUsed && source->op == LoadOperator::kNone) || figure == kStartedAt;
  const Combine combine = largest ? Combine::kMax : Combine::kSum;
  Source compiled{add_operand(source->left, combine), source->op, 0};
  if (source->op != LoadOperator::kNone) {
    compiled.right = add_operand(source->right, Combine::kSum);
  }
  sources_[figure].push_back(compiled);
}

std::size_t LoadFigures::add_operand(LoadOperand from, Combine combine) {
  const std::size_t index = operands_.size();
  if (from.kind == Kind::kMetric) {
    const auto known = std::find(names_.begin(), names_.end(), from.text);
    const auto name = static_cast<std::size_t>(known - names_.begin());
    if (known == names_.end()) {
      names_.push_back(from.text);
      operands_of_.emplace_back();
    }
    operands_of_[name].push_back(index);
  }
  operands_.push_back({std::move(from), combine});
  return index;
}

MetricTable LoadFigures::make_table() {
  std::vector<WantedMetric> wanted;
  wanted.reserve(names_.size());
  for (const std::string& name : names_) {
    wanted.push_back({name, static_cast<std::uint8_t>(wanted.size())});
  }
  return MetricTable(wanted);
}

void LoadFigures::read_metrics(std::string_view body, std::vector<Sum>& sums) const {
  MetricScanner scanner(body, table_);
  MetricSample sample;
  while (scanner.next(sample)) {
    for (const std::size_t index : operands_of_[sample.key]) {
      const Operand& operand = operands_[index];
      if (!has_labels(sample, operand.from)) continue;
      combine_into(sums[index], sample.value, operand.combine == Combine::kMax);
    }
  }
}

void LoadFigures::read_json(const Json& page, std::vector<Sum>& sums) const {
  for (std::size_t i = 0; i < operands_.size(); ++i) {
    const Operand& operand = operands_[i];
    if (operand.from.kind != Kind::kPointer) continue;
    for_each_match(page, operand.from.text, [&](const Json& value) {
      combine_into(sums[i], number_of(value).value_or(-1), operand.combine == Combine::kMax);
    });
  }
}

Sum LoadFigures::figure(Figure figure, const std::vector<Sum>& sums) const {
  for (const Source& source : sources_[figure]) {
    if (source.op == LoadOperator::kPlus) {
      Sum both = sums[source.left];
      both.add(sums[source.right].value().value_or(-1));
      if (both.value()) return both;
      continue;
    }
    const auto left = sums[source.left].value();
    if (!left) continue;
    if (source.op == LoadOperator::kNone) return sums[source.left];
    const LoadOperand& other = operands_[source.right].from;
    const auto right =
        other.kind == Kind::kNumber ? std::optional(other.number) : sums[source.right].value();
    const auto value = right ? apply(source.op, *left, *right) : std::nullopt;
    Sum sum;
    if (value) sum.add(*value);
    if (sum.value()) return sum;
  }
  return {};
}

Result<LoadReading> LoadFigures::read(std::string_view body, Instant now) const {
  std::vector<Sum> sums(operands_.size());
  if (json_) {
    const auto page = parse_json(body);
    if (!page) return std::unexpected(page.error());
    read_json(*page, sums);
  } else {
    read_metrics(body, sums);
  }
  if (std::none_of(sums.begin(), sums.end(), [](const Sum& sum) { return sum.value().has_value(); })) {
    return fail(ErrorCode::kUpstreamBadResponse, "the load page has no " + first_source_);
  }
  LoadReading reading;
  EngineReport& report = reading.report;
  report.running = figure(kRunning, sums).count32();
  report.waiting = figure(kWaiting, sums).count32();
  report.waiting_prompt_tokens = figure(kWaitingTokens, sums).tokens();
  report.kv_used = figure(kKvUsed, sums).fraction();
  report.kv_tokens_total = figure(kKvTokens, sums).tokens();
  report.prompt_tokens = figure(kPromptTokens, sums).count();
  report.generation_tokens = figure(kGenerationTokens, sums).count();
  report.prefix_query_tokens = figure(kPrefixQueryTokens, sums).count();
  report.prefix_hit_tokens = figure(kPrefixHitTokens, sums).count();
  report.read_at = now;
  reading.concurrency_max = figure(kConcurrencyMax, sums).count32();
  reading.started_at = figure(kStartedAt, sums).value();
  reading.work_done = figure(kWorkDone, sums).count();
  if (!reading.work_done && (report.prompt_tokens || report.generation_tokens)) {
    reading.work_done = report.prompt_tokens.value_or(0) + report.generation_tokens.value_or(0);
  }
  return reading;
}

}  // namespace infermesh::engines

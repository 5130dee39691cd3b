#include "wire/openai/splice.h"

#include <algorithm>

#include "base/assert.h"
#include "wire/json/write.h"

namespace infermesh::openai {
namespace {

constexpr std::string_view kUsageMember = "\"include_usage\":true";
constexpr std::string_view kUsageMemberAfter = ",\"include_usage\":true";
constexpr std::string_view kOptionsValue = "{\"include_usage\":true}";
constexpr std::string_view kOptionsMember = "\"stream_options\":{\"include_usage\":true}";
constexpr std::string_view kOptionsMemberAfter = ",\"stream_options\":{\"include_usage\":true}";

}  // namespace

BodySplicer::BodySplicer(const EditSource& source, SplicePlan plan)
    : source_(source), plan_(std::move(plan)) {
  if (!plan_.model) return;
  model_text_ = plan_.model_text == ModelText::kJson ? json::quoted(*plan_.model) : *plan_.model;
}

std::optional<std::string_view> BodySplicer::replacement(const EditPoint& point) const {
  if (point.kind == EditPoint::Kind::kModel) {
    if (!plan_.model) return std::nullopt;
    return model_text_;
  }
  if (!plan_.usage || !source_.stream()) return std::nullopt;
  switch (point.kind) {
    case EditPoint::Kind::kOptionsNull:
      return kOptionsValue;
    case EditPoint::Kind::kUsageOff:
      return "true";
    case EditPoint::Kind::kUsageMissing:
      return point.follows_member ? kUsageMemberAfter : kUsageMember;
    case EditPoint::Kind::kBodyEnd:
      return point.follows_member ? kOptionsMemberAfter : kOptionsMember;
    case EditPoint::Kind::kModel:
      break;
  }
  return std::nullopt;
}

void BodySplicer::push(std::string_view bytes, std::vector<std::string_view>& out) {
  IM_ASSERT(received_ + bytes.size() <= source_.offset());
  sending_ = std::move(held_);
  held_.clear();
  sending_at_ = received_ - sending_.size();
  received_ += bytes.size();

  const std::uint64_t limit = std::min(source_.settled_offset(), received_);
  const auto points = source_.edit_points();
  for (; next_point_ < points.size() && points[next_point_].end <= limit; ++next_point_) {
    const EditPoint& point = points[next_point_];
    const auto text = replacement(point);
    if (!text) continue;
    emit(point.begin, bytes, out);
    out.push_back(*text);
    at_ = point.end;
    if (point.kind != EditPoint::Kind::kModel) usage_asked_ = true;
  }
  // A point that ends behind the limit may be edited later.
  const bool pending = next_point_ < points.size() && points[next_point_].begin < limit;
  emit(pending ? points[next_point_].begin : limit, bytes, out);

  // What is not settled is kept for the next time: a name or literal cut in two.
  const std::uint64_t bytes_at = received_ - bytes.size();
  if (at_ < bytes_at) held_ = sending_.substr(at_ - sending_at_);
  held_.append(bytes.substr(std::max(at_, bytes_at) - bytes_at));
}

// Relays from at_ to `until`, first out of the bytes held, then of those just pushed.
void BodySplicer::emit(std::uint64_t until, std::string_view bytes,
                       std::vector<std::string_view>& out) {
  const std::uint64_t bytes_at = received_ - bytes.size();
  if (at_ < until && at_ < bytes_at) {
    const std::uint64_t end = std::min(until, bytes_at);
    out.push_back(std::string_view(sending_).substr(at_ - sending_at_, end - at_));
    at_ = end;
  }
  if (at_ < until) {
    out.push_back(bytes.substr(at_ - bytes_at, until - at_));
    at_ = until;
  }
}

std::optional<std::int64_t> BodySplicer::length_change() const {
  if (plan_.changes_nothing()) return 0;
  if (!source_.complete()) return std::nullopt;
  std::int64_t change = 0;
  for (const EditPoint& point : source_.edit_points()) {
    if (const auto text = replacement(point)) {
      change += static_cast<std::int64_t>(text->size()) -
                static_cast<std::int64_t>(point.end - point.begin);
    }
  }
  return change;
}

}  // namespace infermesh::openai

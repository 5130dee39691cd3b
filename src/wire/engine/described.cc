#include "wire/engine/described.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "base/assert.h"
#include "wire/engine/json_read.h"
#include "wire/engine/load_figures.h"

namespace infermesh::engines {
namespace {

bool is_one_of(const std::vector<std::string>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// Whether any value of the health page is among `words`: a server with several versions of a model
// can work when one of them can.
bool any_value(const Json& page, const RuntimeObject& object,
               const std::vector<std::string>& words) {
  bool found = false;
  for_each_match(page, object.health_value,
                 [&](const Json& value) { found = found || is_one_of(words, scalar_text(value)); });
  return found;
}

std::string values_seen(const Json& page, const RuntimeObject& object) {
  std::string seen;
  for_each_match(page, object.health_value, [&](const Json& value) {
    const std::string text = scalar_text(value).substr(0, 40);
    if (text.empty() || seen.size() > 100) return;
    seen += seen.empty() ? text : ", " + text;
  });
  return seen;
}

HealthVerdict read_health(const RuntimeObject& object, const Answer& answer) {
  if (object.loading_status && answer.status == *object.loading_status) {
    return {Health::kLoading,
            fmt::format("{} answers {}: it is loading", object.health_path, answer.status)};
  }
  HealthVerdict by_status = read_health_status(answer);
  if (by_status.health != Health::kReady || object.health_value.empty()) return by_status;
  const auto page = parse_json(answer.body);
  if (!page) return {Health::kFailing, page.error().detail};
  if (any_value(*page, object, object.ready_values)) return {Health::kReady, {}};
  const std::string seen = values_seen(*page, object);
  if (seen.empty()) {
    return {Health::kFailing,
            fmt::format("{} has nothing at {}", object.health_path, object.health_value)};
  }
  const bool loading = any_value(*page, object, object.loading_values);
  return {loading ? Health::kLoading : Health::kFailing,
          fmt::format("{} says {}", object.health_path, seen)};
}

// A pattern with one *: the list, and what of each element.
std::pair<std::string_view, std::string_view> split_pattern(std::string_view pattern) {
  const std::size_t star = pattern.find("/*");
  if (star == std::string_view::npos) return {pattern, {}};
  return {pattern.substr(0, star), pattern.substr(star + 2)};
}

std::optional<Tokens> context_of(const Json& entry, std::string_view pattern) {
  if (pattern.empty()) return std::nullopt;
  std::optional<std::uint64_t> tokens;
  for_each_match(entry, split_pattern(pattern).second, [&](const Json& value) {
    if (const auto number = number_of(value)) tokens = to_count(*number);
  });
  if (!tokens || *tokens == 0) return std::nullopt;
  return Tokens(static_cast<std::int64_t>(*tokens));
}

Result<std::vector<ServedModel>> read_models(const RuntimeObject& object, std::string_view body) {
  const auto page = parse_json(body);
  if (!page) return std::unexpected(page.error());
  const auto [list, name] = split_pattern(object.models_name);
  bool is_list = false;
  std::vector<ServedModel> models;
  for_each_match(*page, list, [&](const Json& found) {
    is_list = is_list || found.is_array() || found.is_object();
    for_each_match(found, "/*", [&](const Json& entry) {
      const auto context = context_of(entry, object.models_context);
      for_each_match(entry, name, [&](const Json& value) {
        add_model(models, {scalar_text(value), {}, context});
      });
    });
  });
  if (is_list) return models;
  return fail(ErrorCode::kUpstreamBadResponse,
              fmt::format("{} has no list at {}", object.models_path, object.models_name));
}

Result<Identity> read_identity(const RuntimeObject& object, std::string_view body) {
  const auto page = parse_json(body);
  if (!page) return std::unexpected(page.error());
  Identity identity;
  for_each_match(*page, object.version, [&](const Json& value) {
    if (identity.version.empty()) identity.version = scalar_text(value).substr(0, 100);
  });
  if (object.identity_concurrency_max.empty()) return identity;
  for_each_match(*page, object.identity_concurrency_max, [&](const Json& value) {
    if (const auto number = number_of(value)) identity.concurrency_max = to_count32(*number);
  });
  return identity;
}

}  // namespace

Adapter described_adapter(Runtime runtime, std::string title, const RuntimeObject& object) {
  IM_ASSERT(check_runtime_object(object).has_value());
  struct Compiled {
    explicit Compiled(const RuntimeObject& from) : object(from), figures(from) {}
    RuntimeObject object;
    LoadFigures figures;
  };
  const auto compiled = std::make_shared<const Compiled>(object);
  const auto load_port = static_cast<std::uint16_t>(object.load_port.value_or(0));
  Adapter adapter;
  adapter.runtime = runtime;
  adapter.title = std::move(title);
  adapter.health = {object.health_path};
  adapter.models = {object.models_path, Port::kMain, object.models_post};
  adapter.identity = {object.identity_path};
  adapter.load = {Page{object.load_path, Port::kMetrics}, Page{}};
  adapter.ports.metrics = load_port;
  adapter.read_health = [compiled](const Answer& answer) {
    return read_health(compiled->object, answer);
  };
  adapter.read_models = [compiled](std::string_view body) {
    return read_models(compiled->object, body);
  };
  adapter.read_identity = [compiled](std::string_view body) {
    return read_identity(compiled->object, body);
  };
  adapter.read_load = [compiled](std::string_view, std::string_view body, Instant now) {
    return compiled->figures.read(body, now);
  };
  return adapter;
}

Adapter described_adapter(const RuntimeObject& object) {
  return described_adapter(Runtime::kDescribed, object.name, object);
}

}  // namespace infermesh::engines

#include "core/model/runtime_object.h"

#include <fmt/format.h>

#include <array>
#include <set>
#include <string_view>

#include "core/model/load_source.h"

namespace infermesh {
namespace {

using Sources = std::vector<std::string> RuntimeObject::*;

struct Figure {
  std::string_view name;
  Sources sources;
};
constexpr std::array kFigures{
    Figure{"running", &RuntimeObject::running},
    Figure{"waiting", &RuntimeObject::waiting},
    Figure{"waiting_tokens", &RuntimeObject::waiting_tokens},
    Figure{"kv_used", &RuntimeObject::kv_used},
    Figure{"kv_tokens", &RuntimeObject::kv_tokens},
    Figure{"prompt_tokens", &RuntimeObject::prompt_tokens},
    Figure{"generation_tokens", &RuntimeObject::generation_tokens},
    Figure{"prefix_query_tokens", &RuntimeObject::prefix_query_tokens},
    Figure{"prefix_hit_tokens", &RuntimeObject::prefix_hit_tokens},
    Figure{"concurrency_max", &RuntimeObject::concurrency_max},
    Figure{"started_at", &RuntimeObject::started_at},
    Figure{"work_done", &RuntimeObject::work_done},
};

Result<void> refuse(std::string_view field, std::string why) {
  return fail(ErrorCode::kInvalidConfig, std::move(why), std::string(field));
}

// What all sources together must satisfy.
struct LoadPage {
  std::optional<bool> json;
  std::set<std::string> names;

  Result<void> add(std::string_view field, std::string_view text) {
    const auto source = parse_load_source(text);
    if (!source) return refuse(field, source.error().detail);
    if (json.value_or(source->reads_json()) != source->reads_json()) {
      return refuse(field,
                    "some figures are metrics and others JSON pointers; one page has one "
                    "form");
    }
    json = source->reads_json();
    for (const LoadOperand* operand : {&source->left, &source->right}) {
      if (operand->kind == LoadOperand::Kind::kMetric && !operand->text.empty()) {
        names.insert(operand->text);
      }
    }
    if (names.size() <= kLoadNamesMax) return {};
    return refuse(field, fmt::format("more than {} metrics are named", kLoadNamesMax));
  }
};

Result<void> check_health(const RuntimeObject& object) {
  if (object.health_value.empty()) {
    if (!object.ready_values.empty()) {
      return refuse("ready_values", "health_value must say where on the health page they stand");
    }
    if (!object.loading_values.empty()) {
      return refuse("loading_values", "health_value must say where on the health page they stand");
    }
  } else if (object.ready_values.empty()) {
    return refuse("health_value", "ready_values must say what stands there when it can work");
  }
  return {};
}

std::string_view list_part(std::string_view pattern) {
  return pattern.substr(0, pattern.find("/*"));
}

Result<void> check_models(const RuntimeObject& object) {
  for (const auto& [field, pattern] : {std::pair("models_name", &object.models_name),
                                       std::pair("models_context", &object.models_context)}) {
    const std::size_t star = pattern->find("/*");
    if (pattern->empty()) continue;
    if (star == std::string::npos || pattern->find("/*", star + 1) != std::string::npos) {
      return refuse(field,
                    fmt::format("\"{}\" needs one * for the models, such as /data/*/id", *pattern));
    }
  }
  if (object.models_context.empty()) return {};
  if (list_part(object.models_context) == list_part(object.models_name)) return {};
  return refuse("models_context", fmt::format("it must be in the list of models_name, {}",
                                              list_part(object.models_name)));
}

}  // namespace

Result<void> check_runtime_object(const RuntimeObject& object) {
  IM_TRY(check_health(object));
  IM_TRY(check_models(object));
  LoadPage page;
  for (const auto& [field, sources] : kFigures) {
    for (const std::string& text : object.*sources) {
      if (object.load_path.empty()) {
        return refuse(field, "load_path must say on which page it stands");
      }
      IM_TRY(page.add(field, text));
    }
  }
  if (!object.load_path.empty() && !page.json) {
    return refuse("load_path", "no figure says what to read there, such as running");
  }
  return {};
}

}  // namespace infermesh

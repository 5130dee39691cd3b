#include "lab/vllm/ask.h"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "base/text.h"
#include "lab/vllm/ask_render.h"

namespace infermesh::lab {
namespace {

namespace json = boost::json;

// The shape in which vLLM reports what its validation found.
Refusal invalid(std::string_view kind, const std::string& place, std::string_view what,
                std::string_view input) {
  return {400, "Bad Request",
          fmt::format(
              "1 validation error:\n  {{'type': '{}', 'loc': '{}', 'msg': '{}', 'input': '{}'}}",
              kind, place, what, input),
          place};
}

Refusal missing(std::string_view field) {
  return invalid("missing", fmt::format("body.{}", field), "Field required", "<dict>");
}

// Reads typed fields of the body; the first one that is wrong is kept.
class Fields {
 public:
  explicit Fields(const json::object& body) : body_(body) {}

  const json::value* get(std::string_view name) const {
    const json::value* value = body_.if_contains(name);
    return value == nullptr || value->is_null() ? nullptr : value;
  }
  void flag(std::string_view name, bool& into) { flag(get(name), name, into); }
  void flag(const json::value* value, std::string_view name, bool& into) {
    if (value == nullptr) return;
    if (!value->is_bool())
      return refuse("bool_parsing", name, "Input should be a valid boolean", *value);
    into = value->get_bool();
  }
  std::optional<std::uint64_t> count(std::string_view name, std::uint64_t min, std::uint64_t max) {
    const json::value* value = get(name);
    if (value == nullptr) return std::nullopt;
    if (!value->is_int64() && !value->is_uint64()) {
      refuse("int_parsing", name, "Input should be a valid integer", *value);
      return std::nullopt;
    }
    const bool negative = value->is_int64() && value->get_int64() < 0;
    const std::uint64_t number = negative ? 0 : value->to_number<std::uint64_t>();
    if (negative || number < min || number > max) {
      refusal =
          Refusal{400, "BadRequestError",
                  fmt::format("{0} must be from {1} to {2}, got {3}. (parameter={0}, value={3})",
                              name, min, max, json::serialize(*value)),
                  std::string(name)};
      return std::nullopt;
    }
    return number;
  }
  void text(std::string_view name, std::string& into) {
    const json::value* value = get(name);
    if (value == nullptr) return;
    if (!value->is_string())
      return refuse("string_type", name, "Input should be a valid string", *value);
    into = value->get_string();
  }
  void refuse(std::string_view kind, std::string_view name, std::string_view what,
              const json::value& value) {
    if (refusal) return;
    refusal =
        invalid(kind, fmt::format("body.{}", name), what, json::serialize(value).substr(0, 64));
  }

  std::optional<Refusal> refusal;

 private:
  const json::object& body_;
};

void read_common(Fields& fields, Ask& ask) {
  fields.text("model", ask.model);
  fields.flag("stream", ask.stream);
  fields.flag("ignore_eos", ask.ignore_eos);
  if (const auto n = fields.count("n", 1, kChoicesMax))
    ask.choices = static_cast<std::uint32_t>(*n);
  if (const auto n = fields.count("dimensions", 1, 4096))
    ask.dimensions = static_cast<std::uint32_t>(*n);
  constexpr std::uint64_t kTokensMax = 1ULL << 31;
  ask.output_tokens_min = fields.count("min_tokens", 0, kTokensMax).value_or(0);
  for (const auto name : {"max_completion_tokens", "max_tokens", "max_output_tokens"}) {
    if (!ask.output_tokens_max) ask.output_tokens_max = fields.count(name, 1, kTokensMax);
  }
  if (const json::value* options = fields.get("stream_options"); options != nullptr) {
    if (!options->is_object()) {
      return fields.refuse("model_type", "stream_options", "Input should be a valid dictionary",
                           *options);
    }
    fields.flag(options->get_object().if_contains("include_usage"), "stream_options.include_usage",
                ask.usage);
    fields.flag(options->get_object().if_contains("continuous_usage_stats"),
                "stream_options.continuous_usage_stats", ask.continuous_usage);
  }
  const json::value* temperature = fields.get("temperature");
  if (temperature != nullptr && temperature->is_number() && temperature->to_number<double>() < 0) {
    fields.refusal = Refusal{
        400, "BadRequestError",
        fmt::format("temperature must be non-negative, got {0:.1f}. (parameter=temperature, "
                    "value={0:.1f})",
                    temperature->to_number<double>()),
        "temperature"};
  }
}

std::optional<Refusal> read_prompts(const json::object& body, std::uint64_t salt, Ask& ask) {
  switch (ask.api) {
    case Api::kChat:
    case Api::kMessages: {
      const json::value* messages = body.if_contains("messages");
      if (messages == nullptr || !messages->is_array()) return missing("messages");
      ask.prompts.push_back(render_chat(body, salt));
      return std::nullopt;
    }
    case Api::kResponses:
      if (!body.contains("input")) return missing("input");
      ask.prompts.push_back(render_responses(body, salt));
      return std::nullopt;
    default:
      break;
  }
  for (const auto field : prompt_fields(ask.api)) {
    const json::value* value = body.if_contains(field);
    if (value == nullptr) continue;
    if (!render_texts(ask.api, body, *value, salt, ask.prompts)) {
      return invalid("list_type", fmt::format("body.{}", field),
                     "Input should be text or a list of texts or tokens",
                     json::serialize(*value).substr(0, 64));
    }
    if (ask.prompts.size() > kPromptsMax) {
      return Refusal{400, "BadRequestError",
                     fmt::format("at most {} prompts in one request", kPromptsMax),
                     std::string(field)};
    }
    if (!ask.prompts.empty()) return std::nullopt;
  }
  return missing(prompt_fields(ask.api).front());
}

}  // namespace

std::expected<Ask, Refusal> read_ask(Api api, std::string_view body) {
  if (body.empty()) return std::unexpected(invalid("missing", "body", "Field required", "None"));
  boost::system::error_code error;
  json::stream_parser parser;
  const std::size_t read = parser.write_some(body.data(), body.size(), error);
  if (!error && read == body.size()) parser.finish(error);
  const bool whole = !error && read == body.size() && parser.done();
  const json::value value = whole ? parser.release() : json::value{};
  if (!whole || !value.is_object()) {
    return std::unexpected(invalid("json_invalid", fmt::format("body.{}", read),
                                   "JSON decode error", "<dict of 0 items>"));
  }
  Ask ask;
  ask.api = api;
  Fields fields(value.get_object());
  read_common(fields, ask);
  std::string cache_salt;
  fields.text("cache_salt", cache_salt);
  if (fields.refusal) return std::unexpected(*fields.refusal);
  if (api == Api::kDetokenize) {
    if (!read_token_list(value.get_object(), ask.tokens)) return std::unexpected(missing("tokens"));
    return ask;
  }
  const std::uint64_t salt = hash_text(cache_salt, hash_text(ask.model));
  if (auto refusal = read_prompts(value.get_object(), salt, ask))
    return std::unexpected(std::move(*refusal));
  return ask;
}

}  // namespace infermesh::lab

#include "wire/handover/word.h"

#include <array>
#include <boost/json.hpp>

namespace infermesh::handover {
namespace {

namespace json = boost::json;

constexpr std::array<std::string_view, 6> kSays{"",       "hello",   "offer",
                                                "refuse", "serving", "leaving"};
constexpr std::size_t kModelsBytesMax = 48 << 10;  // as written, with quotes
constexpr std::size_t kTextBytesMax = 1 << 10;     // of one text; escaped at most six times that

std::string text_of(const json::object& from, std::string_view key) {
  const json::value* found = from.if_contains(key);
  const json::string* text = found == nullptr ? nullptr : found->if_string();
  return text == nullptr ? std::string() : std::string(*text);
}

std::int64_t number_of(const json::object& from, std::string_view key) {
  const json::value* found = from.if_contains(key);
  const std::int64_t* number = found == nullptr ? nullptr : found->if_int64();
  return number == nullptr ? 0 : *number;
}

Say say_of(std::string_view text) {
  for (std::size_t i = 1; i < kSays.size(); ++i) {
    if (kSays[i] == text) return static_cast<Say>(i);
  }
  return Say::kUnknown;
}

// Cut where no character of UTF-8 is cut in two.
std::string_view shortened(std::string_view text) {
  if (text.size() <= kTextBytesMax) return text;
  std::size_t end = kTextBytesMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end);
}

json::array models_of(const Word& word) {
  json::array models;
  std::size_t used = 0;
  for (const std::string& name : word.models) {
    used += json::serialize(json::value(name)).size() + 1;
    if (used > kModelsBytesMax) break;
    models.push_back(json::value(name));
  }
  return models;
}

}  // namespace

std::string write(const Word& word) {
  json::object out{{"protocol", word.protocol},
                   {"say", kSays[static_cast<std::size_t>(word.say)]},
                   {"version", shortened(word.version)},
                   {"pid", word.pid}};
  if (!word.why.empty()) out["why"] = shortened(word.why);
  if (!word.models.empty()) out["models"] = models_of(word);
  return json::serialize(out);
}

Result<Word> parse(std::string_view text) {
  boost::system::error_code failed;
  const json::value value = json::parse(text, failed);
  const json::object* from = failed ? nullptr : value.if_object();
  Word word;
  if (from != nullptr) word.protocol = number_of(*from, "protocol");
  if (from == nullptr || word.protocol <= 0) {
    return fail(ErrorCode::kUpstreamBadResponse, "it does not talk like infermesh");
  }
  word.say = say_of(text_of(*from, "say"));
  word.version = text_of(*from, "version");
  word.pid = number_of(*from, "pid");
  word.why = text_of(*from, "why");
  const json::value* models = from->if_contains("models");
  const json::array* list = models == nullptr ? nullptr : models->if_array();
  if (list == nullptr) return word;
  for (const json::value& model : *list) {
    if (model.is_string()) word.models.emplace_back(model.get_string());
  }
  return word;
}

}  // namespace infermesh::handover

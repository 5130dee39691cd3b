#include "lab/vllm/ask_render.h"

#include <array>
#include <boost/json.hpp>

namespace infermesh::lab {
namespace {

namespace json = boost::json;

// Blocks that a client varies on every call; vLLM leaves them out of the prompt.
constexpr std::string_view kBillingHeader = "x-anthropic-billing-header";

std::string_view text_of(const json::value& value) {
  return value.is_string() ? std::string_view(value.get_string()) : std::string_view{};
}

// A content is a text or a list of parts; a part without text (an image) counts by its JSON.
void add_content(BlockChain& chain, const json::value& content) {
  if (content.is_string()) {
    chain.add(text_of(content));
    return;
  }
  if (!content.is_array()) return;
  for (const auto& part : content.get_array()) {
    const json::value* text = part.is_object() ? part.get_object().if_contains("text") : nullptr;
    if (text != nullptr && text->is_string()) {
      if (!text_of(*text).starts_with(kBillingHeader)) chain.add(text_of(*text));
    } else {
      chain.add(json::serialize(part));
    }
  }
}

void add_turn(BlockChain& chain, std::string_view role, const json::value& content) {
  chain.add("<|");
  chain.add(role);
  chain.add("|>\n");
  add_content(chain, content);
  chain.add("\n");
}

void add_message(BlockChain& chain, const json::value& message) {
  if (!message.is_object()) return;
  const json::object& object = message.get_object();
  const json::value* role = object.if_contains("role");
  const json::value* content = object.if_contains("content");
  add_turn(chain, role == nullptr ? "user" : text_of(*role),
           content == nullptr ? json::value{} : *content);
  if (const json::value* calls = object.if_contains("tool_calls"))
    chain.add(json::serialize(*calls));
}

void add_tools(BlockChain& chain, const json::object& body) {
  const json::value* tools = body.if_contains("tools");
  if (tools != nullptr && !tools->is_null()) chain.add(json::serialize(*tools));
}

void add_system(BlockChain& chain, const json::object& body, std::string_view field) {
  const json::value* system = body.if_contains(field);
  if (system != nullptr && !system->is_null()) add_turn(chain, "system", *system);
}

bool is_token(const json::value& value) {
  return value.is_int64() && value.get_int64() >= 0;
}

void add_tokens(BlockChain& chain, const json::array& tokens) {
  for (const auto& token : tokens) {
    if (is_token(token)) chain.add_token(static_cast<std::uint32_t>(token.get_int64()));
  }
}

// A document is a text or an object with one.
std::string_view document_text(const json::value& value) {
  if (!value.is_object()) return text_of(value);
  for (const auto name : {"text", "content"}) {
    if (const json::value* text = value.get_object().if_contains(name)) return text_of(*text);
  }
  return {};
}

// The query that comes before each document.
std::string_view query_of(Api api, const json::object& body) {
  const auto names = api == Api::kRerank
                         ? std::array<std::string_view, 3>{"query", "query", "query"}
                         : std::array<std::string_view, 3>{"text_1", "queries", "data_1"};
  if (api != Api::kRerank && api != Api::kScore) return {};
  for (const auto name : names) {
    if (const json::value* query = body.if_contains(name)) return text_of(*query);
  }
  return {};
}

constexpr std::array<std::string_view, 1> kPrompt{"prompt"};
constexpr std::array<std::string_view, 1> kInput{"input"};
constexpr std::array<std::string_view, 1> kDocuments{"documents"};
constexpr std::array<std::string_view, 4> kScored{"text_2", "documents", "items", "data_2"};

}  // namespace

BlockChain render_chat(const json::object& body, std::uint64_t salt) {
  BlockChain chain(salt);
  add_tools(chain, body);
  add_system(chain, body, "system");
  for (const auto& message : body.at("messages").as_array()) add_message(chain, message);
  chain.add("<|assistant|>\n");
  return chain;
}

BlockChain render_responses(const json::object& body, std::uint64_t salt) {
  BlockChain chain(salt);
  add_tools(chain, body);
  add_system(chain, body, "instructions");
  const json::value& input = body.at("input");
  if (input.is_array()) {
    for (const auto& item : input.get_array()) add_message(chain, item);
  } else {
    add_turn(chain, "user", input);
  }
  chain.add("<|assistant|>\n");
  return chain;
}

std::span<const std::string_view> prompt_fields(Api api) {
  switch (api) {
    case Api::kRerank:
      return kDocuments;
    case Api::kScore:
      return kScored;
    case Api::kEmbeddings:
    case Api::kClassify:
      return kInput;
    default:
      return kPrompt;
  }
}

bool render_texts(Api api, const json::object& body, const json::value& value, std::uint64_t salt,
                  std::vector<BlockChain>& into) {
  BlockChain start(salt);
  start.add(query_of(api, body));
  if (value.is_string()) {
    into.push_back(start);
    into.back().add(text_of(value));
    return true;
  }
  if (!value.is_array() || value.get_array().empty()) return false;
  const json::array& items = value.get_array();
  if (is_token(items.front())) {
    into.push_back(start);
    add_tokens(into.back(), items);
    return true;
  }
  for (const auto& item : items) {
    if (into.size() > 4096) break;  // the caller refuses long before
    into.push_back(start);
    if (item.is_array()) {
      add_tokens(into.back(), item.get_array());
    } else if (item.is_string() || item.is_object()) {
      into.back().add(document_text(item));
    } else {
      return false;
    }
  }
  return true;
}

bool read_token_list(const json::object& body, std::vector<std::uint32_t>& into) {
  const json::value* tokens = body.if_contains("tokens");
  if (tokens == nullptr || !tokens->is_array()) return false;
  for (const auto& token : tokens->get_array()) {
    if (!is_token(token)) return false;
    into.push_back(static_cast<std::uint32_t>(token.get_int64()));
  }
  return true;
}

}  // namespace infermesh::lab

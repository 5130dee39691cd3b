// The simulated chat template: how the messages, tools and texts of a request become the byte
// stream that is cut into tokens. A turn is "<|role|>\n" CONTENT "\n"; the answer follows
// "<|assistant|>\n", so the next turn of a conversation begins with the bytes of the one before,
// its answer included. Internal to ask.cc.
#pragma once

#include <boost/json/fwd.hpp>
#include <span>
#include <string_view>
#include <vector>

#include "core/model/api.h"
#include "lab/shared/text_model.h"

namespace infermesh::lab {

BlockChain render_chat(const boost::json::object& body,
                       std::uint64_t salt);  // chat and Anthropic messages
BlockChain render_responses(const boost::json::object& body, std::uint64_t salt);

// The fields that may carry the texts of this API, the usual one first.
std::span<const std::string_view> prompt_fields(Api api);
// Texts, token lists, or query and documents. False when `value` is of another shape.
bool render_texts(Api api, const boost::json::object& body, const boost::json::value& value,
                  std::uint64_t salt, std::vector<BlockChain>& into);
bool read_token_list(const boost::json::object& body, std::vector<std::uint32_t>& into);

}  // namespace infermesh::lab

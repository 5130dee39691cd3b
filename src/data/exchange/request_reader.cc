#include "data/exchange/request_reader.h"

#include "base/text.h"
#include "core/model/api_kind.h"
#include "wire/kserve/infer_reader.h"
#include "wire/openai/facts.h"
#include "wire/openai/form_reader.h"

namespace infermesh::data {
namespace {

openai::FactsOptions facts_options(const ExchangeParts& parts) {
  openai::FactsOptions options;
  options.block_bytes = parts.shard.settings.prefix_block_bytes;
  options.session_body_keys = parts.shard.session_body_keys;
  // What makes pictures and sound of a text keeps nothing of it.
  if (is_media(parts.api)) options.hash_prompt = openai::HashPrompt::kNo;
  options.model = parts.named.model;
  options.stream = parts.named.stream;
  return options;
}

// A form without a boundary is refused before any of it is read.
openai::FormOptions form_options(const ExchangeParts& parts) {
  const auto type = http::find(parts.head.headers, "content-type").value_or("");
  openai::FormOptions options;
  options.boundary = http::form_boundary(type).value_or("");
  options.model = http::find(parts.head.headers, "x-infermesh-model").value_or("");
  return options;
}

kserve::InferOptions infer_options(const ExchangeParts& parts) {
  kserve::InferOptions options;
  options.model = parts.named.model;
  options.stream = parts.named.stream;
  const auto length = http::find(parts.head.headers, "inference-header-content-length");
  if (length) options.json_bytes = parse_u64(trim(*length)).value_or(0);
  return options;
}

}  // namespace

std::unique_ptr<openai::BodyReader> make_request_reader(const ExchangeParts& parts) {
  switch (body_form(parts.api)) {
    case BodyForm::kJson:
      return std::make_unique<openai::FactsReader>(parts.api, facts_options(parts));
    case BodyForm::kForm:
      return std::make_unique<openai::FormReader>(parts.api, form_options(parts));
    case BodyForm::kTensor:
    case BodyForm::kNone:
      break;
  }
  return std::make_unique<kserve::InferReader>(parts.api, infer_options(parts));
}

}  // namespace infermesh::data

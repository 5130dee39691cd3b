// RequestReader: the reader that a request's body needs, by its route. Of one exchange.
#pragma once

#include <variant>

#include "data/exchange/request.h"
#include "wire/kserve/infer_reader.h"
#include "wire/openai/facts.h"
#include "wire/openai/form_reader.h"

namespace infermesh::data {

class RequestReader {
 public:
  explicit RequestReader(const ExchangeParts& parts);
  RequestReader(const RequestReader&) = delete;
  RequestReader& operator=(const RequestReader&) = delete;

  openai::BodyReader& body() { return *body_; }

 private:
  std::variant<std::monostate, openai::FactsReader, openai::FormReader, kserve::InferReader> kept_;
  openai::BodyReader* body_ = nullptr;
};

}  // namespace infermesh::data

// The reader that a request's body needs, by its route. For one exchange.
#pragma once

#include <memory>

#include "data/exchange/request.h"
#include "wire/openai/body_reader.h"

namespace infermesh::data {

std::unique_ptr<openai::BodyReader> make_request_reader(const ExchangeParts& parts);

}  // namespace infermesh::data

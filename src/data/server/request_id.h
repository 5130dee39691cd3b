// Request ids: a client's own when it is usable, else a UUID version 7 (RFC 9562: sorted by time).
#pragma once

#include <string>
#include <string_view>

#include "base/rng.h"
#include "base/time.h"

namespace infermesh::data {

// 1 to 128 characters of [A-Za-z0-9._:-].
bool is_usable_request_id(std::string_view id);
std::string mint_request_id(WallTime now, Rng& rng);

}  // namespace infermesh::data

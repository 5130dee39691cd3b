// What nghttp2 calls, and how that becomes calls of the peers. Internal to this folder.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstddef>
#include <cstdint>

namespace infermesh::http2 {

// One table for all sessions; their user data is the Session.
const nghttp2_session_callbacks* session_callbacks();

// The data provider's read function: asks the stream's peer for an offer.
ssize_t read_offer(nghttp2_session* session, std::int32_t id, std::uint8_t* unused,
                   std::size_t most, std::uint32_t* flags, nghttp2_data_source* source, void* user);

}  // namespace infermesh::http2

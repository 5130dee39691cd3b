// Listening sockets apart from the loop that accepts on them: such a socket may be shared with, or
// come from, another process. What waits in its queue waits for whoever accepts next.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "io/descriptor.h"
#include "io/event_loop.h"

namespace infermesh::io {

// A socket bound to HOST:PORT (port 0 = any) that listens.
Result<Descriptor> open_listening(const std::string& host, std::uint16_t port, Sharing sharing);

// Where a socket that may come from elsewhere listens: "127.0.0.1:6400". kInvalidConfig: it does
// not listen, or not on HOST:PORT (port 0 = any).
Result<std::string> address_of_listening(const Descriptor& socket, const std::string& host,
                                         std::uint16_t port);

// Accepts on it from now on, on `loop`.
std::unique_ptr<port::Listener> listener_of(EventLoop& loop, Descriptor socket);

}  // namespace infermesh::io

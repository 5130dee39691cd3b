// secure(): a listener whose streams speak TLS, made of one whose streams do not. Handshakes go on
// beside each other, so a client that is slow in its own holds nobody up: accept() gives streams in
// the order in which their handshakes ended. On the loop of the inner listener.
//
// Bounds: a handshake has `timeout`; `under_way_max` go on at once. At that bound the oldest is cut
// when it has lasted a second; until then new clients wait, all but one in the kernel's queue. A
// client that speaks HTTP without TLS is answered 400 and told to use https.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/time.h"
#include "io/event_loop.h"
#include "io/tls/server.h"

namespace infermesh::io::tls {

enum class HandshakeResult : std::uint8_t {
  kOk,
  kResumed,  // ok, with a session ticket
  kFailed,
  kTimeout,
  kDropped,    // cut to make room
  kPlainHttp,  // the client spoke no TLS
};
std::string_view to_string(HandshakeResult result);  // "ok", "plain_http", ...

struct HandshakeEnd {
  HandshakeResult result;
  std::string peer;
  std::string why;  // of a failure
};

struct HandshakeRules {
  Duration timeout = 5s;
  std::size_t under_way_max = 1024;
  std::function<void(const HandshakeEnd&)> told;  // on the loop, for each; may be empty
};

// `loop` and `server` are borrowed and outlive it and its streams.
std::unique_ptr<port::Listener> secure(EventLoop& loop, std::unique_ptr<port::Listener> inner,
                                       const TlsServer& server, HandshakeRules rules);

}  // namespace infermesh::io::tls

// Reading one request and writing one answer on an admin connection. Used by AdminServer only.
#pragma once

#include <optional>
#include <string>

#include "control/admin_server.h"
#include "wire/http/body.h"
#include "wire/http/head.h"

namespace infermesh::control {

enum class After : std::uint8_t { kKeep, kClose };

// What came in: a request, or an error to answer before closing, or neither: the client is gone or
// was silent.
struct Incoming {
  std::optional<AdminRequest> request;
  std::optional<Error> error;
  After after = After::kClose;
};

// The stream of one connection with what has been read ahead of it.
class AdminExchange {
 public:
  AdminExchange(port::Loop& loop, port::Stream& stream, const AdminLimits& limits);

  port::Task<Incoming> read();
  // False when the client is gone or does not read.
  port::Task<bool> write(const AdminReply& reply, std::string_view method, After after);
  // Reads what is still on its way after a refused request, for a moment: closing with unread bytes
  // resets the connection, and the client may lose its answer.
  port::Task<void> discard_rest();
  bool between_requests() const { return idle_; }

 private:
  port::Task<bool> fill();  // reads some more; false: end, error or too late
  port::Task<bool> send(std::string_view text);
  port::Task<Incoming> read_body(Incoming incoming, http::BodyDecoder decoder);

  port::Stream& stream_;
  port::Loop& loop_;
  const AdminLimits& limits_;
  port::Timer timer_;
  std::string buffer_;
  http::RequestHeadParser parser_;
  bool idle_ = true;
};

// Why a request may not change anything: its Origin is another site than its Host.
std::optional<Error> refuse_foreign_origin(const http::RequestHead& head);

}  // namespace infermesh::control

// AdminServer: HTTP/1.1 on the admin listener, on one loop (the control loop). Routes are a table
// of handlers that app hands over. Strict and bounded: 64 connections (the next one is answered 503
// and closed), heads of 64 KiB, bodies of 1 MiB, one request at a time per connection, and a
// deadline for each wait. Errors are RFC 9457 problem documents.
//
// There is no authentication. POST with an Origin of another site is refused (403), so a page in a
// browser cannot change the mesh of the machine it is read on.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "port/loop.h"
#include "port/stream.h"
#include "port/task.h"

namespace infermesh::control {

struct AdminRequest {
  std::string method;
  std::string path;   // as sent, without the query
  std::string query;  // without "?"
  std::string name;   // what {name} in the route's path stood for, percent-decoded
  std::string body;
};

struct AdminReply {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::string allow;  // methods, for 405
};

using AdminHandler = std::function<port::Task<AdminReply>(AdminRequest)>;

struct AdminRoute {
  std::string method;  // GET also answers HEAD
  std::string path;    // "/api/engines/{name}/drain": at most one {name}, a whole segment
  AdminHandler handler;
};

struct AdminLimits {
  std::size_t connections_max = 64;
  std::size_t body_bytes_max = std::size_t{1} << 20;
  Duration idle_timeout = 60s;     // between requests
  Duration request_timeout = 10s;  // from a request's first byte to its last
  Duration write_timeout = 10s;    // a client that does not read its answer is cut
};

// A problem document with the error's status.
AdminReply problem_reply(const Error& error, std::string_view next = {});
// A handler for values that are at hand: no waiting in it.
AdminHandler answer_with(std::function<AdminReply(const AdminRequest&)> function);

class AdminServer {
 public:
  // Both are borrowed; the server must live until serve() has returned and its connections have
  // ended (stop(), then the loop runs dry).
  AdminServer(port::Loop& loop, std::vector<AdminRoute> routes, AdminLimits limits = {});

  // Accepts until the listener is closed.
  port::Task<void> serve(port::Listener& listener);
  // From now on each answer is the last of its connection.
  void leave() { leaving_ = true; }
  // Idle connections are closed at once, busy ones after their answer.
  void stop();
  std::size_t connections() const { return open_.size(); }

 private:
  struct Connection;
  port::Task<void> converse(port::StreamPtr stream);
  port::Task<void> turn_away(port::StreamPtr stream);
  // The handler of a request, with its {name} filled in; or the reply when there is none.
  const AdminHandler* find_handler(AdminRequest& request, AdminReply& otherwise) const;

  port::Loop& loop_;
  std::vector<AdminRoute> routes_;
  AdminLimits limits_;
  std::set<Connection*> open_;
  bool leaving_ = false, stopping_ = false;
};

}  // namespace infermesh::control

#include "control/admin_server.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "control/admin_exchange.h"
#include "control/admin_json.h"

namespace infermesh::control {
namespace {

std::optional<std::string> percent_decoded(std::string_view text) {
  const auto digit = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size() || digit(text[i + 1]) < 0 || digit(text[i + 2]) < 0)
      return std::nullopt;
    out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
    i += 2;
  }
  return out;
}

// The text that {name} stands for, empty when the pattern has none; nullopt when the path is
// another.
std::optional<std::string> match(std::string_view pattern, std::string_view path) {
  const auto want = split(pattern, '/');
  const auto have = split(path, '/');
  if (want.size() != have.size()) return std::nullopt;
  std::string name;
  for (std::size_t i = 0; i < want.size(); ++i) {
    if (want[i] == "{name}") {
      auto decoded = percent_decoded(have[i]);
      if (!decoded || decoded->empty()) return std::nullopt;
      name = std::move(*decoded);
    } else if (want[i] != have[i]) {
      return std::nullopt;
    }
  }
  return name;
}

bool method_matches(const AdminRoute& route, std::string_view method) {
  return route.method == method || (route.method == "GET" && method == "HEAD");
}

// The path's own wording of what is served, for a 404.
Error unknown_path(const std::vector<AdminRoute>& routes, const std::string& path) {
  std::vector<std::string> paths;
  for (const AdminRoute& route : routes) paths.push_back(route.path);
  const auto near = nearest(path, paths, 1);
  return {ErrorCode::kUnknownPath,
          near.empty() ? fmt::format("{} is not served here", path)
                       : fmt::format("{} is not served here; the nearest is {}", path, near[0]),
          ""};
}

}  // namespace

AdminReply problem_reply(const Error& error, std::string_view next) {
  return {error_info(error.code).status, "application/problem+json",
          problem_details_json(error, next), ""};
}

AdminHandler answer_with(std::function<AdminReply(const AdminRequest&)> function) {
  return [held = std::move(function)](AdminRequest request) -> port::Task<AdminReply> {
    co_return held(request);
  };
}

struct AdminServer::Connection {
  port::StreamPtr stream;
  AdminExchange exchange;
  std::set<Connection*>& open;

  Connection(port::Loop& loop, port::StreamPtr owned, const AdminLimits& limits,
             std::set<Connection*>& registry)
      : stream(std::move(owned)), exchange(loop, *stream, limits), open(registry) {
    open.insert(this);
  }
  ~Connection() { open.erase(this); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
};

AdminServer::AdminServer(port::Loop& loop, std::vector<AdminRoute> routes, AdminLimits limits)
    : loop_(loop), routes_(std::move(routes)), limits_(limits) {}

port::Task<void> AdminServer::serve(port::Listener& listener) {
  while (true) {
    auto accepted = co_await listener.accept();
    if (!accepted) {
      if (accepted.error().code == ErrorCode::kUnavailable) co_return;
      co_await loop_.sleep_until(loop_.now() + 100ms);  // out of descriptors, for one
      continue;
    }
    if (stopping_) continue;
    loop_.spawn(open_.size() < limits_.connections_max ? converse(std::move(*accepted))
                                                       : turn_away(std::move(*accepted)));
  }
}

void AdminServer::stop() {
  stopping_ = true;
  for (Connection* connection : open_) {
    if (connection->exchange.between_requests()) connection->stream->cancel();
  }
}

port::Task<void> AdminServer::turn_away(port::StreamPtr stream) {
  AdminExchange exchange(loop_, *stream, limits_);
  const Error error{ErrorCode::kUnavailable,
                    fmt::format("{} admin connections are open already", limits_.connections_max),
                    ""};
  co_await exchange.write(problem_reply(error), "GET", After::kClose);
}

port::Task<void> AdminServer::converse(port::StreamPtr stream) {
  Connection connection(loop_, std::move(stream), limits_, open_);
  AdminExchange& exchange = connection.exchange;
  while (!stopping_) {
    Incoming incoming = co_await exchange.read();
    if (!incoming.request && !incoming.error) co_return;
    AdminReply reply;
    std::string method = "GET";
    if (incoming.error) {
      reply = problem_reply(*incoming.error);
    } else {
      method = incoming.request->method;
      const AdminHandler* handler = find_handler(*incoming.request, reply);
      if (handler != nullptr) reply = co_await (*handler)(std::move(*incoming.request));
    }
    const After after = leaving_ || stopping_ ? After::kClose : incoming.after;
    if (!co_await exchange.write(reply, method, after)) co_return;
    if (after == After::kClose) {
      if (incoming.error) co_await exchange.discard_rest();
      co_return;
    }
  }
}

const AdminHandler* AdminServer::find_handler(AdminRequest& request, AdminReply& otherwise) const {
  std::vector<std::string> allowed;
  for (const AdminRoute& route : routes_) {
    auto name = match(route.path, request.path);
    if (!name) continue;
    if (method_matches(route, request.method)) {
      request.name = std::move(*name);
      return &route.handler;
    }
    allowed.push_back(route.method);
  }
  if (allowed.empty()) {
    otherwise = problem_reply(unknown_path(routes_, request.path));
    return nullptr;
  }
  const std::string methods = fmt::format("{}", fmt::join(allowed, ", "));
  otherwise = problem_reply(
      {ErrorCode::kMethodNotAllowed,
       fmt::format("{} takes {}, not {}", request.path, methods, request.method), ""});
  otherwise.allow = methods;
  return nullptr;
}

}  // namespace infermesh::control

// mock_engine: engines that cost nearly nothing, so that what is measured is the proxy before them.
//
//   mock_engine --ports 18001,18002,... [--metrics-file FILE]     one process, one thread, all
//   ports
//
// A POST is answered at once with 434 bytes of JSON. With "stream":true in a body of up to 4 KiB it
// is an event stream of "max_tokens" events of some 210 bytes, each in an HTTP chunk and a write of
// its own; "seed" is the pause between two in milliseconds (none: no pause), and streams are spread
// evenly over that pause, as those of engines that know nothing of each other are. The pages that
// routers look at are there in the form of vLLM and SGLang. Bodies are dropped in the kernel, not
// copied. Port 0 takes any; the ports are printed as one line once all listen. Ends with SIGTERM.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <queue>
#include <sstream>
#include <vector>

#include "message.h"
#include "mock_answers.h"

namespace infermesh::bench {
namespace {

struct Connection {
  int fd = -1;
  std::string head;  // bytes of a head that is not whole
  std::string path;
  std::string looked;  // the body, where it is small enough or asked for as a whole
  Body body;
  bool whole_wanted = false;
  std::string pending;  // bytes that the socket did not take
  Ask ask;              // of the stream that is being sent
  std::uint64_t events_left = 0;
  std::uint64_t stream_number = 0;  // tells a timer of an earlier stream
  bool reading_body = false;
};

class Mock {
 public:
  explicit Mock(const std::string& metrics) : texts_(make_texts(metrics)) {}
  bool listen_on(std::uint16_t port, std::uint16_t& bound);
  void run();

 private:
  struct Due {
    std::int64_t at;
    std::uint64_t stream_number;
    int fd;
    bool operator<(const Due& other) const { return at > other.at; }
  };
  void accept_all(int listener);
  void readable(Connection& connection);
  void consume(Connection& connection, std::string_view bytes);
  bool take_head(Connection& connection, std::string_view& bytes);
  void reply(Connection& connection);
  const std::string& page(std::string_view path) const;
  void start_stream(Connection& connection);
  void burst(Connection& connection);
  void send_due();
  void write(Connection& connection, std::string_view bytes);
  void writable(Connection& connection);
  void drop(Connection& connection);
  timespec* until_due(timespec& wait) const;

  Texts texts_;
  int epoll_ = epoll_create1(0);
  std::vector<int> listeners_;
  std::vector<std::unique_ptr<Connection>> connections_;  // by descriptor
  std::priority_queue<Due> due_;
  std::uint64_t streams_ = 0;
  std::vector<char> buffer_ = std::vector<char>(256 * 1024);
};

bool Mock::listen_on(std::uint16_t port, std::uint16_t& bound) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(fd, 4096) != 0)
    return false;
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  bound = ntohs(address.sin_port);
  epoll_event event{EPOLLIN, {.fd = fd}};
  epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  listeners_.push_back(fd);
  return true;
}

void Mock::accept_all(int listener) {
  while (true) {
    const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
    if (fd < 0) return;
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const auto slot = static_cast<std::size_t>(fd);
    if (connections_.size() <= slot) connections_.resize(slot + 1);
    connections_[slot] = std::make_unique<Connection>();
    connections_[slot]->fd = fd;
    epoll_event event{EPOLLIN, {.fd = fd}};
    epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }
}

void Mock::readable(Connection& connection) {
  ssize_t got = 0;
  const std::size_t left = connection.whole_wanted ? 0 : connection.body.plain_left();
  if (left > kBodyLooked) {
    got = recv(connection.fd, nullptr, left, MSG_TRUNC | MSG_DONTWAIT);
    if (got > 0) {
      connection.body.skip(static_cast<std::size_t>(got));
      if (connection.body.ended()) reply(connection);
      return;
    }
  } else {
    got = recv(connection.fd, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (got > 0) return consume(connection, {buffer_.data(), static_cast<std::size_t>(got)});
  }
  if (got == 0 || (errno != EAGAIN && errno != EINTR)) drop(connection);
}

bool Mock::take_head(Connection& connection, std::string_view& bytes) {
  const bool in_pieces = !connection.head.empty();
  if (in_pieces) connection.head.append(bytes);
  const std::string_view whole = in_pieces ? std::string_view(connection.head) : bytes;
  const auto head = read_head(whole);
  if (!head) {
    if (!in_pieces) connection.head.assign(bytes);
    return false;
  }
  const auto path = head->first_line.find(' ') + 1;
  connection.path = head->first_line.substr(path, head->first_line.rfind(' ') - path);
  connection.whole_wanted = connection.path.ends_with("/render");
  connection.body.start(*head);
  connection.looked.clear();
  connection.reading_body = true;
  // What the pieces before held was head: the rest of these bytes is body.
  bytes.remove_prefix(head->size - (whole.size() - bytes.size()));
  connection.head.clear();
  return true;
}

void Mock::consume(Connection& connection, std::string_view bytes) {
  const int fd = connection.fd;
  while (!bytes.empty()) {
    if (!connection.reading_body && !take_head(connection, bytes)) return;
    const bool fine = connection.body.take(bytes, [&connection](std::string_view data) {
      if (connection.looked.size() < kBodyLooked || connection.whole_wanted)
        connection.looked.append(data);
    });
    if (!fine) return drop(connection);
    if (!connection.body.ended()) return;
    reply(connection);
    if (!connections_[static_cast<std::size_t>(fd)]) return;
  }
}

const std::string& Mock::page(std::string_view path) const {
  if (path == "/v1/models") return texts_.models;
  if (path == "/metrics") return texts_.metrics;
  if (path == "/version") return texts_.version;
  if (path == "/load" || path == "/get_load") return texts_.load;
  if (path == "/health" || path == "/ping" || path == "/health_generate") return texts_.healthy;
  if (path.ends_with("_info")) return texts_.info;
  return texts_.nothing;
}

void Mock::reply(Connection& connection) {
  connection.reading_body = false;
  if (connection.path.starts_with("/v1/chat/completions") ||
      connection.path.starts_with("/v1/completions")) {
    if (connection.whole_wanted) return write(connection, rendered(connection.looked));
    connection.ask = {};
    if (connection.looked.size() <= kBodyLooked) connection.ask = read_ask(connection.looked);
    if (connection.ask.stream) return start_stream(connection);
    return write(connection, texts_.completion);
  }
  write(connection, page(connection.path));
}

void Mock::start_stream(Connection& connection) {
  connection.stream_number = ++streams_;
  connection.events_left = connection.ask.events;
  const int fd = connection.fd;
  write(connection, texts_.stream_head);
  if (!connections_[static_cast<std::size_t>(fd)]) return;
  if (connection.ask.pause_ns == 0) return burst(connection);
  const double share = std::fmod(static_cast<double>(streams_) * 0.6180339887, 1.0);
  const auto first = static_cast<std::int64_t>(share * double(connection.ask.pause_ns));
  due_.push({now_ns() + first, connection.stream_number, fd});
}

void Mock::burst(Connection& connection) {
  const int fd = connection.fd;
  while (connection.events_left > 0) {
    --connection.events_left;
    write(connection, texts_.event);
    if (!connections_[static_cast<std::size_t>(fd)]) return;
  }
  if (connection.ask.usage) write(connection, texts_.usage);
  if (connections_[static_cast<std::size_t>(fd)]) write(connection, texts_.end);
}

void Mock::send_due() {
  const std::int64_t now = now_ns();
  while (!due_.empty() && due_.top().at <= now) {
    const Due due = due_.top();
    due_.pop();
    Connection* connection = connections_[static_cast<std::size_t>(due.fd)].get();
    if (connection == nullptr || connection->stream_number != due.stream_number) continue;
    if (connection->events_left <= 1) {
      burst(*connection);
      continue;
    }
    --connection->events_left;
    due_.push({due.at + connection->ask.pause_ns, due.stream_number, due.fd});
    write(*connection, texts_.event);
  }
}

void Mock::write(Connection& connection, std::string_view bytes) {
  if (!connection.pending.empty()) {
    connection.pending.append(bytes);
    return;
  }
  if (!send_some(connection.fd, bytes)) return drop(connection);
  if (bytes.empty()) return;
  connection.pending.assign(bytes);
  epoll_event event{EPOLLIN | EPOLLOUT, {.fd = connection.fd}};
  epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.fd, &event);
}

void Mock::writable(Connection& connection) {
  std::string_view bytes = connection.pending;
  if (!send_some(connection.fd, bytes)) return drop(connection);
  connection.pending.erase(0, connection.pending.size() - bytes.size());
  if (!connection.pending.empty()) return;
  epoll_event event{EPOLLIN, {.fd = connection.fd}};
  epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.fd, &event);
}

void Mock::drop(Connection& connection) {
  const int fd = connection.fd;
  close(fd);
  connections_[static_cast<std::size_t>(fd)].reset();
}

timespec* Mock::until_due(timespec& wait) const {
  if (due_.empty()) return nullptr;
  const std::int64_t left = std::max<std::int64_t>(0, due_.top().at - now_ns());
  wait = {left / 1'000'000'000, left % 1'000'000'000};
  return &wait;
}

void Mock::run() {
  std::vector<epoll_event> events(512);
  while (true) {
    timespec wait{};
    const int count = epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()),
                                   until_due(wait), nullptr);
    for (int i = 0; i < count; ++i) {
      const int fd = events[static_cast<std::size_t>(i)].data.fd;
      if (std::find(listeners_.begin(), listeners_.end(), fd) != listeners_.end()) {
        accept_all(fd);
        continue;
      }
      const auto slot = static_cast<std::size_t>(fd);
      const auto what = events[static_cast<std::size_t>(i)].events;
      if (connections_[slot] && (what & EPOLLOUT) != 0) writable(*connections_[slot]);
      if (connections_[slot] && (what & ~EPOLLOUT) != 0) readable(*connections_[slot]);
    }
    send_due();
  }
}

int usage() {
  std::fputs("usage: mock_engine --ports PORT,PORT,... [--metrics-file FILE]\n", stderr);
  return 2;
}

}  // namespace
}  // namespace infermesh::bench

int main(int argc, char** argv) {
  using namespace infermesh::bench;
  std::string ports, metrics;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view flag = argv[i];
    if (flag == "--ports") {
      ports = argv[i + 1];
    } else if (flag == "--metrics-file") {
      std::ifstream file(argv[i + 1]);
      metrics = (std::stringstream() << file.rdbuf()).str();
    } else {
      return usage();
    }
  }
  if (ports.empty() || argc % 2 == 0) return usage();
  prctl(PR_SET_TIMERSLACK, 1UL);
  Mock mock(metrics);
  std::stringstream list(ports);
  std::string bound_ports;
  for (std::string port; std::getline(list, port, ',');) {
    std::uint16_t bound = 0;
    if (!mock.listen_on(static_cast<std::uint16_t>(std::atoi(port.c_str())), bound)) {
      std::fprintf(stderr, "mock_engine: cannot listen on port %s: %s\n", port.c_str(),
                   std::strerror(errno));
      return 1;
    }
    bound_ports += (bound_ports.empty() ? "" : ",") + std::to_string(bound);
  }
  std::printf("%s\n", bound_ports.c_str());
  std::fflush(stdout);
  mock.run();
}

// load_gen: the client of the proxy benchmark. One thread, kept-alive connections, requests
// gathered from ready parts, answers followed without being copied. Prints one line of JSON.
//
// load_gen --port N and, each with a value:
//   --connections N   16 unless told
//   --seconds S       length of the measured window, 2 unless told; with --requests its limit
//   --requests N      so many and no more
//   --warm S          before the window, 0.5 unless told
//   --size BYTES      of a body; half of the prompt is one of 8 shared prefixes
//   --distinct 1      prompts that share nothing
//   --events N        ask for streams of so many events; --pause MS between two of them
//   --rate R          open loop: so many a second, latency from when each was due
//   --hold 1          once all connections stream, say "open"; go on until standard input ends
//   --pids P,Q,...    whose CPU time to read over the window
//
// Only what ends inside the window counts. CPU time is the processes' own clock (user + system of
// all their threads, dead ones as well), read at both ends of it.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <vector>

#include "load_request.h"
#include "message.h"

namespace infermesh::bench {
namespace {

std::int64_t cpu_ns(const std::vector<pid_t>& pids) {
  std::int64_t total = 0;
  for (const pid_t pid : pids) {
    clockid_t clock{};
    timespec time{};
    if (clock_getcpuclockid(pid, &clock) == 0 && clock_gettime(clock, &time) == 0)
      total += time.tv_sec * 1'000'000'000 + time.tv_nsec;
  }
  return total;
}

struct Connection {
  int fd = -1;
  bool busy = false;
  std::int64_t due = 0;  // when the request was to be sent
  std::array<char, kIdDigits> id{};
  std::size_t prefix = 0;
  std::size_t sent = 0;  // of the request
  bool fresh = true;     // nothing was ever answered on it
  std::string head;      // of the answer, while it is not whole
  bool in_body = false;
  Head answer;
  int status = 0;
  Body body;
  bool newline = false;  // the data ended with one: events are told by two in a row
  std::uint64_t events = 0;
};

class Load {
 public:
  explicit Load(Options options) : options_(std::move(options)), parts_(options_) {}
  int run();

 private:
  bool connect(Connection& connection);
  void send_request(Connection& connection, std::int64_t due);
  void send_rest(Connection& connection);
  void readable(Connection& connection);
  bool consume(Connection& connection, std::string_view bytes);
  void count_events(Connection& connection, std::string_view data);
  void finished(Connection& connection);
  void failed(Connection& connection, const std::string& why);
  void next(Connection& connection);
  void send_due(std::int64_t now);
  void open_window(std::int64_t now);
  bool over(std::int64_t now);
  timespec wait_for(std::int64_t now) const;
  bool all_streaming();
  void report() const;

  Options options_;
  Template parts_;
  int epoll_ = epoll_create1(0);
  std::deque<Connection> connections_;
  std::vector<Connection*> idle_;
  std::uint64_t sent_ = 0, done_ = 0, errors_ = 0, events_ = 0, reconnects_ = 0;
  std::uint64_t salt_ = static_cast<std::uint64_t>(now_ns());
  std::map<std::string, std::uint64_t> why_;
  std::vector<std::int64_t> latencies_;
  std::int64_t begun_ = 0, window_ = 0, ended_ = 0;
  std::int64_t cpu_begun_ = 0, cpu_ = 0;
  bool said_open_ = false;
  std::vector<char> buffer_ = std::vector<char>(256 * 1024);
};

bool Load::connect(Connection& connection) {
  if (connection.fd >= 0) close(connection.fd);
  connection.fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(options_.port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(connection.fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return false;
  const int on = 1;
  setsockopt(connection.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  fcntl(connection.fd, F_SETFL, O_NONBLOCK);
  epoll_event event{EPOLLIN, {.ptr = &connection}};
  epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.fd, &event);
  connection.fresh = true;
  return true;
}

void Load::send_request(Connection& connection, std::int64_t due) {
  connection.busy = true;
  connection.due = due;
  connection.sent = 0;
  connection.events = 0;
  connection.in_body = false;
  connection.newline = false;
  connection.head.clear();
  connection.prefix = sent_ % kPrefixes;
  char digits[24];
  const std::uint64_t number = (salt_ + sent_ * 0x9e3779b97f4a7c15ULL);
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(number));
  std::memcpy(connection.id.data(), digits, kIdDigits);
  ++sent_;
  send_rest(connection);
}

void Load::send_rest(Connection& connection) {
  const std::array<std::string_view, 5> parts{
      parts_.front, parts_.prefixes[connection.prefix], parts_.middle,
      std::string_view(connection.id.data(), connection.id.size()), parts_.tail};
  std::array<iovec, 5> vectors{};
  std::size_t count = 0, skip = connection.sent;
  for (std::string_view part : parts) {
    const std::size_t cut = std::min(skip, part.size());
    skip -= cut;
    part.remove_prefix(cut);
    if (!part.empty()) vectors[count++] = {const_cast<char*>(part.data()), part.size()};
  }
  if (count == 0) return;
  std::size_t left = 0;
  for (std::size_t i = 0; i < count; ++i) left += vectors[i].iov_len;
  msghdr message{};
  message.msg_iov = vectors.data();
  message.msg_iovlen = count;
  const ssize_t got = sendmsg(connection.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (got < 0 && errno != EAGAIN) return failed(connection, std::strerror(errno));
  if (got > 0) connection.sent += static_cast<std::size_t>(got);
  const bool whole = got > 0 && static_cast<std::size_t>(got) == left;
  if (whole && got == static_cast<ssize_t>(connection.sent)) return;  // in one go: no change
  epoll_event event{whole ? EPOLLIN : EPOLLIN | EPOLLOUT, {.ptr = &connection}};
  epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.fd, &event);
}

void Load::readable(Connection& connection) {
  const ssize_t got = recv(connection.fd, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got > 0 && consume(connection, {buffer_.data(), static_cast<std::size_t>(got)})) return;
  if (got > 0) return failed(connection, "an answer that cannot be read");
  // A kept connection may close when it is not in use, and just as a request is on its way to it.
  const bool unanswered = connection.head.empty() && !connection.in_body;
  if (!connection.busy || (unanswered && !connection.fresh)) {
    const bool again = connection.busy;
    ++reconnects_;
    if (!connect(connection)) return failed(connection, "no connection");
    if (again) send_request(connection, connection.due);
    return;
  }
  failed(connection, got == 0 ? "closed before the answer's end" : std::strerror(errno));
}

bool Load::consume(Connection& connection, std::string_view bytes) {
  if (!connection.busy) return false;
  if (!connection.in_body) {
    const std::size_t before = connection.head.size();
    connection.head.append(bytes);
    const auto head = read_head(connection.head);
    if (!head) return connection.head.size() < 65'536;
    connection.status = std::atoi(head->first_line.substr(head->first_line.find(' ') + 1).data());
    connection.answer = *head;
    connection.body.start(*head);
    connection.in_body = true;
    bytes.remove_prefix(head->size - before);
  }
  const bool fine = connection.body.take(bytes, [this, &connection](std::string_view data) {
    if (options_.events > 0) count_events(connection, data);
  });
  if (!fine || (connection.body.ended() && !bytes.empty())) return false;
  if (connection.body.ended()) finished(connection);
  return true;
}

void Load::count_events(Connection& connection, std::string_view data) {
  std::uint64_t found = 0;
  while (!data.empty()) {
    const void* at = std::memchr(data.data(), '\n', data.size());
    if (at == nullptr) {
      connection.newline = false;
      break;
    }
    const auto index = static_cast<std::size_t>(static_cast<const char*>(at) - data.data());
    if (index == 0 && connection.newline) {
      ++found;
      connection.newline = false;
    } else {
      connection.newline = true;
    }
    data.remove_prefix(index + 1);
  }
  connection.events += found;
  if (window_ != 0) events_ += found;
}

void Load::finished(Connection& connection) {
  connection.busy = false;
  connection.fresh = false;
  if (connection.status != 200)
    return failed(connection, "status " + std::to_string(connection.status));
  // The terminal event, and one with the usage where it was asked for, come on top.
  if (options_.events > 0 && connection.events < options_.events)
    return failed(connection, "a stream without all of its events");
  if (window_ != 0) {
    ++done_;
    latencies_.push_back(now_ns() - connection.due);
  }
  if (connection.answer.close && !connect(connection)) return failed(connection, "no connection");
  next(connection);
}

void Load::failed(Connection& connection, const std::string& why) {
  connection.busy = false;
  ++errors_;
  ++why_[why];
  if (errors_ > 1000 || !connect(connection)) {
    report();
    std::exit(1);
  }
  next(connection);
}

void Load::next(Connection& connection) {
  if (options_.rate > 0) {
    idle_.push_back(&connection);
  } else if (options_.requests == 0 || sent_ < options_.requests) {
    send_request(connection, now_ns());
  }
}

void Load::send_due(std::int64_t now) {
  while (options_.rate > 0) {
    const auto due = begun_ + static_cast<std::int64_t>(double(sent_) * 1e9 / options_.rate);
    if (due > now) return;
    if (idle_.empty()) {
      connections_.emplace_back();
      if (connections_.size() > 10'000 || !connect(connections_.back())) std::exit(1);
      idle_.push_back(&connections_.back());
    }
    Connection& connection = *idle_.back();
    idle_.pop_back();
    send_request(connection, due);
  }
}

void Load::open_window(std::int64_t now) {
  window_ = now;
  cpu_begun_ = cpu_ns(options_.pids);
}

bool Load::over(std::int64_t now) {
  const bool all = options_.requests > 0 && done_ + errors_ >= options_.requests;
  if (!all && double(now - window_) < options_.seconds * 1e9) return false;
  ended_ = now;
  cpu_ = cpu_ns(options_.pids) - cpu_begun_;
  return true;
}

bool Load::all_streaming() {
  return std::all_of(connections_.begin(), connections_.end(),
                     [](const Connection& connection) { return connection.events > 0; });
}

timespec Load::wait_for(std::int64_t now) const {
  std::int64_t until = now + 20'000'000;
  if (options_.rate > 0)
    until = begun_ + static_cast<std::int64_t>(double(sent_) * 1e9 / options_.rate);
  const std::int64_t left = std::max<std::int64_t>(0, until - now);
  return {left / 1'000'000'000, left % 1'000'000'000};
}

int Load::run() {
  begun_ = now_ns();
  if (options_.warm == 0) open_window(begun_);
  for (std::size_t i = 0; i < options_.connections; ++i) {
    connections_.emplace_back();
    if (!connect(connections_.back())) {
      std::fprintf(stderr, "load_gen: no connection to port %u\n", options_.port);
      return 1;
    }
    next(connections_.back());
  }
  if (options_.hold) fcntl(0, F_SETFL, O_NONBLOCK);
  std::vector<epoll_event> events(512);
  while (true) {
    const timespec wait = wait_for(now_ns());
    const int count =
        epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), &wait, nullptr);
    for (int i = 0; i < count; ++i) {
      const auto& event = events[static_cast<std::size_t>(i)];
      auto& connection = *static_cast<Connection*>(event.data.ptr);
      if ((event.events & EPOLLOUT) != 0) send_rest(connection);
      if ((event.events & ~EPOLLOUT) != 0) readable(connection);
    }
    const std::int64_t now = now_ns();
    send_due(now);
    if (window_ == 0 && double(now - begun_) >= options_.warm * 1e9) open_window(now);
    if (window_ != 0 && over(now)) break;
    if (!options_.hold) continue;
    if (!said_open_ && all_streaming()) {
      said_open_ = true;
      std::printf("open\n");
      std::fflush(stdout);
    }
    char byte = 0;
    if (read(0, &byte, 1) == 0) break;
  }
  report();
  return errors_ == 0 ? 0 : 1;
}

double percentile(std::vector<std::int64_t>& sorted, double share) {
  if (sorted.empty()) return 0;
  const auto at = static_cast<std::size_t>(std::ceil(share * double(sorted.size()))) - 1;
  return double(sorted[std::min(at, sorted.size() - 1)]) / 1000;
}

void Load::report() const {
  auto sorted = latencies_;
  std::sort(sorted.begin(), sorted.end());
  const double seconds = double((ended_ != 0 ? ended_ : now_ns()) - window_) / 1e9;
  std::string why;
  for (const auto& [text, count] : why_) {
    why += (why.empty() ? "" : "; ") + text + " x " + std::to_string(count);
  }
  std::printf(
      "{\"seconds\": %.6f, \"requests\": %llu, \"events\": %llu, \"errors\": %llu, "
      "\"why\": \"%s\", \"reconnects\": %llu, \"cpu_us\": %.1f, \"p50_us\": %.1f, \"p99_us\": "
      "%.1f}\n",
      seconds, static_cast<unsigned long long>(done_), static_cast<unsigned long long>(events_),
      static_cast<unsigned long long>(errors_), why.c_str(),
      static_cast<unsigned long long>(reconnects_), double(cpu_) / 1000, percentile(sorted, 0.5),
      percentile(sorted, 0.99));
}

}  // namespace
}  // namespace infermesh::bench

int main(int argc, char** argv) {
  infermesh::bench::Options options;
  if (!infermesh::bench::read_options(argc, argv, options)) {
    std::fputs(
        "load_gen: --port N and further flags with a value each; see the head of its source\n",
        stderr);
    return 2;
  }
  prctl(PR_SET_TIMERSLACK, 1UL);
  return infermesh::bench::Load(std::move(options)).run();
}

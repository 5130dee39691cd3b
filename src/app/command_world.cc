#include "app/command_world.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <ctime>

#include "app/version.h"
#include "io/event_loop.h"
#include "io/folder.h"
#include "io/tls/dialer.h"
#include "port/wakeup.h"
#include "wire/http/body.h"
#include "wire/http/head.h"
#include "wire/http/write.h"

extern char** environ;  // NOLINT: POSIX

namespace infermesh::app {
namespace {

constexpr std::size_t kAnswerBytesMax = 64 << 20;

volatile std::sig_atomic_t interrupted = 0;

void write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;  // a closed pipe: nobody reads, nothing to do about it
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

// Zeros where there is no terminal.
winsize terminal_size() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return {};
  return size;
}

Duration local_offset() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  return std::chrono::seconds(local.tm_gmtoff);
}

// False when a signal has asked to stop.
bool interruptible_sleep(Duration duration) {
  std::signal(SIGINT, [](int) { interrupted = 1; });
  const auto millis = std::chrono::ceil<std::chrono::milliseconds>(duration).count();
  ::poll(nullptr, 0, static_cast<int>(std::min<std::int64_t>(millis, 3'600'000)));
  return interrupted == 0;
}

Result<std::string> read_any(const std::string& path) {
  return io::read_file(path == "-" ? "/dev/stdin" : path);
}

std::map<std::string, std::string> environment() {
  std::map<std::string, std::string> values;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const auto equals = text.find('=');
    if (equals != std::string_view::npos)
      values.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return values;
}

Error lost(std::string detail) {
  return {ErrorCode::kUpstreamBadResponse, std::move(detail), {}};
}

// One exchange on a connection of its own. The timer cancels whatever wait is under way.
class Call {
 public:
  Call(io::EventLoop& loop, const cli::AdminCall& call) : loop_(loop), call_(call) {}

  port::Task<Result<cli::AdminAnswer>> run() {
    const Instant deadline = loop_.now() + call_.timeout;
    port::Target target{call_.host, call_.port, std::nullopt, port::Protocol::kHttp1};
    if (call_.speak == cli::Speak::kTlsUnverified) {
      target.tls.emplace().trust = TlsTrust::kAnyone;
      target.tls->min_version = TlsVersion::k12;
    }
    auto stream = co_await loop_.connect(std::move(target), deadline);
    if (!stream) co_return std::unexpected(stream.error());
    stream_ = std::move(*stream);
    port::Timer timer([this] {
      late_ = true;
      stream_->cancel();
    });
    loop_.arm(timer, deadline);
    auto answer = co_await send();
    if (late_)
      co_return fail(ErrorCode::kDeadlineExceeded,
                     fmt::format("no answer within {}", human_duration(call_.timeout)));
    co_return answer;
  }

 private:
  port::Task<Result<cli::AdminAnswer>> send() {
    std::string request;
    http::append_request_line(request, call_.method, call_.path);
    http::append_header(request, "host", fmt::format("{}:{}", call_.host, call_.port));
    http::append_header(request, "connection", "close");
    if (!call_.body.empty()) http::append_header(request, "content-type", "application/json");
    http::append_content_length(request, call_.body.size());
    http::append_head_end(request);
    request += call_.body;
    std::string_view rest = request;
    while (!rest.empty()) {
      const port::IoResult sent = stream_->try_write(std::span(&rest, 1));
      if (sent.status == port::IoStatus::kOk) {
        rest.remove_prefix(sent.bytes);
      } else if (sent.status != port::IoStatus::kWouldBlock ||
                 co_await stream_->writable() != port::IoStatus::kOk) {
        co_return std::unexpected(lost("the connection broke"));
      }
    }
    co_return co_await receive();
  }

  port::Task<Result<cli::AdminAnswer>> receive() {
    http::ResponseHeadParser parser;
    std::string text;
    std::optional<http::BodyDecoder> body;
    cli::AdminAnswer answer;
    std::array<char, 16384> block;
    while (true) {
      const port::IoResult got = stream_->try_read(block);
      if (got.status == port::IoStatus::kWouldBlock) {
        if (co_await stream_->readable() != port::IoStatus::kOk)
          co_return std::unexpected(lost("the connection broke"));
        continue;
      }
      if (got.status != port::IoStatus::kOk) {
        const bool whole = body && body->finish_on_eof() == http::BodyEof::kClean;
        if (!whole) co_return std::unexpected(lost("the connection ended before the answer did"));
        co_return answer;
      }
      std::string_view bytes(block.data(), got.bytes);
      if (!body) {
        text.append(bytes);
        const auto progress = parser.feed(text);
        if (!progress) co_return std::unexpected(lost(progress.error().detail));
        if (progress->state != http::HeadState::kDone) continue;
        answer.status = parser.head().status;
        body.emplace(parser.head());
        bytes = std::string_view(text).substr(progress->consumed);
      }
      while (!body->done() && !bytes.empty()) {
        const http::BodyPiece piece = body->decode(bytes);
        if (piece.state == http::BodyState::kError)
          co_return std::unexpected(lost(body->error().detail));
        answer.body.append(piece.payload);
        bytes.remove_prefix(piece.consumed);
      }
      if (answer.body.size() > kAnswerBytesMax)
        co_return std::unexpected(lost("the answer is over 64 MiB"));
      if (body->done()) co_return answer;
    }
  }

  io::EventLoop& loop_;
  const cli::AdminCall& call_;
  port::StreamPtr stream_;
  bool late_ = false;
};

}  // namespace

cli::CliIo make_cli_io() {
  cli::CliIo io;
  io.out = [](std::string_view text) { write_all(STDOUT_FILENO, text); };
  io.err = [](std::string_view text) { write_all(STDERR_FILENO, text); };
  io.out_is_terminal = ::isatty(STDOUT_FILENO) == 1;
  io.err_is_terminal = ::isatty(STDERR_FILENO) == 1;
  const winsize size = terminal_size();
  io.width = size.ws_col > 0 ? size.ws_col : 80;
  io.height = size.ws_row;
  io.utc_offset = local_offset();
  io.environment = environment();
  io.now = [] {
    return Instant(
        std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
  };
  io.wall_now = [] {
    return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
  };
  io.sleep = interruptible_sleep;
  io.read_file = read_any;
  io.open_folder = [](const std::string& path) -> std::unique_ptr<port::Folder> {
    return std::make_unique<infermesh::io::DiskFolder>(path);
  };
  io.version = kVersion;
  io.commit = kCommit;
  return io;
}

Result<cli::AdminAnswer> HttpAdminClient::call(const cli::AdminCall& call) {
  io::EventLoop loop;
  loop.use_tls(std::make_unique<io::tls::Dialer>(loop));
  Result<cli::AdminAnswer> answer = fail(ErrorCode::kInternal, "the call did not run");
  loop.spawn([](io::EventLoop& running, const cli::AdminCall& asked,
                Result<cli::AdminAnswer>& into) -> port::Task<void> {
    Call exchange(running, asked);
    into = co_await exchange.run();
    running.stop();
  }(loop, call, answer));
  loop.run();
  return answer;
}

}  // namespace infermesh::app

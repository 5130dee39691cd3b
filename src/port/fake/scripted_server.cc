#include "port/fake/scripted_server.h"

#include <algorithm>
#include <array>

#include "base/assert.h"
#include "base/text.h"

namespace infermesh::port::fake {

struct ScriptedServer::State {
  explicit State(World& w) : world(w) {}
  World& world;
  ScriptedMode mode = ScriptedMode::kAnswer;
  std::map<std::string, std::string> answers;
  std::map<std::string, std::size_t> asked;
  std::vector<std::string> requests;
};

namespace {

constexpr std::string_view kHeadEnd = "\r\n\r\n";

std::size_t body_bytes(std::string_view head) {
  for (const std::string_view line : split(head, '\n')) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || !iequals(line.substr(0, colon), "content-length"))
      continue;
    return static_cast<std::size_t>(parse_u64(trim(line.substr(colon + 1))).value_or(0));
  }
  return 0;
}

std::string path_of(std::string_view head) {
  const auto words = split(head.substr(0, head.find('\r')), ' ');
  return words.size() < 2 ? "" : std::string(words[1]);
}

// One request, its body dropped; empty at the end of the stream.
Task<std::string> read_head(Stream& stream, std::string& input) {
  std::array<char, 4096> buffer;
  for (;;) {
    const std::size_t end = input.find(kHeadEnd);
    if (end != std::string::npos) {
      std::string head = input.substr(0, end);
      const std::size_t whole = end + kHeadEnd.size() + body_bytes(head);
      if (input.size() >= whole) {
        input.erase(0, whole);
        co_return head;
      }
    }
    const IoResult got = stream.try_read(buffer);
    if (got.status == IoStatus::kOk) {
      input.append(buffer.data(), got.bytes);
    } else if (got.status != IoStatus::kWouldBlock || co_await stream.readable() != IoStatus::kOk) {
      co_return std::string();
    }
  }
}

Task<bool> write_all(Stream& stream, std::string_view text) {
  while (!text.empty()) {
    const IoResult put = stream.try_write({&text, 1});
    if (put.status == IoStatus::kOk) {
      text.remove_prefix(put.bytes);
    } else if (put.status != IoStatus::kWouldBlock || co_await stream.writable() != IoStatus::kOk) {
      co_return false;
    }
  }
  co_return true;
}

}  // namespace

ScriptedServer::ScriptedServer(World& world, std::string host, std::uint16_t port)
    : world_(world), host_(std::move(host)), port_(port), state_(std::make_shared<State>(world)) {
  start();
}

ScriptedServer::~ScriptedServer() {
  stop();
}

void ScriptedServer::answer(const std::string& path, std::string text) {
  state_->answers[path] = std::move(text);
}

void ScriptedServer::answer(const std::string& path, int status, std::string_view body,
                            std::string_view headers) {
  std::string text = "HTTP/1.1 " + std::to_string(status) + " Scripted\r\n" + std::string(headers);
  text += "content-length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
  answer(path, std::move(text));
}

void ScriptedServer::set_mode(ScriptedMode mode) {
  state_->mode = mode;
}

void ScriptedServer::start() {
  if (listener_) return;
  auto listener = world_.network().listen(host_, port_);
  IM_ASSERT(listener.has_value());
  listener_ = std::move(*listener);
  world_.spawn(accept_all(state_, listener_));
}

void ScriptedServer::stop() {
  if (!listener_) return;
  world_.network().cut(listener_->address());
  listener_->close();
  listener_.reset();
}

Task<void> ScriptedServer::accept_all(std::shared_ptr<State> state,
                                      std::shared_ptr<Listener> listener) {
  for (;;) {
    auto stream = co_await listener->accept();
    if (!stream) co_return;
    state->world.spawn(serve(state, std::move(*stream)));
  }
}

Task<void> ScriptedServer::serve(std::shared_ptr<State> state, StreamPtr stream) {
  std::string input;
  for (;;) {
    const std::string head = co_await read_head(*stream, input);
    if (head.empty()) co_return;
    state->requests.push_back(head);
    const std::string path = path_of(head);
    ++state->asked[path];
    if (state->mode == ScriptedMode::kCloseOnRequest) co_return;
    if (state->mode == ScriptedMode::kSilent) continue;
    const auto found = state->answers.find(path);
    const std::string text = found == state->answers.end()
                                 ? "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"
                                 : found->second;
    if (!co_await write_all(*stream, text)) co_return;
  }
}

std::size_t ScriptedServer::asked(const std::string& path) const {
  const auto found = state_->asked.find(path);
  return found == state_->asked.end() ? 0 : found->second;
}

const std::vector<std::string>& ScriptedServer::requests() const {
  return state_->requests;
}

std::string ScriptedServer::address() const {
  return host_ + ":" + std::to_string(port_);
}

}  // namespace infermesh::port::fake

#include "data/repository/model_control.h"

#include <fmt/format.h>

#include <optional>
#include <vector>

#include "base/text.h"
#include "data/exchange/upstream_head.h"
#include "data/stream/answer_reader.h"
#include "wire/kserve/path.h"

namespace infermesh::data {
namespace {

constexpr std::string_view kEngineHeader = "x-infermesh-engine";

Result<const Endpoint*> choose_engine(const MeshView& view, const http::RequestHead& head) {
  const auto wanted = http::find(head.headers, kEngineHeader);
  std::vector<std::string_view> names;
  const Endpoint* chosen = nullptr;
  for (const auto& endpoint : view.endpoints) {
    if (!endpoint || !endpoint->apis.contains(Api::kInfer)) continue;
    names.push_back(endpoint->name);
    if (!wanted || endpoint->name == *wanted) chosen = &*endpoint;
  }
  if (names.empty()) return fail(ErrorCode::kNoHealthyBackend, "No engine speaks KServe.");
  const std::string all = fmt::format("{}", fmt::join(names, ", "));
  if (chosen == nullptr) {
    return fail(ErrorCode::kInvalidField,
                fmt::format("{} is '{}'; the engines that speak KServe are {}.", kEngineHeader,
                            wanted->substr(0, 200), all),
                std::string(kEngineHeader));
  }
  if (!wanted && names.size() > 1) {
    return fail(
        ErrorCode::kInvalidField,
        fmt::format("This acts on one engine: name it in the header {} ({}).", kEngineHeader, all),
        std::string(kEngineHeader));
  }
  return chosen;
}

class ControlCall {
 public:
  ControlCall(const ControlParts& parts, MeshViewPtr view, const Endpoint& engine)
      : parts_(parts), view_(std::move(view)), engine_(engine) {}

  port::Task<Result<void>> connect() {
    const config::Settings& settings = parts_.shard.settings;
    const Instant now = parts_.shard.loop.now();
    parts_.waiter.total_deadline = now + settings.total_timeout;
    parts_.waiter.phase_deadline = kNever;
    parts_.waiter.watch_client = true;
    Dial dial =
        parts_.shard.upstream.dial(engine_, now + settings.connect_timeout, parts_.waiter.wake);
    while (!dial.ended()) {
      const Wake woken = co_await parts_.waiter.wait();
      if (auto goes_on = look_at(woken); !goes_on) co_return std::unexpected(goes_on.error());
    }
    auto made = dial.take();
    if (!made) co_return std::unexpected(made.error());
    connection_ = std::move(*made);
    connection_->stream.attach(&parts_.waiter.wake);
    co_return Result<void>{};
  }

  port::Task<Result<ControlAnswer>> converse(std::string request) {
    OutBuffer out(connection_->stream);
    out.write(request);
    connection_->stream.expect_read();
    while (!reader_) {
      if (out.blocked() && connection_->stream.may_write()) out.flush();
      auto read = read_head();
      if (!read) co_return std::unexpected(read.error());
      if (*read) continue;
      const Wake woken = co_await parts_.waiter.wait();
      if (auto goes_on = look_at(woken); !goes_on) co_return std::unexpected(goes_on.error());
    }
    co_return co_await read_body();
  }

 private:
  Result<void> look_at(Wake woken) const {
    switch (woken) {
      case Wake::kProgress:
      case Wake::kKeepalive:
        return {};
      case Wake::kPhaseDeadline:
      case Wake::kTotalDeadline:
        return fail(ErrorCode::kDeadlineExceeded,
                    fmt::format("{} has not answered.", engine_.name));
      case Wake::kStopped:
        return fail(ErrorCode::kDraining, "This router stops and could not wait longer.");
      default:
        return fail(ErrorCode::kClientClosed, "The client is gone.");
    }
  }

  // True: some of it has come.
  Result<bool> read_head() {
    if (!connection_->stream.may_read()) return false;
    std::span<char> scratch = parts_.shard.scratch;
    const port::IoResult got = connection_->stream.read(scratch);
    if (got.status == port::IoStatus::kWouldBlock) return false;
    if (got.status != port::IoStatus::kOk)
      return fail(ErrorCode::kUpstreamReset,
                  fmt::format("{}: the connection was closed before an answer", engine_.name));
    text_.append(scratch.data(), got.bytes);
    const auto progress = parser_.feed(text_);
    if (!progress) return fail(ErrorCode::kUpstreamBadResponse, progress.error().detail);
    if (progress->state == http::HeadState::kDone) {
      reader_.emplace(connection_->stream, http::BodyDecoder(parser_.head()),
                      text_.substr(progress->consumed));
    }
    return true;
  }

  port::Task<Result<ControlAnswer>> read_body() {
    ControlAnswer answer;
    answer.status = parser_.head().status;
    answer.content_type = http::find(parser_.head().headers, "content-type").value_or("");
    answer.engine = engine_.name;
    while (answer.body.size() <= kControlAnswerMax) {
      const AnswerReader::Piece piece = reader_->next(parts_.shard.scratch);
      if (piece.state == AnswerReader::State::kEnd) co_return answer;
      if (piece.state == AnswerReader::State::kPayload) {
        answer.body.append(piece.payload);
        continue;
      }
      if (piece.state != AnswerReader::State::kNothing) break;
      reader_->keep();
      const Wake woken = co_await parts_.waiter.wait();
      if (auto goes_on = look_at(woken); !goes_on) co_return std::unexpected(goes_on.error());
    }
    co_return fail(ErrorCode::kUpstreamBadResponse,
                   fmt::format("{}: its answer is broken or too long", engine_.name));
  }

  const ControlParts& parts_;
  MeshViewPtr view_;  // holds the engine
  const Endpoint& engine_;
  UpstreamConnectionPtr connection_;
  std::string text_;
  http::ResponseHeadParser parser_;
  std::optional<AnswerReader> reader_;
};

}  // namespace

port::Task<Result<ControlAnswer>> pass_control(ControlParts parts) {
  MeshViewPtr view = parts.shard.view;
  const auto engine = choose_engine(*view, parts.head);
  if (!engine) co_return std::unexpected(engine.error());
  UpstreamHead upstream;
  std::string path(parts.head.path);
  if (const Model* model = view->find_model(parts.model); model != nullptr)
    path = kserve::with_model(path, model->served_name);
  upstream.path = path;
  upstream.query = parts.head.query;
  upstream.authority = (*engine)->authority;
  upstream.api_key = (*engine)->api_key;
  upstream.request_id = parts.request_id;
  upstream.content_length = parts.body.size();
  std::string request = make_upstream_head(parts.head, upstream).append(parts.body);
  ControlCall call(parts, std::move(view), **engine);
  if (auto connected = co_await call.connect(); !connected)
    co_return std::unexpected(connected.error());
  co_return co_await call.converse(std::move(request));
}

}  // namespace infermesh::data

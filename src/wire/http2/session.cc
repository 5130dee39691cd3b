#include "wire/http2/session.h"

#include <fmt/format.h>
#include <nghttp2/nghttp2.h>

#include <array>
#include <vector>

#include "base/assert.h"
#include "base/text.h"
#include "wire/http2/callbacks.h"

namespace infermesh::http2 {
namespace {

constexpr std::size_t kOutboundAcksMax = 256;  // answers to SETTINGS and PING not yet written
constexpr std::size_t kContinuationsMax = 8;
constexpr std::uint32_t kNoRfc7540Priorities = NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES;

std::uint8_t* bytes_of(std::string_view text) {
  return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));
}

std::vector<nghttp2_nv> pairs_of(const http::Headers& fields) {
  std::vector<nghttp2_nv> pairs;
  pairs.reserve(fields.size());
  for (const http::Header& field : fields) {
    pairs.push_back({bytes_of(field.name), bytes_of(field.value), field.name.size(),
                     field.value.size(), NGHTTP2_NV_FLAG_NONE});
  }
  return pairs;
}

nghttp2_session* make_session(Session::Role role, const nghttp2_session_callbacks* callbacks,
                              Session* self) {
  nghttp2_option* option = nullptr;
  IM_ASSERT(nghttp2_option_new(&option) == 0);
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_no_closed_streams(option, 1);
  nghttp2_option_set_max_outbound_ack(option, kOutboundAcksMax);
  nghttp2_option_set_max_continuations(option, kContinuationsMax);
  // FloodGuard counts resets; nghttp2 would do it by the machine's clock.
  nghttp2_option_set_stream_reset_rate_limit(option, UINT64_C(1) << 60, 0);
  nghttp2_session* session = nullptr;
  const int made = role == Session::Role::kServer
                       ? nghttp2_session_server_new2(&session, callbacks, self, option)
                       : nghttp2_session_client_new2(&session, callbacks, self, option);
  nghttp2_option_del(option);
  IM_ASSERT(made == 0);
  return session;
}

}  // namespace

Session::Session(Role role, const Limits& limits, SessionPeer& peer)
    : peer_(peer), role_(role), limits_(limits), guard_(limits.floods) {
  session_ = make_session(role, session_callbacks(), this);
  const std::array<nghttp2_settings_entry, 5> settings{{
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, role == Role::kServer ? limits.streams_max : 0},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits.stream_window},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<std::uint32_t>(limits.head_bytes_max)},
      {kNoRfc7540Priorities, 1},
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},  // the client's only
  }};
  const std::size_t count = role == Role::kServer ? settings.size() - 1 : settings.size();
  IM_ASSERT(nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), count) == 0);
  IM_ASSERT(nghttp2_session_set_local_window_size(
                session_, NGHTTP2_FLAG_NONE, 0,
                static_cast<std::int32_t>(limits.connection_window)) == 0);
}

Session::~Session() {
  nghttp2_session_del(session_);
}

bool Session::feed(std::string_view bytes, Instant now) {
  now_ = now;
  const ssize_t taken = nghttp2_session_mem_recv(session_, bytes_of(bytes), bytes.size());
  if (taken == NGHTTP2_ERR_FLOODED) spend(false);
  return taken >= 0;
}

void Session::produce(std::string& out, std::size_t enough) {
  sink_ = &out;
  enough_ = enough;
  while (out.size() < enough) {
    const std::uint8_t* data = nullptr;
    const std::size_t before = out.size();
    const ssize_t count = nghttp2_session_mem_send(session_, &data);
    if (count > 0) out.append(reinterpret_cast<const char*>(data), static_cast<std::size_t>(count));
    if (count < 0 || out.size() == before) break;
  }
  sink_ = nullptr;
}

bool Session::over() const {
  return nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0;
}

bool Session::has_output() const {
  return nghttp2_session_want_write(session_) != 0;
}

StreamPeer* Session::peer_of(StreamId id) const {
  return static_cast<StreamPeer*>(nghttp2_session_get_stream_user_data(session_, id));
}

bool Session::spend(bool within_limit) {
  if (within_limit || flooded_) return within_limit;
  flooded_ = true;
  nghttp2_session_terminate_session(session_, NGHTTP2_ENHANCE_YOUR_CALM);
  return false;
}

Result<StreamId> Session::request(const http::Headers& fields, StreamPeer& peer, Body body) {
  const auto pairs = pairs_of(fields);
  nghttp2_data_provider provider{{.ptr = nullptr}, read_offer};
  const StreamId id = nghttp2_submit_request(session_, nullptr, pairs.data(), pairs.size(),
                                             body == Body::kFollows ? &provider : nullptr, &peer);
  if (id < 0)
    return fail(ErrorCode::kUpstreamConnectFailed,
                fmt::format("The connection takes no stream: {}.", nghttp2_strerror(id)));
  return id;
}

std::size_t Session::streams_allowed() const {
  if (nghttp2_session_check_request_allowed(session_) == 0) return 0;
  return nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

void Session::respond(StreamId id, const http::Headers& fields, Body body) {
  const auto pairs = pairs_of(fields);
  nghttp2_data_provider provider{{.ptr = nullptr}, read_offer};
  nghttp2_submit_response(session_, id, pairs.data(), pairs.size(),
                          body == Body::kFollows ? &provider : nullptr);
}

void Session::interim(StreamId id, int status) {
  const std::string text = std::to_string(status);
  const auto pairs = pairs_of({{":status", text}});
  nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, id, nullptr, pairs.data(), pairs.size(),
                         nullptr);
}

void Session::resume(StreamId id) {
  nghttp2_session_resume_data(session_, id);
}

void Session::reset(StreamId id, Code code) {
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, static_cast<std::uint32_t>(code));
}

void Session::forget(StreamId id) {
  nghttp2_session_set_stream_user_data(session_, id, nullptr);
}

void Session::consume(StreamId id, std::size_t bytes) {
  nghttp2_session_consume_stream(session_, id, bytes);
}

void Session::consume_connection(std::size_t bytes) {
  nghttp2_session_consume_connection(session_, bytes);
}

void Session::ping() {
  nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
}

void Session::announce_shutdown() {
  nghttp2_submit_shutdown_notice(session_);
}

void Session::go_away(Code code) {
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(session_),
                        static_cast<std::uint32_t>(code), nullptr, 0);
}

}  // namespace infermesh::http2

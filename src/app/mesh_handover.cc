// A restart without loss: how a mesh takes the listening sockets from an earlier process, and gives
// its own to a later one.
#include <fmt/format.h>

#include <algorithm>

#include "app/mesh.h"
#include "app/version.h"
#include "io/listening.h"

namespace infermesh::app {

using handover::Say;
using handover::Word;

Result<void> Mesh::take_sockets() {
  if (settings_.handover.empty()) return {};
  constexpr std::size_t kShardsMax = io::MessageSocket::kDescriptorsMax - 1;
  if (shards_->count() > kShardsMax) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("handover passes the sockets of at most {} shards, and here are {}; "
                            "set fewer shards, or no handover",
                            kShardsMax, shards_->count()));
  }
  auto takeover = Takeover::ask(loop_, settings_.handover, kVersion);
  if (!takeover) return std::unexpected(takeover.error());
  takeover_ = std::move(*takeover);
  if (!takeover_) return {};
  log_.info(loop_.wall_now(), "taking over",
            {{"process", takeover_->offer.pid}, {"version", takeover_->offer.version}});
  return {};
}

// Those of the earlier process, or new ones.
Result<void> Mesh::open_listeners() {
  std::vector<io::Descriptor> taken;
  if (takeover_) taken = std::move(takeover_->inference);
  auto inference = shards_->listen(settings_.listen, std::move(taken));
  if (!inference) return std::unexpected(inference.error());
  process_.inference_listeners = {*inference};
  const auto& [host, port] = settings_.admin_listen;
  io::Descriptor admin;
  if (takeover_) {
    admin = std::move(takeover_->admin);
    const auto found = io::address_of_listening(admin, host, port);
    if (!found) return std::unexpected(found.error());
  } else {
    auto opened = io::open_listening(host, port, io::Sharing::kAlone);
    if (!opened) return std::unexpected(opened.error());
    admin = std::move(*opened);
  }
  admin_socket_ = admin.get();
  admin_listener_ = io::listener_of(loop_, std::move(admin));
  process_.admin_listeners = {admin_listener_->address()};
  admin_ = std::make_unique<control::AdminServer>(loop_, admin_routes());
  return {};
}

port::Task<void> Mesh::take_over() {
  co_await await_models();
  if (stopping_) co_return;
  const std::vector<std::string> lacking = missing_models();
  const std::string missing = fmt::format("{}", fmt::join(lacking, ", "));
  if (!lacking.empty() && lacking.size() == takeover_->offer.models.size()) {
    co_return give_up(
        fmt::format("cannot take over from process {}: after {} no engine is ready for any model "
                    "that it serves ({}), so it goes on; are the engines named as they are there?",
                    takeover_->offer.pid, human_duration(settings_.handover_wait), missing));
  }
  if (!missing.empty()) {
    log_.warn(loop_.wall_now(), "taking over without models that the earlier process serves",
              {{"models", missing}});
  }
  if (const auto offered = takeover_->still_offered(); !offered) {
    co_return give_up(offered.error().detail);
  }
  if (const auto served = serve(); !served) co_return give_up(served.error().detail);
  const auto heard = co_await takeover_->announce();
  if (stopping_) co_return;
  if (heard && heard->say == Say::kRefuse) {
    log_.error(loop_.wall_now(), "the earlier process goes on, so this one ends",
               {{"why", heard->why}});
    exit_code_ = 2;
    co_return stop();
  }
  if (!heard) {
    log_.warn(loop_.wall_now(), "the earlier process has not said that it leaves",
              {{"process", takeover_->offer.pid}, {"why", heard.error().detail}});
  }
  takeover_.reset();
  if (const auto opened = open_desk(); !opened) {
    log_.error(loop_.wall_now(), opened.error().detail);
  }
}

// Until all that the earlier process serves can be served here, or handover_wait is over.
port::Task<void> Mesh::await_models() {
  const Instant until = loop_.now() + settings_.handover_wait;
  port::Timer timer([this] { view_changed_.set(); });
  loop_.arm(timer, until);
  while (!stopping_ && !missing_models().empty() && loop_.now() < until) {
    co_await view_changed_.wait();
  }
}

// Before any connection has been taken.
void Mesh::give_up(const std::string& why) {
  log_.error(loop_.wall_now(), why);
  exit_code_ = 2;
  stopping_ = true;
  loop_.stop();
}

Result<void> Mesh::open_desk() {
  if (settings_.handover.empty()) return {};
  HandoverDesk::Hooks hooks;
  hooks.offer = [this] {
    HandoverDesk::Offer offer{ready_models(), shards_->sockets()};
    offer.sockets.push_back(admin_socket_);
    return offer;
  };
  hooks.taken = [this](const Word& successor) { hand_over(successor); };
  hooks.failed = [this](const std::string& why) {
    log_.warn(loop_.wall_now(), "a process has not taken over, this one goes on", {{"why", why}});
  };
  desk_ = std::make_unique<HandoverDesk>(loop_, kVersion, std::move(hooks));
  return desk_->open(settings_.handover);
}

// A client between two requests gets half of the time to begin another: its answer says that the
// connection ends.
void Mesh::hand_over(const Word& successor) {
  if (stopping_) return;
  stopping_ = true;
  banner_.handed_over(successor.pid);
  log_.info(loop_.wall_now(), "another process has taken over, draining",
            {{"process", successor.pid},
             {"version", successor.version},
             {"at_most", format_duration(settings_.drain_timeout)}});
  admin_listener_->close();
  admin_->leave();
  drain_shards(settings_.drain_timeout / 2);
}

std::vector<std::string> Mesh::ready_models() const {
  const auto is_ready = [this](EndpointId id) {
    const Endpoint* endpoint = view_->endpoint(id);
    return endpoint != nullptr && endpoint->state == EndpointState::kReady;
  };
  std::vector<std::string> names;
  for (const Model& model : view_->models) {
    if (std::any_of(model.endpoints.begin(), model.endpoints.end(), is_ready)) {
      names.push_back(model.name);
    }
  }
  return names;
}

std::vector<std::string> Mesh::missing_models() const {
  const std::vector<std::string> have = ready_models();
  std::vector<std::string> missing;
  for (const std::string& name : takeover_->offer.models) {
    if (std::find(have.begin(), have.end(), name) == have.end()) missing.push_back(name);
  }
  return missing;
}

}  // namespace infermesh::app

#include "app/mesh.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <csignal>
#include <cstdlib>

#include "app/version.h"
#include "config/objects.h"
#include "core/model/engine_url.h"
#include "io/tls/dialer.h"

namespace infermesh::app {
namespace {

constexpr Duration kNothingFoundAfter = 1500ms;
constexpr Duration kAdminRest = 1s;  // for admin answers that are under way at the end

std::size_t shard_count(const config::Settings& settings) {
  if (settings.shards > 0) return settings.shards;
  return std::max(1u, std::thread::hardware_concurrency());
}

obs::LogLevel level_of(config::LogLevel level) {
  return static_cast<obs::LogLevel>(level);
}
obs::LogFormat format_of(config::LogFormat format) {
  return static_cast<obs::LogFormat>(format);
}

Result<std::unique_ptr<obs::AccessLog>> open_access_log(const std::string& where) {
  if (where == "off") return nullptr;
  int descriptor = where == "stdout" ? STDOUT_FILENO : STDERR_FILENO;
  if (where != "stdout" && where != "stderr") {
    descriptor = ::open(where.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (descriptor < 0) {
      return fail(ErrorCode::kInvalidConfig,
                  fmt::format("cannot append to the access log {}; choose another path", where));
    }
  }
  return std::make_unique<obs::AccessLog>(descriptor);
}

signal::KeeperSettings keeper_settings(const config::Settings& settings) {
  signal::KeeperSettings keeper;
  keeper.poll.interval_min = settings.poll_interval_min;
  keeper.poll.interval_max = settings.poll_interval_max;
  keeper.poll.timeout = settings.poll_timeout;
  keeper.pool_default = config::default_pool(settings);
  keeper.policy_default = config::default_policy(settings);
  keeper.forget_after = settings.discover_forget_after;
  return keeper;
}

// Whether a loopback URL is this listener, which may take all addresses.
bool is_listener(const std::string& listener, const EngineUrl& url) {
  const auto address = split_host_port(listener, PortRule::kRequired);
  if (!address || address->port != url.port) return false;
  constexpr std::array<std::string_view, 5> kReached{"", "0.0.0.0", "::", "127.0.0.1", "localhost"};
  return std::find(kReached.begin(), kReached.end(), address->host) != kReached.end();
}

std::string join_ports(const std::vector<std::uint16_t>& ports) {
  return fmt::format("{}", fmt::join(ports, " "));
}

}  // namespace

Mesh::Mesh(config::Settings settings, config::Command command, Banner::Write write)
    : settings_(std::move(settings)),
      command_(command),
      log_(STDERR_FILENO, level_of(settings_.log_level), format_of(settings_.log_format)),
      metrics_(shard_count(settings_) + 1),
      loads_(std::make_unique<LoadTable>()),
      prefixes_(Bytes(static_cast<std::int64_t>(settings_.prefix_index_bytes))),
      banner_(std::move(write)),
      view_(std::make_shared<const MeshView>()) {
  config::resolve_auto(settings_, command);
  process_.version = kVersion;
  process_.commit = kCommit;
  process_.objects_path = settings_.objects;
  process_.started = loop_.now();
  started_wall_ = loop_.wall_now();
  loop_.use_tls(std::make_unique<io::tls::Dialer>(loop_));
}

Mesh::~Mesh() = default;

int Mesh::run() {
  banner_.title(kVersion);
  if (const auto started = start(); !started) {
    log_.error(loop_.wall_now(), started.error().detail);
    loop_.end_tasks();
    return 2;
  }
  loop_.spawn(await_signals());
  loop_.run();
  loop_.end_tasks();
  discovery_.reset();
  keeper_.reset();
  shards_.reset();
  return exit_code_;
}

Result<void> Mesh::start() {
  auto access_log = open_access_log(settings_.access_log);
  if (!access_log) return std::unexpected(access_log.error());
  access_log_ = std::move(*access_log);
  IM_TRY(load_tls());
  const std::size_t count = shard_count(settings_);
  auto tracing = Tracing::make(settings_, {loop_, metrics_.set(count), log_});
  if (!tracing) return std::unexpected(tracing.error());
  tracing_ = std::move(*tracing);
  process_.shards = static_cast<std::uint32_t>(count);
  shards_ = std::make_unique<Shards>(
      count, Shards::Shared{settings_, *loads_, prefixes_, metrics_, access_log_.get(), log_,
                            tracing_ ? &tracing_->queue() : nullptr,
                            [this](const Outcome& outcome) {
                              loop_.post([this, outcome] {
                                if (keeper_) keeper_->on_outcome(outcome);
                              });
                            },
                            tls_ ? &tls_->server() : nullptr});
  keeper_ = std::make_unique<signal::MeshKeeper>(
      loop_, keeper_settings(settings_), *loads_, *this, [](const std::string& name) {
        const char* value = std::getenv(name.c_str());
        return std::string(value == nullptr ? "" : value);
      });
  IM_TRY(take_sockets());
  if (auto opened = open_listeners(); !opened) {
    if (takeover_) return std::unexpected(takeover_->failure(opened.error()));
    return opened;
  }
  IM_TRY(add_command_line_engines());
  keeper_->start();
  watch_objects();
  if (tracing_) tracing_->start();
  shards_->start();
  discover();
  if (takeover_) {
    loop_.spawn(take_over());
    return {};
  }
  IM_TRY(open_desk());
  return serve();
}

// Takes requests from now on, and says so.
Result<void> Mesh::serve() {
  IM_TRY(shards_->bind_rest());
  if (!settings_.ready_file.empty()) {
    const boost::json::object ready{{"listen", process_.inference_listeners.front()},
                                    {"admin", process_.admin_listeners.front()},
                                    {"pid", ::getpid()}};
    IM_TRY(io::write_file(settings_.ready_file, boost::json::serialize(ready) + "\n"));
  }
  serving_ = true;
  shards_->accept();
  loop_.spawn(admin_->serve(*admin_listener_));
  banner_.set_addresses(
      (tls_ ? "https://" : "http://") + process_.inference_listeners.front(),
      process_.admin_listeners.front(),
      settings_.discover == config::Discover::kOn ? join_ports(settings_.discover_ports) : "",
      loop_.now() - process_.started);
  banner_.show(*view_);
  loop_.spawn([](Mesh& mesh) -> port::Task<void> {
    co_await mesh.loop_.sleep_until(mesh.loop_.now() + kNothingFoundAfter);
    if (!mesh.stopping_) mesh.banner_.show_nothing_found();
  }(*this));
  log_.info(loop_.wall_now(), "serving",
            {{"listen", process_.inference_listeners.front()},
             {"admin", process_.admin_listeners.front()},
             {"shards", shards_->count()}});
  return {};
}

Result<void> Mesh::load_tls() {
  auto options = tls_server_options(settings_);
  if (!options) return std::unexpected(options.error());
  if (!*options) return {};
  tls_ = std::make_unique<TlsKeeper>(loop_, std::move(**options),
                                     [this](const Result<void>& result) { tell_of_tls(result); });
  return tls_->start();
}

void Mesh::tell_of_tls(const Result<void>& reloaded) {
  const std::string_view word = reloaded ? "ok" : "refused";
  metrics_.set(shards_->count()).counter(obs::CounterId::kTlsReloads, {word}).add();
  if (!reloaded) {
    return log_.error(loop_.wall_now(), "certificate files refused, the old ones stay in use",
                      {{"why", reloaded.error().detail}});
  }
  for (const control::CertificateInfo& certificate : tls_->certificates()) {
    log_.info(loop_.wall_now(), "certificate read again",
              {{"file", certificate.file},
               {"names", certificate.names},
               {"expires", format_wall_time(certificate.expires)}});
  }
}

// What can change without a restart, looked at now.
void Mesh::reload() {
  log_.info(loop_.wall_now(), "SIGHUP: reading objects and certificates again");
  if (tls_) tls_->reload();
  if (objects_) objects_->look();
}

Result<void> Mesh::add_command_line_engines() {
  std::size_t number = 1;
  for (const std::string& url : settings_.engine) {
    IM_TRY(keeper_->add_engine(fmt::format("e{}", number++), url));
  }
  return {};
}

// Taking the objects is part of reading them: what the mesh cannot take is refused like what cannot
// be read.
void Mesh::watch_objects() {
  if (settings_.objects.empty()) return;
  folder_ = std::make_unique<io::DiskFolder>(settings_.objects);
  control::ObjectFolder::Hooks hooks;
  hooks.parse =
      [this](std::span<const port::FileText> files) -> std::expected<ObjectSet, config::Problems> {
    std::vector<config::ObjectText> texts;
    for (const port::FileText& file : files)
      texts.push_back({settings_.objects + "/" + file.name, file.text});
    auto objects = config::read_objects(texts, config::default_pool(settings_));
    if (!objects) return objects;
    if (const auto taken = keeper_->set_objects(*objects); !taken) {
      return std::unexpected(
          config::Problems{config::Problem{settings_.objects, 0, 0, taken.error().detail}});
    }
    return objects;
  };
  hooks.apply = [this](const ObjectSet&) {
    metrics_.set(shards_->count())
        .gauge(obs::GaugeId::kObjectsGeneration)
        .set(static_cast<double>(objects_->applied()));
  };
  hooks.refuse = [this](const control::ObjectRefusal& refusal) {
    metrics_.set(shards_->count()).counter(obs::CounterId::kObjectsRefused).add();
    for (const std::string& problem : refusal.problems) {
      log_.error(loop_.wall_now(), "objects refused, the old ones stay in force",
                 {{"why", problem}});
    }
  };
  objects_ = std::make_unique<control::ObjectFolder>(loop_, *folder_, std::move(hooks),
                                                     settings_.objects_interval);
  objects_->start();
}

void Mesh::discover() {
  if (settings_.discover != config::Discover::kOn) return;
  signal::DiscoverySettings discovery;
  discovery.ports = settings_.discover_ports;
  discovery_ = std::make_unique<signal::Discovery>(
      loop_, discovery,
      [this](const std::string& url) {
        const auto address = parse_engine_url(url);
        return keeper_->knows(url) ||
               (address && (is_listener(process_.inference_listeners.front(), *address) ||
                            is_listener(process_.admin_listeners.front(), *address)));
      },
      [this](const signal::DiscoveredEngine& found) {
        const auto added = keeper_->add_engine(found.name, found.url, found.finding.runtime,
                                               signal::Origin::kDiscovered);
        if (!added) log_.warn(loop_.wall_now(), added.error().detail);
      });
}

port::Task<void> Mesh::await_signals() {
  bool asked = false;
  while (true) {
    const int number = co_await signals_.next();
    // A terminal that closes hangs up on `up`; a service manager asks `run` to read its files.
    if (number == SIGHUP && command_ == config::Command::kRun) {
      reload();
    } else if (!std::exchange(asked, true)) {
      if (!stopping_) stop();
    } else {
      std::_Exit(130);  // asked twice: at once
    }
  }
}

void Mesh::stop() {
  stopping_ = true;
  banner_.stopping();
  log_.info(loop_.wall_now(), "draining", {{"at_most", format_duration(settings_.drain_timeout)}});
  if (desk_) desk_->close();
  view_changed_.set();
  drain_shards(Duration::zero());
}

void Mesh::drain_shards(Duration idle) {
  shards_->drain({settings_.drain_timeout, idle}, [this] {
    loop_.post([this] {
      if (!tracing_) return loop_.spawn(finish());
      tracing_->stop([this] { loop_.spawn(finish()); });
    });
  });
}

port::Task<void> Mesh::finish() {
  log_.info(loop_.wall_now(), "stopped");
  admin_listener_->close();
  admin_->stop();
  const Instant until = loop_.now() + kAdminRest;
  while (admin_->connections() > 0 && loop_.now() < until) {
    co_await loop_.sleep_until(loop_.now() + 5ms);
  }
  loop_.stop();
}

// An ejection counts when it begins; half open it is still the same one.
void Mesh::count_ejections(const MeshView& view) {
  for (const Ejection& ejection : view.ejections) {
    if (view_->find_ejection(ejection.endpoint, ejection.model) != nullptr) continue;
    const Endpoint* endpoint = view.endpoint(ejection.endpoint);
    if (endpoint == nullptr || ejection.model.value >= view.models.size()) continue;
    const std::string& model = view.models[ejection.model.value].name;
    metrics_.set(shards_->count())
        .counter(obs::CounterId::kEjections, {endpoint->name, model})
        .add();
    log_.warn(loop_.wall_now(), "engine is out for a model",
              {{"engine", endpoint->name}, {"model", model}, {"why", ejection.reason}});
  }
}

void Mesh::on_view(MeshViewPtr view) {
  count_ejections(*view);
  if (view->generation != view_->generation) process_.view_since = loop_.now();
  view_ = std::move(view);
  shards_->set_view(view_);
  view_changed_.set();
  if (serving_) banner_.show(*view_);
}

void Mesh::on_cache_lost(EndpointId endpoint) {
  prefixes_.forget(endpoint);
}

void Mesh::on_cache_size(EndpointId endpoint, Tokens tokens) {
  const std::uint64_t bytes =
      static_cast<std::uint64_t>(tokens.value) * 4;  // as everywhere: a token is four bytes
  prefixes_.set_capacity(endpoint, bytes / settings_.prefix_block_bytes);
}

void Mesh::on_load_read(const std::string& engine, signal::LoadRead result) {
  const std::string_view word = result == signal::LoadRead::kOk ? "ok" : "failed";
  metrics_.set(shards_->count()).counter(obs::CounterId::kPolls, {engine, word}).add();
}

void Mesh::on_event(const signal::MeshEvent& event) {
  const bool bad =
      event.kind == signal::EventKind::kObjectsRefused || event.kind == signal::EventKind::kNote;
  const auto level = bad ? obs::LogLevel::kWarn : obs::LogLevel::kInfo;
  if (event.engine.empty()) return log_.write(event.at, level, event.text);
  log_.write(event.at, level, event.text, {{"engine", event.engine}});
}

}  // namespace infermesh::app

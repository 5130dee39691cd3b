// Mesh: `infermesh up` and `infermesh run`: the planes of one process put together. The calling
// thread runs the loop of signal, control and admin; each shard has its own.
#pragma once

#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include "app/banner.h"
#include "app/handover.h"
#include "app/shards.h"
#include "app/tls_keeper.h"
#include "app/tracing.h"
#include "config/loader.h"
#include "control/admin_json.h"
#include "control/admin_server.h"
#include "control/object_folder.h"
#include "core/prefix/prefix_index.h"
#include "io/event_loop.h"
#include "io/folder.h"
#include "io/signals.h"
#include "obs/access_log.h"
#include "obs/log.h"
#include "obs/metrics.h"
#include "signal/engine/discovery.h"
#include "signal/engine/mesh_keeper.h"

namespace infermesh::app {

class Mesh final : public signal::MeshSink {
 public:
  Mesh(config::Settings settings, config::Command command, Banner::Write write);
  ~Mesh() override;

  // Until SIGTERM or SIGINT and the drain after it. Exit code: 0, or 2 when it could not start.
  int run();

 private:
  Result<void> start();
  Result<void> serve();
  Result<void> load_tls();
  void tell_of_tls(const Result<void>& reloaded);
  void reload();
  Result<void> add_command_line_engines();
  void watch_objects();
  void discover();
  void stop();
  void drain_shards(Duration idle);
  port::Task<void> finish();  // after the drain
  port::Task<void> await_signals();

  void count_ejections(const MeshView& view);
  void on_view(MeshViewPtr view) override;
  void on_cache_lost(EndpointId endpoint) override;
  void on_cache_size(EndpointId endpoint, Tokens tokens) override;
  void on_event(const signal::MeshEvent& event) override;
  void on_load_read(const std::string& engine, signal::LoadRead result) override;

  // mesh_handover.cc
  Result<void> take_sockets();
  Result<void> open_listeners();
  port::Task<void> take_over();
  port::Task<void> await_models();
  void give_up(const std::string& why);
  Result<void> open_desk();
  void hand_over(const handover::Word& successor);
  std::vector<std::string> ready_models() const;
  std::vector<std::string> missing_models() const;

  // mesh_admin.cc
  std::vector<control::AdminRoute> admin_routes();
  control::MeshMoment moment() const;
  port::Task<void> gather_queues();
  port::Task<void> gather_figures();
  port::Task<control::AdminReply> get_models();
  port::Task<control::AdminReply> get_status();
  port::Task<control::AdminReply> get_metrics();
  port::Task<control::AdminReply> get_pools();
  port::Task<control::AdminReply> get_decision(std::string id);
  port::Task<control::AdminReply> get_decisions();
  port::Task<control::AdminReply> post_route(std::string body);
  control::AdminReply get_ready() const;
  control::AdminReply get_engine(const std::string& name) const;
  control::AdminReply change_drain(const std::string& name, control::DrainChange change);
  std::vector<control::Problem> problems() const;

  config::Settings settings_;
  config::Command command_;
  io::EventLoop loop_;
  io::Signals signals_{loop_, {SIGINT, SIGTERM, SIGHUP}};  // before any thread is made
  obs::Log log_;
  std::unique_ptr<obs::AccessLog> access_log_;
  obs::Metrics metrics_;
  std::unique_ptr<LoadTable> loads_;
  prefix::PrefixIndex prefixes_;
  std::unique_ptr<Tracing> tracing_;  // null: off
  std::unique_ptr<TlsKeeper> tls_;    // null: `listen` is plain
  std::unique_ptr<Shards> shards_;
  std::unique_ptr<signal::MeshKeeper> keeper_;
  std::unique_ptr<io::DiskFolder> folder_;
  std::unique_ptr<control::ObjectFolder> objects_;
  std::unique_ptr<control::AdminServer> admin_;
  std::unique_ptr<port::Listener> admin_listener_;
  int admin_socket_ = -1;  // of admin_listener_
  std::unique_ptr<signal::Discovery> discovery_;
  std::unique_ptr<Takeover> takeover_;  // null: none goes on
  std::unique_ptr<HandoverDesk> desk_;
  port::Wakeup view_changed_;
  Banner banner_;
  MeshViewPtr view_;
  control::ProcessFacts process_;
  WallTime started_wall_{};
  std::vector<std::uint32_t> queued_;
  std::vector<control::ModelFigures> figures_;
  bool serving_ = false, stopping_ = false;
  int exit_code_ = 0;
};

}  // namespace infermesh::app

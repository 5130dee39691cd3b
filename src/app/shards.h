// Shards: the data plane's threads. Each has an event loop and a data::Shard; app hands them
// listeners and views, and asks them for what only their own loop may read.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "core/prefix/response_homes.h"
#include "data/server/server.h"
#include "data/shard/shard.h"
#include "io/descriptor.h"
#include "io/event_loop.h"
#include "io/tls/server.h"
#include "port/wakeup.h"

namespace infermesh::app {

class Shards {
 public:
  struct Shared {  // by all shards; outlives them
    const config::Settings& settings;
    LoadTable& loads;
    prefix::PrefixIndex& prefixes;
    obs::Metrics& metrics;  // writer i is shard i
    obs::AccessLog* access_log;
    obs::Log& log;
    obs::SpanQueue* spans;                       // null: requests are not traced
    std::function<void(const Outcome&)> report;  // from any thread
    const io::tls::TlsServer* tls = nullptr;     // null: clients speak plain HTTP
  };
  Shards(std::size_t count, const Shared& shared);
  ~Shards();  // after drain(), or when start() was never called

  // Binds all shards to one address; answers it with its real port. `taken` are sockets of another
  // process that listens there: each gets a shard that accepts on it. Shards that are left wait for
  // bind_rest(): what the kernel sends to their sockets nobody takes before accept().
  Result<std::string> listen(const config::HostPort& address, std::vector<io::Descriptor> taken);
  Result<void> bind_rest();
  std::vector<int> sockets() const { return sockets_; }  // that listen; borrowed, until drain()
  void start();                                          // the threads; nobody is accepted yet
  void accept();                                         // with the views that were set before
  void set_view(const MeshViewPtr& view);
  // `done` is called on the last shard's thread when no connection is left.
  struct DrainTimes {
    Duration limit;
    Duration idle{0};  // for connections without a request
  };
  void drain(DrainTimes times, std::function<void()> done);

  std::size_t count() const { return threads_.size(); }

  // Runs `ask` on every shard's own loop and answers what they say, in order. Called on `home`.
  template <typename T>
  port::Task<std::vector<T>> ask_all(port::Loop& home, std::function<T(data::Shard&)> ask) {
    struct Asked {
      std::vector<T> answers;
      std::size_t missing;
      port::Wakeup wake;
    };
    auto asked = std::make_shared<Asked>(std::vector<T>(threads_.size()), threads_.size());
    for (std::size_t i = 0; i < threads_.size(); ++i) {
      threads_[i]->loop.post([this, asked, ask, i, &home] {
        auto answer = std::make_shared<T>(ask(*threads_[i]->shard));
        home.post([asked, answer, i] {
          asked->answers[i] = std::move(*answer);
          if (--asked->missing == 0) asked->wake.set();
        });
      });
    }
    co_await asked->wake.wait();
    co_return std::move(asked->answers);
  }

 private:
  struct Thread {
    io::EventLoop loop;
    std::unique_ptr<data::Shard> shard;
    std::unique_ptr<data::Server> server;
    std::vector<io::Descriptor> sockets;  // until accept()
    std::thread thread;
  };
  void add_socket(std::size_t shard, io::Descriptor socket);
  std::unique_ptr<port::Listener> with_tls(std::size_t shard,
                                           std::unique_ptr<port::Listener> plain);

  Shared shared_;
  std::atomic<std::size_t> connections_open_{0};
  prefix::ResponseHomes homes_;
  std::vector<std::unique_ptr<Thread>> threads_;
  config::HostPort address_;  // with its real port
  std::vector<int> sockets_;
  std::atomic<std::size_t> draining_{0};
};

}  // namespace infermesh::app

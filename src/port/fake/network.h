// Network: the in-memory TCP of a world. Streams have a bounded buffer each way, a delay, orderly
// ends and resets as sockets have them; addresses can refuse, fall silent or be cut, as machines
// do.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "port/loop.h"

namespace infermesh::port::fake {

class World;
class Connection;

class Network {
 public:
  static constexpr std::size_t kBacklogMax =
      1024;  // connections not yet accepted; more are refused

  explicit Network(World& world);
  ~Network();

  // Binds host:port; port 0 takes the next free one. kConflict when somebody listens there.
  // "localhost" is "127.0.0.1".
  Result<std::unique_ptr<Listener>> listen(std::string_view host, std::uint16_t port);
  Task<Result<StreamPtr>> connect(Target target, Instant deadline);  // TLS is taken as done

  // Delay of one direction, and bytes under way and unread that a direction holds; for connections
  // made later.
  void set_latency(Duration latency) { latency_ = latency; }
  void set_window(std::size_t bytes) { window_ = bytes; }

  // Addresses are "HOST:PORT". Nothing answers there any more: connects time out (until restore).
  void black_hole(const std::string& address);
  void restore(const std::string& address);
  void cut(const std::string& address);  // resets every connection to it, as a killed process does

  std::size_t connections_made(const std::string& address) const;  // since the beginning
  std::size_t connections_open(const std::string& address) const;

 private:
  friend class NetworkListener;
  struct Backlog {
    std::deque<StreamPtr> waiting;
    std::uint64_t accepting = 0;  // ticket of the one who waits in accept(); 0 = nobody
    bool closed = false;
  };
  Result<StreamPtr> open(const std::string& address);

  World& world_;
  Duration latency_{0};
  std::size_t window_ = std::size_t{64} << 10;
  std::uint16_t next_port_ = 40000;
  std::uint16_t next_client_port_ = 50000;
  std::map<std::string, std::shared_ptr<Backlog>> listeners_;
  std::map<std::string, bool> black_holes_;
  std::map<std::string, std::size_t> made_;
  std::multimap<std::string, std::weak_ptr<Connection>> connections_;
};

}  // namespace infermesh::port::fake

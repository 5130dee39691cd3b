// Discovery: zero configuration. Looks at the default loopback ports of the runtimes every few
// seconds, one port after the other, and reports each engine it finds that is not known. It goes on
// looking, so that one that was forgotten is reported when it is there again. Lives on the signal
// loop; stops when destroyed.
//
// Care: a port that refuses costs one connect a round; one that answers as something else is looked
// at again only after `other_interval`; routers, this program's own listeners included, are never
// taken for engines. Known engines are skipped, so that nobody probes what a poller watches.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "port/loop.h"
#include "wire/engine/detect.h"

namespace infermesh::signal {

struct DiscoverySettings {
  std::string host = "127.0.0.1";
  std::vector<std::uint16_t> ports{8000, 8080, 9931, 11434, 23333, 30000};
  Duration interval = 2s;    // between rounds
  Duration timeout = 500ms;  // of one GET
  Duration other_interval =
      30s;  // until a server that is no engine, or not wanted, is looked at again
};

struct DiscoveredEngine {
  std::string name;  // "vllm-8000"
  std::string url;   // "http://127.0.0.1:8000"
  engines::Finding finding;
};

class DiscoveryTask;

class Discovery {
 public:
  using OnFound = std::function<void(const DiscoveredEngine&)>;
  // Whether a URL needs no look: an engine already known, or a listener of this process.
  using IsKnown = std::function<bool(const std::string& url)>;

  // `loop` is borrowed and outlives it.
  Discovery(port::Loop& loop, DiscoverySettings settings, IsKnown is_known, OnFound on_found);
  ~Discovery();
  Discovery(const Discovery&) = delete;
  Discovery& operator=(const Discovery&) = delete;

 private:
  std::shared_ptr<DiscoveryTask> task_;
};

}  // namespace infermesh::signal

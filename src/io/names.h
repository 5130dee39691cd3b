// Names: looks host names up without holding the loop: getaddrinfo() blocks, so each lookup has a
// thread of its own, at most kLookupsMax at a time in a loop. Used on the loop's thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "io/address.h"
#include "port/loop.h"

namespace infermesh::io {

class Names {
 public:
  static constexpr int kLookupsMax = 32;

  explicit Names(port::Loop& loop);
  ~Names();  // does not wait for lookups; what they find is dropped

  // kUpstreamConnectFailed: no such name, too late, or too many lookups under way.
  port::Task<Result<std::vector<SocketAddress>>> find(std::string host, std::uint16_t port,
                                                      Instant deadline);

 private:
  struct Link;  // what threads hold of the loop
  port::Loop& loop_;
  std::shared_ptr<Link> link_;
};

}  // namespace infermesh::io

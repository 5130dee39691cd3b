// ResponseHomes: which engine keeps the state of an answer (Responses API): its id leads back to
// the engine that made it. Shared by all shards, fixed memory (128 KiB): the last kHomesMax or so
// ids are known, an older one, or one of another router, is not. Two ids may be taken for one
// another (2^-59 for a pair); the engine then says that it has no such answer. Any thread; relaxed
// atomics: an id noted on one shard is found on another a moment later, and a race loses an entry
// at worst.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>

#include "base/ids.h"

namespace infermesh::prefix {

constexpr std::size_t kHomesMax = 16'384;

class ResponseHomes {
 public:
  // `id_hash`: 64 well-mixed bits of the id.
  void note(std::uint64_t id_hash, EndpointId endpoint);
  // The engine may have gone since; whoever asks looks it up in the view.
  std::optional<EndpointId> find(std::uint64_t id_hash) const;

 private:
  static constexpr std::size_t kWays = 4;
  using Slot = std::atomic<std::uint64_t>;  // 48 bits of the hash, 16 of the endpoint; 0: empty
  using Set = std::array<Slot, kWays>;      // the newest first

  std::array<Set, kHomesMax / kWays> sets_{};
};

}  // namespace infermesh::prefix

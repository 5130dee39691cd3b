// Admission: the one way in for every request. A request that finds all engines of its pool full
// waits in the pool's bounded queue, by priority and in order, until an engine has room, its
// deadline passes, or it gives way. One a shard; room that other shards free is noticed by a tick
// while somebody waits. The bound is the pool's over all shards; who gives way is found on one's
// own. Lines are the pools' by name: what waits stays in line when the view changes.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "core/admit/admission_queue.h"
#include "core/model/mesh_view.h"
#include "port/loop.h"
#include "port/wakeup.h"

namespace infermesh::data {

class Admission {
  struct Line;

 public:
  explicit Admission(port::Loop& loop);

  // A request's place. Leaving the scope leaves the queue.
  class Ticket {
   public:
    Ticket(Admission& admission, port::Wakeup& wake) : admission_(admission), wake_(wake) {}
    ~Ticket();
    Ticket(const Ticket&) = delete;
    Ticket& operator=(const Ticket&) = delete;

    // Queues. After a turn that came to nothing the ticket keeps its place. kQueueFull when there
    // is no place.
    Result<void> enter(const Pool& pool, const Model& model, Priority priority, Instant deadline);
    bool granted() const { return state_ == State::kGranted; }
    bool shed() const { return state_ == State::kShed; }

   private:
    friend class Admission;
    enum class State : std::uint8_t { kOutside, kWaiting, kGranted, kShed };
    Admission& admission_;
    port::Wakeup& wake_;
    void leave();

    State state_ = State::kOutside;
    std::shared_ptr<Line> line_;
    ModelId model_;
    std::uint64_t place_ = 0;
  };

  // Pools have come, gone or changed. Who waits for a pool that is gone looks again.
  void adopt(const MeshView& view);
  bool has_waiting(PoolId pool) const;
  std::size_t waiting(PoolId pool) const;
  void freed(PoolId pool);  // an engine of the pool may have room: the next in line tries
  void retry_all();         // the view changed: everybody's first in line tries

 private:
  // Who has its turn stays in line until it is served. When its model's engines turn out to be full
  // the turn passes to the next that asks for another model: one a model in each round.
  struct Line {
    ~Line();
    void make_room(const Pool& pool);  // as much as other shards leave
    void account();

    std::string pool;
    admit::AdmissionQueue<Ticket*> queue{0};
    std::vector<ModelId> full;  // found in this round
    std::shared_ptr<PoolLoad> load;
    std::int32_t accounted = 0;  // in `load`
  };
  void begin_round(Line& line);
  void call_next(Line& line);

  port::Loop& loop_;
  std::vector<std::shared_ptr<Line>> lines_;  // index = PoolId
  port::Timer tick_;
};

}  // namespace infermesh::data

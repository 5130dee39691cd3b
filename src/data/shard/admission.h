// Admission: the one way in for every request. A request that finds all engines of its pool full
// waits in the pool's bounded queue, by priority and in order, until an engine has room, its
// deadline passes, or it gives way. One a shard; room that other shards free is noticed by a tick
// while somebody waits.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "core/admit/admission_queue.h"
#include "core/model/mesh_view.h"
#include "port/loop.h"
#include "port/wakeup.h"

namespace infermesh::data {

class Admission {
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
    PoolId pool_;
    ModelId model_;
    std::uint64_t place_ = 0;
  };

  bool has_waiting(PoolId pool) const;
  std::size_t waiting(PoolId pool) const;
  void freed(PoolId pool);  // an engine of the pool may have room: the next in line tries
  void retry_all();         // the view changed: everybody's first in line tries

 private:
  // Who has its turn stays in line until it is served. When its model's engines turn out to be full
  // the turn passes to the next that asks for another model: one a model in each round.
  struct Line {
    explicit Line(std::size_t queue_max) : queue(queue_max) {}
    admit::AdmissionQueue<Ticket*> queue;
    std::vector<ModelId> full;  // found in this round
  };
  Line& line_of(const Pool& pool);
  void begin_round(Line& line);
  void call_next(Line& line);

  port::Loop& loop_;
  std::map<PoolId, std::unique_ptr<Line>> lines_;
  port::Timer tick_;
};

}  // namespace infermesh::data

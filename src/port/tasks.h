// Tasks: the fibers of one loop, real or simulated, and those of them that can go on, in order.
// Owns every fiber: what still waits when it ends is destroyed then. Only on the loop's thread.
#pragma once

#include <vector>

#include "port/task.h"

namespace infermesh::port {

class Tasks {
 public:
  Tasks() = default;
  ~Tasks() { end(); }
  Tasks(const Tasks&) = delete;
  Tasks& operator=(const Tasks&) = delete;

  void spawn(Task<void> task);  // begins it in its turn
  void resume_later(std::coroutine_handle<> waiting) {
    if (!ended_) ready_.push_back(waiting);
  }
  bool run_one();  // false: none is ready
  void run();      // until none is ready
  bool idle() const { return next_ == ready_.size(); }
  // Destroys a fiber that waits, and is not about to be resumed.
  void drop(Fiber& fiber);
  // Destroys all of them; what is spawned or resumed from then on is dropped.
  void end();

 private:
  struct Root;
  static Root make_root(Task<void> task);
  void unlink(Fiber& fiber);

  Fiber* newest_ = nullptr;
  std::vector<std::coroutine_handle<>> ready_;
  std::size_t next_ = 0;  // of ready_
  bool ended_ = false;
};

}  // namespace infermesh::port

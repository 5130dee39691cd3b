#include "signal/engine/poller.h"

#include "signal/engine/poll_task.h"

namespace infermesh::signal {

Poller::Poller(port::Loop& loop, EngineTarget target, const PollSettings& settings, PollSink& sink)
    : target_(std::move(target)), task_(std::make_shared<PollTask>(loop, target_, settings, sink)) {
  loop.spawn(PollTask::run(task_));
}

Poller::~Poller() {
  task_->stop();
}

void Poller::nudge() {
  task_->nudge();
}

}  // namespace infermesh::signal

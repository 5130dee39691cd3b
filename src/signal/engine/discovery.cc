#include "signal/engine/discovery.h"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "base/text.h"
#include "port/wakeup.h"
#include "signal/engine/http_probe.h"

namespace infermesh::signal {

class DiscoveryTask {
 public:
  DiscoveryTask(port::Loop& loop, DiscoverySettings settings, Discovery::IsKnown is_known,
                Discovery::OnFound on_found)
      : loop_(loop),
        settings_(std::move(settings)),
        is_known_(std::move(is_known)),
        on_found_(std::move(on_found)),
        timer_([this] { wake_.set(); }) {}

  static port::Task<void> run(std::shared_ptr<DiscoveryTask> self) {
    while (!self->stopped_) {
      for (const std::uint16_t port : self->settings_.ports) {
        if (self->due(port)) co_await self->look(port);
        if (self->stopped_) co_return;
      }
      self->loop_.arm(self->timer_, self->loop_.now() + self->settings_.interval);
      co_await self->wake_.wait();
    }
  }

  void stop() {
    stopped_ = true;
    if (probe_ != nullptr) probe_->cancel();
    wake_.set();
  }

 private:
  std::string url_of(std::uint16_t port) const {
    return fmt::format("http://{}:{}", settings_.host, port);
  }

  bool due(std::uint16_t port) const {
    if (is_known_(url_of(port))) return false;
    const auto other = look_again_.find(port);
    return other == look_again_.end() || other->second <= loop_.now();
  }

  port::Task<void> look(std::uint16_t port) {
    HttpProbe probe(loop_,
                    {settings_.host, port, fmt::format("{}:{}", settings_.host, port), {}, {}});
    probe_ = &probe;
    engines::Detection detection;
    while (!detection.decided() && !stopped_) {
      const ProbeAnswer answer =
          co_await probe.get(std::string(detection.next_path()), settings_.timeout);
      detection.on_answer(answer.view());
    }
    probe_ = nullptr;
    if (stopped_) co_return;
    const engines::Finding& finding = detection.finding();
    if (finding.kind == engines::FindingKind::kNothing) co_return;
    if (finding.kind != engines::FindingKind::kEngine) {
      look_again_[port] = loop_.now() + settings_.other_interval;
      co_return;
    }
    on_found_({fmt::format("{}-{}", finding.product, port), url_of(port), finding});
    if (!is_known_(url_of(port))) look_again_[port] = loop_.now() + settings_.other_interval;
  }

  port::Loop& loop_;
  DiscoverySettings settings_;
  Discovery::IsKnown is_known_;
  Discovery::OnFound on_found_;
  port::Wakeup wake_;
  port::Timer timer_;
  HttpProbe* probe_ = nullptr;  // the one at work
  std::map<std::uint16_t, Instant> look_again_;
  bool stopped_ = false;
};

Discovery::Discovery(port::Loop& loop, DiscoverySettings settings, IsKnown is_known,
                     OnFound on_found)
    : task_(std::make_shared<DiscoveryTask>(loop, std::move(settings), std::move(is_known),
                                            std::move(on_found))) {
  loop.spawn(DiscoveryTask::run(task_));
}

Discovery::~Discovery() {
  task_->stop();
}

}  // namespace infermesh::signal

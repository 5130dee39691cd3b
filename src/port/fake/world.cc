#include "port/fake/world.h"

#include <utility>

#include "base/assert.h"

namespace infermesh::port::fake {
namespace {

// Wall time at the world's beginning: 2026-01-01T00:00:00Z.
constexpr WallTime kWallStart = WallTime(1'767'225'600s);
// Handlers run in one settle(); more is a task that goes round without waiting.
constexpr std::size_t kHandlersMax = 50'000'000;

struct Forget {  // a ticket, when its coroutine goes on or is destroyed
  std::map<World::Ticket, Wakeup*>& parked;
  World::Ticket ticket;
  ~Forget() { parked.erase(ticket); }
};

class WorldLoop final : public Loop {
 public:
  explicit WorldLoop(World& world) : world_(world) {}

  Instant now() const override { return world_.now(); }
  Instant exact_now() override { return world_.now(); }
  WallTime wall_now() const override { return kWallStart + world_.now().time_since_epoch(); }
  std::uint64_t entropy() override { return world_.entropy(); }
  void arm(Timer& timer, Instant deadline) override { world_.timers().arm(timer, deadline); }
  void spawn(Task<void> task) override { world_.spawn(std::move(task)); }
  void post(std::function<void()> function) override { world_.post(std::move(function)); }

  Task<void> sleep_until(Instant when) override {
    const World::Ticket ticket = world_.next_ticket();
    Timer timer([this, ticket] { world_.unpark(ticket); });
    world_.timers().arm(timer, std::max(when, world_.now()));
    co_await world_.park(ticket);
  }

  using Loop::connect;
  Task<Result<StreamPtr>> connect(Target target, Instant deadline) override {
    return world_.network().connect(std::move(target), deadline);
  }

 private:
  World& world_;
};

}  // namespace

World::World(std::uint64_t seed) : rng_(seed), network_(*this) {
  loops_.push_back(std::make_unique<WorldLoop>(*this));
}

World::~World() {
  tasks_.end();
}

Loop& World::make_loop() {
  loops_.push_back(std::make_unique<WorldLoop>(*this));
  return *loops_.back();
}

void World::settle() {
  for (std::size_t handlers = 0; handlers < kHandlersMax; ++handlers) {
    if (tasks_.run_one()) continue;
    if (timers_.next() > now_) return;
    timers_.run(now_);
  }
  IM_ASSERT(!"the world settles");
}

bool World::step(Instant until) {
  settle();
  const Instant next = timers_.next();
  if (next == kNever || next > until) return false;
  now_ = next;
  timers_.run(now_);
  return true;
}

void World::run_for(Duration time) {
  const Instant until = now_ + time;
  while (step(until)) {
  }
  now_ = until;
  settle();
}

bool World::run_until(const std::function<bool()>& done, Duration limit) {
  const Instant until = now_ + limit;
  settle();
  while (!done()) {
    if (!step(until)) return false;
    settle();
  }
  return true;
}

Task<void> World::park(Ticket ticket) {
  Wakeup wake;
  parked_.emplace(ticket, &wake);
  const Forget forget{parked_, ticket};
  co_await wake.wait();
}

void World::unpark(Ticket ticket) {
  const auto held = parked_.find(ticket);
  if (held != parked_.end()) held->second->set();
}

void World::post(std::function<void()> function) {
  tasks_.spawn([](std::function<void()> posted) -> Task<void> {
    posted();
    co_return;
  }(std::move(function)));
}

void World::spawn(Task<void> task) {
  tasks_.spawn(std::move(task));
}

}  // namespace infermesh::port::fake

// What one decision costs by itself: filter, prefix look-up, scores, notes. The arguments are the
// number of endpoints and of the prompt's blocks (256 bytes each; 1,600 are 100,000 tokens). Each
// decision is timed alone: p50_us and p99_us are of those times, `allocations` is of all decisions
// after the first.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <new>
#include <vector>

#include "core/route/test_mesh.h"

namespace {
std::size_t allocations = 0;
}

void* operator new(std::size_t size) {
  ++allocations;
  void* const memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) std::abort();
  return memory;
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace infermesh::route {
namespace {

using Clock = std::chrono::steady_clock;

// Every seventh engine holds a part of one of eight prompts that share nothing.
struct World {
  World(std::size_t engines, std::size_t blocks) : mesh(engines) {
    mesh.index = std::make_unique<prefix::PrefixIndex>(Bytes(64 << 20));
    for (std::uint64_t prompt = 0; prompt < 8; ++prompt) {
      prompts.push_back(chat(static_cast<std::int64_t>(blocks) * 32, prompt, blocks));
      prompts.back().prompt_tokens = Tokens(static_cast<std::int64_t>(blocks) * 64);
    }
    for (std::size_t i = 0; i < engines; ++i) {
      const auto id = EndpointId(static_cast<std::uint16_t>(i));
      EngineReport report;
      report.running = static_cast<std::uint32_t>(i % 7);
      report.waiting = 0;
      report.read_at = mesh.now;
      mesh.load->report(id, report);
      LoadCell& cell = mesh.cell(i);
      cell.prefill_tokens_per_second = 8000 + static_cast<double>(i);
      cell.seconds_per_token = 0.02;
      cell.rates_at_ns = mesh.now.time_since_epoch().count();
      if (i % 7 != 0) continue;
      const auto& held = prompts[i % 8].blocks;
      mesh.index->insert(std::span(held).first(held.size() * (i % 16 + 1) / 16), id, mesh.now);
    }
  }

  TestMesh mesh;
  std::vector<RequestFacts> prompts;
};

void decision(benchmark::State& state) {
  World world(static_cast<std::size_t>(state.range(0)), static_cast<std::size_t>(state.range(1)));
  std::vector<double> microseconds;
  microseconds.reserve(1 << 20);
  Decision decision;
  std::size_t taken = 0, next = 0;
  for (auto _ : state) {
    const RequestFacts& facts = world.prompts[next++ % world.prompts.size()];
    const DecideInput input{world.mesh.view,
                            *world.mesh.load,
                            world.mesh.index.get(),
                            world.mesh.view.models[0],
                            facts,
                            {}};
    const std::size_t before = allocations;
    const auto begin = Clock::now();
    decide(input, world.mesh.state, world.mesh.rng, world.mesh.now, decision);
    const auto end = Clock::now();
    if (next > 1) taken += allocations - before;
    if (microseconds.size() < microseconds.capacity()) {
      microseconds.push_back(std::chrono::duration<double, std::micro>(end - begin).count());
    }
  }
  std::ranges::sort(microseconds);
  state.counters["p50_us"] = microseconds[microseconds.size() / 2];
  state.counters["p99_us"] = microseconds[microseconds.size() * 99 / 100];
  state.counters["allocations"] = static_cast<double>(taken);
}
BENCHMARK(decision)->Args({4, 4})->Args({4, 800})->Args({100, 1600})->Args({1000, 1600});

}  // namespace
}  // namespace infermesh::route

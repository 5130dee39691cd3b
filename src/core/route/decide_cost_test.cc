// What a decision may cost: no heap memory, however many endpoints there are and however long the
// prompt is. How long it takes is told by bench/micro, as times are no test.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "core/route/test_mesh.h"

namespace {

thread_local bool counting = false;
thread_local int allocations = 0;

void* allocate(std::size_t size) {
  if (counting) ++allocations;
  void* const memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) std::abort();
  return memory;
}

}  // namespace

// All forms of new come down to these.
void* operator new(std::size_t size) {
  return allocate(size);
}
void* operator new[](std::size_t size) {
  return allocate(size);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace infermesh::route {
namespace {

int allocations_of(TestMesh& mesh, const RequestFacts& facts, Decision& decision) {
  const DecideInput input{mesh.view, *mesh.load, mesh.index.get(), mesh.view.models[0], facts, {}};
  allocations = 0;
  counting = true;
  decide(input, mesh.state, mesh.rng, mesh.now, decision);
  counting = false;
  return allocations;
}

TEST(DecideCost, TakesNoMemoryAmongAThousandEndpointsWithALongPrompt) {
  for (const PolicyKind policy : {PolicyKind::kExpectedLatency, PolicyKind::kPrefixAffinity,
                                  PolicyKind::kLeastRequest, PolicyKind::kRoundRobin}) {
    TestMesh mesh(1000, policy);
    mesh.engine(3).state = EndpointState::kDown;
    mesh.engine(3).state_reason = "a reason that is too long for a string to keep in itself";
    mesh.engine(5).in_flight_max = 0;
    const RequestFacts facts = chat(100'000);
    for (std::size_t i = 10; i < 300; i += 7) {
      mesh.index->insert(std::span(facts.blocks).first(i * 10),
                         EndpointId(static_cast<std::uint16_t>(i)), mesh.now);
    }
    Decision decision;
    allocations_of(mesh, facts, decision);  // the scratch memory grows once
    ASSERT_TRUE(decision.endpoint);
    EXPECT_EQ(decision.notes.size(), kCandidatesNotedMax);
    for (int round = 0; round < 20; ++round) {
      mesh.now += 1ms;
      EXPECT_EQ(allocations_of(mesh, facts, decision), 0) << to_string(policy);
    }
  }
}

TEST(DecideCost, TheCountSeesANew) {
  counting = true;
  allocations = 0;
  std::string text(100, 'x');
  counting = false;
  EXPECT_EQ(allocations, 1) << text.size();
}

}  // namespace
}  // namespace infermesh::route

#include "data/shard/admission.h"

#include <gtest/gtest.h>

#include "port/fake/world.h"

namespace infermesh::data {
namespace {

struct AdmissionTest : testing::Test {
  AdmissionTest() {
    pool.spec.name = "p";
    pool.spec.queue_max = 2;
    second = pool;
    second.id = PoolId(1);
    second.spec.name = "q";
    other.id = ModelId(1);
    MeshView view;
    view.pools = {pool, second};
    admission.adopt(view);
  }
  port::fake::World world;
  Admission admission{world.loop()};
  Pool pool, second;
  Model model, other;
  port::Wakeup wake;
};

TEST_F(AdmissionTest, GivesTurnsInOrderAndTheTurnStaysUntilItIsUsed) {
  Admission::Ticket a(admission, wake);
  std::optional<Admission::Ticket> b;
  b.emplace(admission, wake);
  ASSERT_TRUE(a.enter(pool, model, Priority::kNormal, kNever));
  ASSERT_TRUE(b->enter(pool, model, Priority::kNormal, kNever));
  EXPECT_FALSE(a.granted());
  admission.freed(pool.id);
  EXPECT_TRUE(a.granted());
  EXPECT_FALSE(b->granted());
  EXPECT_EQ(admission.waiting(pool.id), 2u);
  ASSERT_TRUE(a.enter(pool, model, Priority::kNormal, kNever)) << "the turn came to nothing";
  EXPECT_FALSE(a.granted());
  EXPECT_FALSE(b->granted()) << "for the same model it would come to nothing too";
  world.run_for(10ms);
  EXPECT_TRUE(a.granted()) << "the tick";
  b.reset();
  EXPECT_EQ(admission.waiting(pool.id), 1u);
}

TEST_F(AdmissionTest, ATurnPassesOnWhenItIsUsed) {
  std::optional<Admission::Ticket> a;
  a.emplace(admission, wake);
  Admission::Ticket b(admission, wake);
  ASSERT_TRUE(a->enter(pool, model, Priority::kNormal, kNever));
  ASSERT_TRUE(b.enter(pool, model, Priority::kNormal, kNever));
  admission.freed(pool.id);
  a.reset();
  EXPECT_TRUE(b.granted());
  EXPECT_EQ(admission.waiting(pool.id), 1u);
}

TEST_F(AdmissionTest, ATurnThatCameToNothingPassesToAnotherModel) {
  Admission::Ticket a(admission, wake), b(admission, wake);
  ASSERT_TRUE(a.enter(pool, model, Priority::kNormal, kNever));
  ASSERT_TRUE(b.enter(pool, other, Priority::kNormal, kNever));
  admission.freed(pool.id);
  ASSERT_TRUE(a.enter(pool, model, Priority::kNormal, kNever));
  EXPECT_TRUE(b.granted());
}

TEST_F(AdmissionTest, AFullQueueRefusesOrPushesOut) {
  Admission::Ticket a(admission, wake), b(admission, wake), c(admission, wake);
  ASSERT_TRUE(a.enter(pool, model, Priority::kLow, kNever));
  ASSERT_TRUE(b.enter(pool, model, Priority::kLow, kNever));
  const auto refused = c.enter(pool, model, Priority::kLow, kNever);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kQueueFull);
  ASSERT_TRUE(c.enter(pool, model, Priority::kHigh, kNever));
  EXPECT_TRUE(b.shed());
  EXPECT_EQ(admission.waiting(pool.id), 2u);
}

TEST_F(AdmissionTest, AnotherPoolIsAnotherLine) {
  Admission::Ticket a(admission, wake);
  ASSERT_TRUE(a.enter(pool, model, Priority::kNormal, kNever));
  admission.freed(pool.id);
  ASSERT_TRUE(a.enter(second, model, Priority::kNormal, kNever)) << "the model has moved";
  EXPECT_EQ(admission.waiting(pool.id), 0u);
  EXPECT_EQ(admission.waiting(second.id), 1u);
}

}  // namespace
}  // namespace infermesh::data

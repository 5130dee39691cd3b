#include "core/prefix/response_homes.h"

#include <gtest/gtest.h>

#include <memory>

#include "base/rng.h"

namespace infermesh::prefix {
namespace {

TEST(ResponseHomes, FindsWhoMadeAnAnswer) {
  const auto homes = std::make_unique<ResponseHomes>();
  EXPECT_EQ(homes->find(7), std::nullopt);
  homes->note(7, EndpointId(0));
  homes->note(8, EndpointId(65535));
  EXPECT_EQ(homes->find(7), EndpointId(0));
  EXPECT_EQ(homes->find(8), EndpointId(65535));
  EXPECT_EQ(homes->find(9), std::nullopt);
}

TEST(ResponseHomes, TheLatestNoteOfAnIdCounts) {
  const auto homes = std::make_unique<ResponseHomes>();
  for (std::uint16_t i = 0; i < 10; ++i) homes->note(1ULL << 60, EndpointId(i));
  EXPECT_EQ(homes->find(1ULL << 60), EndpointId(9));
}

TEST(ResponseHomes, TheOldestGiveWayWhenThereIsNoRoom) {
  const auto homes = std::make_unique<ResponseHomes>();
  for (std::uint64_t i = 0; i < 6; ++i) homes->note(i << 32, EndpointId(1));  // all in one set
  EXPECT_EQ(homes->find(0), std::nullopt);
  EXPECT_EQ(homes->find(1ULL << 32), std::nullopt);
  for (std::uint64_t i = 2; i < 6; ++i) EXPECT_EQ(homes->find(i << 32), EndpointId(1)) << i;
}

TEST(ResponseHomes, KnowsMostOfAsManyAsItHasRoomFor) {
  const auto homes = std::make_unique<ResponseHomes>();
  Rng rng(1);
  std::vector<std::uint64_t> ids(kHomesMax / 2);
  for (std::uint64_t& id : ids) id = rng.next();
  for (const std::uint64_t id : ids) homes->note(id, EndpointId(3));
  std::size_t known = 0;
  for (const std::uint64_t id : ids) known += homes->find(id) == EndpointId(3) ? 1U : 0U;
  EXPECT_GT(known, ids.size() * 9 / 10);
}

}  // namespace
}  // namespace infermesh::prefix

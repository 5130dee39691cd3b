#include "wire/engine/orca.h"

#include <gtest/gtest.h>

#include <string>

namespace infermesh::engines {
namespace {

TEST(Orca, ReadsTheTextForm) {
  const auto report = read_orca(
      "TEXT named_metrics.kv_cache_usage_perc=0.25, named_metrics.num_requests_waiting=3.0");
  EXPECT_EQ(report.kv_used, 0.25);
  EXPECT_EQ(report.waiting, 3U);
  EXPECT_FALSE(report.running);
}

TEST(Orca, ReadsTheJsonForm) {
  const auto report = read_orca(
      R"(JSON {"application_utilization": 0.7, "named_metrics": )"
      R"({"kv_cache_usage_perc": 0.5, "num_requests_waiting": 2, "num_requests_running": 9}})");
  EXPECT_EQ(report.kv_used, 0.5);
  EXPECT_EQ(report.waiting, 2U);
  EXPECT_EQ(report.running, 9U);
}

TEST(Orca, ReadsBothFormsWithoutTheirWordAndFlatNames) {
  EXPECT_EQ(read_orca("kv_cache_utilization=0.1").kv_used, 0.1);
  EXPECT_EQ(read_orca(R"({"named_metrics.num_requests_waiting": 4})").waiting, 4U);
  EXPECT_EQ(read_orca("text  num_requests_running=1").running, 1U);
}

TEST(Orca, WhatCannotBeReadTellsNothing) {
  for (const std::string value :
       {"", "TEXT", "JSON", "JSON {", "JSON []", "BIN CgVhYmNkZQ==", "cpu_utilization=0.3",
        "TEXT kv_cache_usage_perc=", "TEXT kv_cache_usage_perc=nan", "TEXT num_requests_waiting=-1",
        "TEXT num_requests_waiting=2x", R"({"named_metrics": {"num_requests_waiting": "2"}})"}) {
    EXPECT_FALSE(read_orca(value).tells()) << value;
  }
  EXPECT_FALSE(read_orca("num_requests_waiting=1" + std::string(kOrcaBytesMax, ' ')).tells());
}

TEST(Orca, OneBadPairDoesNotHideTheOthersAndSharesEndAtOne) {
  const auto report = read_orca(
      "TEXT a, kv_cache_usage_perc=7, num_requests_waiting=x, "
      "num_requests_waiting=1, num_requests_waiting=5");
  EXPECT_EQ(report.kv_used, 1.0);
  EXPECT_EQ(report.waiting, 1U);
}

}  // namespace
}  // namespace infermesh::engines

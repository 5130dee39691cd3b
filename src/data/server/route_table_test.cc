#include "data/server/route_table.h"

#include <gtest/gtest.h>

namespace infermesh::data {
namespace {

TEST(RouteTable, EveryInferenceRouteIsAPostWithItsApi) {
  std::size_t inference = 0;
  for (const Route& route : route_table()) {
    if (route.action != Action::kInference) continue;
    ++inference;
    EXPECT_EQ(route.method, route.api == Api::kRealtime ? "GET" : "POST");
    const RouteMatch match = find_route(route.method, route.path);
    ASSERT_EQ(match.status, RouteStatus::kFound) << route.path;
    EXPECT_EQ(match.route, &route);
  }
  EXPECT_EQ(inference, 26u);
}

TEST(RouteTable, WhatAnEngineKeepsIsFoundByItsIdAndTail) {
  const RouteMatch got = find_route("GET", "/v1/responses/resp_1");
  ASSERT_EQ(got.status, RouteStatus::kFound);
  EXPECT_EQ(got.route->action, Action::kStored);
  EXPECT_EQ(got.rest, "resp_1");
  const RouteMatch items = find_route("GET", "/responses/resp_1/input_items");
  ASSERT_EQ(items.status, RouteStatus::kFound);
  EXPECT_EQ(items.rest, "resp_1");
  EXPECT_EQ(items.route->tail, "/input_items");
  EXPECT_EQ(find_route("POST", "/v1/responses/resp_1").allow, "GET, DELETE");
  EXPECT_EQ(find_route("GET", "/v1/responses/resp_1/cancel").allow, "POST");
  for (const char* path : {"/v1/responses/", "/v1/responses/a/b", "/v1/responses/a%2Fb",
                           "/v1/responses/cancel/cancel/cancel", "/v1/responses//cancel"}) {
    EXPECT_EQ(find_route("GET", path).status, RouteStatus::kUnknownPath) << path;
  }
}

TEST(RouteTable, AllBasesLeadToTheSameRoute) {
  for (const char* path : {"/v1/chat/completions", "/chat/completions",
                           "/openai/v1/chat/completions", "/anthropic/v1/chat/completions"}) {
    const RouteMatch match = find_route("POST", path);
    ASSERT_EQ(match.status, RouteStatus::kFound) << path;
    EXPECT_EQ(match.route->path, "/v1/chat/completions");
  }
}

TEST(RouteTable, ModelIdsMayHoldSlashes) {
  const RouteMatch match = find_route("GET", "/v1/models/org/name");
  ASSERT_EQ(match.status, RouteStatus::kFound);
  EXPECT_EQ(match.route->action, Action::kModelGet);
  EXPECT_EQ(match.rest, "org/name");
  EXPECT_EQ(find_route("GET", "/models/a").rest, "a");
}

TEST(RouteTable, AWrongMethodNamesTheRightOnes) {
  const RouteMatch match = find_route("PUT", "/v1/chat/completions");
  EXPECT_EQ(match.status, RouteStatus::kWrongMethod);
  EXPECT_EQ(match.allow, "POST");
  EXPECT_EQ(find_route("POST", "/v1/models").allow, "GET");
}

TEST(RouteTable, KservePathsNameTheirModelAndAreSentAsTheyAre) {
  const RouteMatch match = find_route("POST", "/v2/models/org%2Fm/versions/1/infer");
  ASSERT_EQ(match.status, RouteStatus::kFound);
  EXPECT_EQ(match.route->api, Api::kInfer);
  EXPECT_EQ(match.model, "org/m");
  EXPECT_EQ(match.path, "/v2/models/org%2Fm/versions/1/infer");
  EXPECT_TRUE(find_route("POST", "/v2/models/m/generate_stream").stream);
  EXPECT_EQ(find_route("GET", "/v2/models/m").route->api, Api::kModelInfo);
  EXPECT_EQ(find_route("POST", "/v2/health/live").allow, "GET");
  EXPECT_EQ(find_route("POST", "/v2/rerank").route->api, Api::kRerank);
}

TEST(RouteTable, OtherPathsAreUnknown) {
  for (const char* path :
       {"/", "/v1", "/v1/", "/v1/models/", "/v1/chat", "/v1/chat/completions/", "*"}) {
    EXPECT_EQ(find_route("POST", path).status, RouteStatus::kUnknownPath) << path;
  }
}

}  // namespace
}  // namespace infermesh::data

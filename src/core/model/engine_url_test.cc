#include "core/model/engine_url.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace infermesh {
namespace {

using ::testing::HasSubstr;

TEST(EngineUrl, ReadsHostPortAndIpv6) {
  EXPECT_EQ(*parse_engine_url("http://gpu-7.lan:8000"),
            (EngineUrl{"gpu-7.lan", 8000, "gpu-7.lan:8000"}));
  EXPECT_EQ(*parse_engine_url("http://[::1]:8000"), (EngineUrl{"::1", 8000, "[::1]:8000"}));
  EXPECT_EQ(parse_engine_url("http://[::1]:8000")->text(), "http://[::1]:8000");
}

TEST(EngineUrl, SchemePortAndLastSlashMayBeLeftOutOrGiven) {
  EXPECT_EQ(parse_engine_url("127.0.0.1:8080")->text(), "http://127.0.0.1:8080");
  EXPECT_EQ(parse_engine_url("http://host")->text(), "http://host:80");
  EXPECT_EQ(parse_engine_url("HTTP://Host:1/")->text(), "http://host:1");
}

TEST(EngineUrl, HttpsIsTlsOnItsOwnPort) {
  const auto url = parse_engine_url("HTTPS://gpu.lan");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->scheme, Scheme::kHttps);
  EXPECT_EQ(url->port, 443);
  EXPECT_EQ(url->text(), "https://gpu.lan:443");
  EXPECT_EQ(parse_engine_url("http://gpu.lan")->scheme, Scheme::kHttp);
}

TEST(EngineUrl, RefusesWhatItCannotReachAndSaysWhy) {
  const auto why = [](std::string_view url) { return parse_engine_url(url).error().detail; };
  EXPECT_THAT(why("ftp://a:1"), HasSubstr("is not an engine's URL"));
  EXPECT_THAT(why("http://a:1/v1"), HasSubstr("has a path"));
  EXPECT_THAT(why("http://u:p@a:1"), HasSubstr("api_key_env"));
  EXPECT_THAT(why("http://a:0"), HasSubstr("port 0"));
  for (std::string_view bad :
       {"", "http://", "http://a:", "http://a:99999", "http://a b:1", "http://[::1:1",
        "http://::1:80", "http://[a]:1", "http://a:1:2", "http://[::1]x:1"}) {
    EXPECT_FALSE(parse_engine_url(bad).has_value()) << bad;
  }
}

TEST(EngineUrl, SplitsListenAddresses) {
  EXPECT_EQ(split_host_port("127.0.0.1:0", PortRule::kRequired)->port, 0);
  EXPECT_EQ(split_host_port(":80", PortRule::kRequired)->host, "");
  EXPECT_FALSE(split_host_port("localhost", PortRule::kRequired).has_value());
  EXPECT_EQ(split_host_port("localhost", PortRule::kOptional)->host, "localhost");
}

}  // namespace
}  // namespace infermesh

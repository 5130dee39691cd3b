// api/openapi/admin.yaml is the contract: every member that a body has is described there, and
// every route.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

namespace infermesh::control {
namespace {

namespace json = boost::json;

std::string read(const std::string& path) {
  std::ifstream file(std::string(INFERMESH_SOURCE_DIR) + "/" + path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

void collect_keys(const json::value& value, std::set<std::string>& keys) {
  if (const auto* object = value.if_object()) {
    for (const auto& [key, member] : *object) {
      keys.insert(std::string(key));
      collect_keys(member, keys);
    }
  }
  if (const auto* items = value.if_array()) {
    for (const json::value& item : *items) collect_keys(item, keys);
  }
}

TEST(AdminContract, DescribesEveryMemberOfEveryBody) {
  const std::string contract = read("api/openapi/admin.yaml");
  ASSERT_FALSE(contract.empty());
  for (const std::string name : {"status", "engines", "engine_e2", "models", "pools", "decisions",
                                 "decision_retried", "decision_refused", "route"}) {
    std::set<std::string> keys;
    collect_keys(json::parse(read("src/control/testdata/" + name + ".json")), keys);
    ASSERT_FALSE(keys.empty()) << name;
    for (const std::string& key : keys) {
      EXPECT_NE(contract.find(" " + key + ":"), std::string::npos) << name << " has " << key;
    }
  }
}

TEST(AdminContract, DescribesEveryRoute) {
  const std::string contract = read("api/openapi/admin.yaml");
  for (const std::string path :
       {"/livez", "/readyz", "/metrics", "/version", "/api/status", "/api/engines",
        "/api/engines/{name}", "/api/engines/{name}/drain", "/api/engines/{name}/undrain",
        "/api/models", "/api/pools", "/api/problems", "/api/route", "/debug/decisions",
        "/debug/decisions/{name}"}) {
    EXPECT_NE(contract.find("\n  " + path + ":\n"), std::string::npos) << path;
  }
}

}  // namespace
}  // namespace infermesh::control

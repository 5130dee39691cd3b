// YAML objects: no bytes crash the reader; mistakes come with the file's name and a place inside
// it; a set that is taken is written and read back the same, as YAML and as JSON; a described
// runtime makes an adapter whose readers take any page.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "config/objects.h"
#include "wire/engine/described.h"

namespace {

using namespace infermesh;

void require(bool condition) {
  if (!condition) std::abort();
}

void check_adapter(const RuntimeObject& object, std::string_view page) {
  const engines::Adapter adapter = engines::described_adapter(object);
  adapter.read_health({.status = 200, .body = page});
  const auto models = adapter.read_models(page);
  if (models) require(models->size() <= engines::kServedModelsMax);
  (void)adapter.read_identity(page);
  const auto reading = adapter.read_load(object.load_path, page, Instant{});
  if (!reading) return;
  const EngineReport& report = reading->report;
  if (report.kv_used) require(*report.kv_used >= 0 && *report.kv_used <= 1);
  if (report.running) require(*report.running <= INT32_MAX);
  if (report.waiting) require(*report.waiting <= INT32_MAX);
}

}  // namespace

// The objects, and after a zero byte a page for the runtimes among them.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string_view text = input.substr(0, input.find('\0'));
  const std::string_view page = input.substr(std::min(text.size() + 1, size));
  const std::vector<config::ObjectText> files{{"f.yaml", std::string(text)}};
  const auto set = config::read_objects(files);
  if (!set) {
    require(!set.error().empty());
    for (const config::Problem& problem : set.error()) require(!problem.message.empty());
    return 0;
  }
  for (const RuntimeObject& runtime : set->runtimes) check_adapter(runtime, page);
  const std::string yaml = config::to_yaml(*set);
  const std::vector<config::ObjectText> written{{"w.yaml", yaml}};
  const auto again = config::read_objects(written);
  require(again.has_value());
  require(config::to_yaml(*again) == yaml);
  require(config::to_json(*again) == config::to_json(*set));
  return 0;
}

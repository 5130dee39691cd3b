#include "app/banner.h"

#include <fmt/format.h>

namespace infermesh::app {
namespace {

std::string models_of(const Endpoint& endpoint) {
  if (endpoint.models.empty()) return "-";
  std::string text = endpoint.models.front().name;
  if (endpoint.models.size() > 1) text += fmt::format(" +{}", endpoint.models.size() - 1);
  return text;
}

std::string line_of(const Endpoint& endpoint) {
  std::string kind(endpoint.runtime_name());
  if (!endpoint.version.empty()) kind += " " + endpoint.version;
  return fmt::format("  {:<9} {:<18} {:<21} {:<18} {}\n", "engine", kind.substr(0, 18),
                     endpoint.authority, models_of(endpoint), to_string(endpoint.state));
}

}  // namespace

void Banner::title(std::string_view version) {
  if (write_) write_(fmt::format("infermesh {}\n\n", version));
}

void Banner::set_addresses(std::string inference, std::string admin, std::string looking_for,
                           Duration started_in) {
  inference_ = std::move(inference);
  admin_ = std::move(admin);
  looking_for_ = std::move(looking_for);
  started_in_ = started_in;
}

void Banner::show(const MeshView& view) {
  if (!write_) return;
  for (const auto& endpoint : view.endpoints) {
    if (!endpoint) continue;
    // An engine that only might be there is not worth a line.
    if (endpoint->state == EndpointState::kJoining && endpoint->models.empty()) continue;
    std::string line = line_of(*endpoint);
    std::string& shown = shown_[endpoint->name];
    if (shown == line) continue;
    write_(line);
    shown = std::move(line);
  }
  if (!view.models.empty()) show_usage(view);
}

void Banner::show_usage(const MeshView& view) {
  if (usage_shown_) return;
  usage_shown_ = true;
  std::string text;
  if (!looking_for_.empty())
    text += fmt::format("  looking for more on {} (--engine URL to name one)\n", looking_for_);
  text += fmt::format(
      "\n  chat       curl {}/v1/chat/completions \\\n"
      "               -d "
      "'{{\"model\":\"{}\",\"messages\":[{{\"role\":\"user\",\"content\":\"hi\"}}]}}'\n"
      "  base url   {}/v1      any OpenAI client, any key\n"
      "  admin      http://{}         infermesh status\n"
      "  up in {}. Ctrl-C drains and stops.\n\n",
      inference_, view.models.front().name, inference_, admin_, human_duration(started_in_));
  write_(text);
}

void Banner::show_nothing_found() {
  if (!write_ || usage_shown_ || nothing_shown_) return;
  nothing_shown_ = true;
  std::string text =
      looking_for_.empty()
          ? std::string("  no engine answers yet\n")
          : fmt::format("  no engine found yet; looking on {} (--engine URL to name one)\n",
                        looking_for_);
  text += fmt::format(
      "\n  to try one   infermesh engine --model demo --listen 127.0.0.1:8000\n"
      "  base url     {}/v1\n"
      "  admin        http://{}         infermesh status\n\n",
      inference_, admin_);
  write_(text);
}

void Banner::stopping() {
  if (write_) write_("  stopping: requests in flight finish first, Ctrl-C again stops at once\n");
}

void Banner::handed_over(std::int64_t process) {
  if (!write_) return;
  write_(fmt::format("  process {} has taken over: requests in flight finish here\n", process));
}

}  // namespace infermesh::app

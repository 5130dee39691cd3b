#include "lab/engine/engine_command.h"

#include <fmt/format.h>

#include "wire/json/write.h"

namespace infermesh::lab {

Result<std::vector<std::string>> EngineCommand::start(port::Loop& loop, const ListenFn& listen) {
  std::vector<std::unique_ptr<port::Listener>> listeners;
  for (std::uint32_t i = 0; i < options_.count; ++i) {
    const bool any = options_.listen.port == 0;
    const auto port = static_cast<std::uint16_t>(any ? 0 : options_.listen.port + i);
    auto opened = listen(options_.listen.host, port);
    if (!opened) return std::unexpected(opened.error());
    listeners.push_back(std::move(*opened));
  }
  std::vector<std::string> urls;
  for (auto& listener : listeners) {
    urls.push_back("http://" + listener->address());
    EngineServerOptions options = options_.server;
    options.seed += urls.size() - 1;
    servers_.push_back(
        std::make_shared<EngineServer>(loop, std::move(listener), std::move(options)));
    loop.spawn(servers_.back()->serve());
  }
  return urls;
}

void EngineCommand::stop() {
  for (const auto& server : servers_) server->stop();
}

std::string engine_banner(const EngineOptions& options, const std::vector<std::string>& urls) {
  std::string text;
  for (const auto& url : urls) {
    text += fmt::format(
        "  engine  {}  {}  {}{}\n", url, options.server.models[0], options.server.profile.name,
        options.server.profile.speed == 1 ? ""
                                          : fmt::format(" x {:g}", options.server.profile.speed));
  }
  return text;
}

std::string ready_json(const std::vector<std::string>& urls) {
  std::string list;
  for (const auto& url : urls) {
    list += list.empty() ? "" : ", ";
    json::append_string(list, url);
  }
  return fmt::format("{{\"urls\": [{}]}}\n", list);
}

}  // namespace infermesh::lab

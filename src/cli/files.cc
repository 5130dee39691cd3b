// infermesh config validate and config view.
#include "cli/files.h"

#include <fmt/format.h>

#include <boost/json/parse.hpp>

#include "cli/human.h"
#include "cli/verbs.h"
#include "config/loader.h"
#include "config/objects.h"

namespace infermesh::cli {
namespace {

FileReport settings_report(Session& session, const std::string& path) {
  const std::vector<std::string> arguments{"--config", path};
  const auto loaded =
      config::load_settings({config::Verbs::kServer, {}, arguments, session.io().read_file});
  FileReport report{fmt::format("{} is valid", path), {}};
  if (loaded) return report;
  for (const config::Problem& problem : loaded.error()) report.problems.push_back(problem.text());
  return report;
}

std::string counts_of(const ObjectSet& objects) {
  std::vector<std::string> parts;
  const auto add = [&](std::size_t count, std::string_view one) {
    if (count > 0) parts.push_back(plural(static_cast<double>(count), one));
  };
  add(objects.engines.size(), "engine");
  add(objects.pools.size(), "pool");
  add(objects.models.size(), "model");
  const std::size_t policies = objects.policies.size();
  if (policies > 0)
    parts.push_back(policies == 1 ? "1 policy" : fmt::format("{} policies", policies));
  add(objects.runtimes.size(), "runtime");
  return parts.empty() ? "no objects" : join(parts, ", ");
}

FileReport objects_report(Session& session, const std::string& path) {
  const auto folder = session.io().open_folder(path);
  const auto files = folder->read();
  if (!files) return {{}, {fmt::format("{}: {}", path, files.error().detail)}};
  std::vector<config::ObjectText> texts;
  for (const port::FileText& file : *files) {
    texts.push_back({path + (path.ends_with('/') ? "" : "/") + file.name, file.text});
  }
  const auto objects = config::read_objects(texts);
  FileReport report;
  if (objects) {
    report.summary = fmt::format("{} is valid: {}", path, counts_of(*objects));
  } else {
    for (const config::Problem& problem : objects.error())
      report.problems.push_back(problem.text());
  }
  return report;
}

// ---- config view

std::vector<std::string> environment_lines(const CliIo& io) {
  std::vector<std::string> lines;
  for (const auto& [name, value] : io.environment) {
    if (name != "INFERMESH_ADMIN") lines.push_back(fmt::format("{}={}", name, value));
  }
  return lines;
}

json::value typed(std::string_view type, const std::string& shown) {
  if (type == "u32" || type == "f64") {
    boost::system::error_code failed;
    json::value number = json::parse(shown, failed);
    if (!failed) return number;
  }
  if (type == "bool") return shown == "on" || shown == "true";
  return json::value(shown);
}

json::value list_json(const std::string& shown) {
  json::array out;
  if (shown.empty()) return out;
  std::size_t begin = 0;
  while (true) {
    const auto comma = shown.find(',', begin);
    out.push_back(json::value(shown.substr(begin, comma - begin)));
    if (comma == std::string::npos) return out;
    begin = comma + 1;
  }
}

enum class WithOrigin : std::uint8_t { kNo, kYes };

json::value settings_json(const config::LoadedSettings& loaded, WithOrigin with) {
  json::object out;
  std::size_t index = 0;
  for (const config::SettingInfo& info : config::setting_table()) {
    const config::Origin& origin = loaded.origins[index++];
    // The file cannot name itself, so what is printed can be used as one.
    if (info.verbs != config::Verbs::kServer || info.name == "config") continue;
    const std::string shown = info.show(loaded.settings, info.limits);
    json::value value = info.is_list() ? list_json(shown) : typed(info.type, shown);
    if (with == WithOrigin::kNo) {
      out[info.name] = std::move(value);
    } else {
      out[info.name] = json::object{
          {"value", std::move(value)},
          {"layer", config::to_string(origin.layer)},
          {"place", origin.place.empty() ? json::value(nullptr) : json::value(origin.place)}};
    }
  }
  return out;
}

std::string shown(const json::value& value) {
  if (const auto* string = value.if_string()) return string->empty() ? "-" : std::string(*string);
  if (const auto* items = value.if_array()) {
    std::vector<std::string> parts;
    for (const json::value& item : *items) parts.push_back(shown(item));
    return parts.empty() ? "-" : join(parts, ", ");
  }
  if (const auto* on = value.if_bool()) return *on ? "on" : "off";
  std::string number = compact_json(value);
  number.pop_back();
  return number;
}

std::string settings_text(const json::value& settings, const Page& page, WithOrigin with) {
  Table table(with == WithOrigin::kYes ? std::vector<Column>{{"setting"}, {"value"}, {"from"}}
                                       : std::vector<Column>{{"setting"}, {"value"}});
  for (const auto& [name, entry] : settings.get_object()) {
    if (with == WithOrigin::kNo) {
      table.add({{std::string(name)}, {shown(entry)}});
      continue;
    }
    const auto layer = text(entry, "layer");
    const auto place = text(entry, "place");
    table.add({{std::string(name)},
               {shown(member(entry, "value"))},
               {place.empty() ? layer : fmt::format("{} {}", layer, place),
                layer == "default" ? Tone::kDim : Tone::kPlain}});
  }
  return table.text(page);
}

}  // namespace

std::vector<FileReport> reports_of_files(Session& session) {
  std::vector<FileReport> reports;
  const Command& command = session.command();
  if (command.has("config")) reports.push_back(settings_report(session, command.value("config")));
  if (command.has("objects")) reports.push_back(objects_report(session, command.value("objects")));
  return reports;
}

int run_config_validate(Session& session) {
  const auto reports = reports_of_files(session);
  if (reports.empty()) {
    return session.fail({Exit::kUsage, "config validate needs a file or a folder", "",
                         "infermesh config validate --config infermesh.yaml --objects objects/"});
  }
  std::size_t problems = 0;
  for (const FileReport& report : reports) {
    if (report.problems.empty()) session.print(report.summary + "\n");
    for (const std::string& problem : report.problems) session.say(problem + "\n");
    problems += report.problems.size();
  }
  if (problems == 0) return static_cast<int>(Exit::kOk);
  session.say(plural(static_cast<double>(problems), "problem") + "\n");
  return static_cast<int>(Exit::kUsage);
}

int run_config_view(Session& session) {
  const auto environment = environment_lines(session.io());
  const auto loaded = config::load_settings(
      {config::Verbs::kServer, environment, session.command().settings, session.io().read_file});
  if (!loaded) {
    for (const config::Problem& problem : loaded.error()) session.say(problem.text() + "\n");
    return static_cast<int>(Exit::kUsage);
  }
  const WithOrigin with = session.command().has("origin") ? WithOrigin::kYes : WithOrigin::kNo;
  View view;
  view.load = [&]() -> Outcome<json::value> { return settings_json(*loaded, with); };
  view.table = [with](const json::value& settings, const Page& page, Format) {
    return settings_text(settings, page, with);
  };
  return session.show(view);
}

}  // namespace infermesh::cli

// infermesh check: a doctor. One plain sentence for each check, a hint for each failure.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/parse.hpp>
#include <cmath>
#include <set>
#include <span>

#include "base/text.h"
#include "cli/files.h"
#include "cli/human.h"
#include "cli/status.h"
#include "cli/verbs.h"
#include "core/model/engine_url.h"

namespace infermesh::cli {
namespace {

constexpr double kStaleMs = 10'000;
constexpr double kClockDriftMs = 5'000;

enum class Result : std::uint8_t { kOk, kWarning, kFailure };
constexpr std::array<std::string_view, 3> kResultNames{"ok", "warning", "failure"};

// Sections of docs/guide/troubleshooting.md.
enum class Topic : std::uint8_t {
  kNone,
  kWrongSettings,
  kNoMesh,
  kVersions,
  kNotReady,
  kClock,
  kRefusedObjects,
  kListener,
  kCertificate,
  kNoEngine,
  kRefused,
  kUnauthorized,
  kJoining,
  kDraining,
  kEjected,
  kStaleLoad,
  kNoModel,
  kNoHealthyBackend,
};
constexpr std::array<std::string_view, 18> kTopics{
    "",           "wrong-settings",  "no-mesh",           "versions",    "not-ready",
    "clock",      "refused-objects", "listener",          "certificate", "no-engine",
    "refused",    "unauthorized",    "joining",           "draining",    "ejected",
    "stale-load", "no-model",        "no-healthy-backend"};

struct Advice {
  Topic topic = Topic::kNone;
  std::string hint;  // what to try
};

struct Check {
  std::string category;
  Result result = Result::kOk;
  std::string sentence;
  Advice advice;  // empty when all is well
};

class Doctor {
 public:
  explicit Doctor(Session& session) : session_(session) {}

  std::vector<Check> examine() {
    check_files();
    const auto status = session_.get("/api/status");
    if (!status) {
      add("mesh", Result::kFailure, fmt::format("{}: {}", status.error().what, status.error().why),
          {Topic::kNoMesh, status.error().next});
      return in_order();
    }
    well("mesh",
         fmt::format("{} answers, version {}", session_.admin().url, text(*status, "version")));
    check_versions(*status);
    check_readiness();
    check_clock(*status);
    check_objects(*status);
    check_certificates(*status);
    check_listeners(*status);
    if (const auto engines = session_.get("/api/engines"))
      check_engines(array(*engines, "engines"));
    check_models(array(*status, "models"));
    return in_order();
  }

 private:
  void add(std::string_view category, Result result, std::string sentence, Advice advice) {
    checks_.push_back({std::string(category), result, std::move(sentence), std::move(advice)});
  }
  void well(std::string_view category, std::string sentence) {
    add(category, Result::kOk, std::move(sentence), {});
  }

  // What is well comes before what is not, within each category.
  std::vector<Check> in_order() {
    std::vector<std::string> seen;
    const auto place = [&](const std::string& category) {
      const auto found = std::find(seen.begin(), seen.end(), category);
      return found - seen.begin();
    };
    for (const Check& check : checks_) {
      if (place(check.category) == static_cast<std::ptrdiff_t>(seen.size()))
        seen.push_back(check.category);
    }
    std::stable_sort(checks_.begin(), checks_.end(), [&](const Check& a, const Check& b) {
      return std::pair(place(a.category), a.result) < std::pair(place(b.category), b.result);
    });
    return std::move(checks_);
  }

  void check_files() {
    for (const FileReport& report : reports_of_files(session_)) {
      if (report.problems.empty()) well("configuration", report.summary);
      for (const std::string& problem : report.problems) {
        add("configuration", Result::kFailure, problem,
            {Topic::kWrongSettings, "correct that line; infermesh config validate looks again"});
      }
    }
  }

  void check_versions(const json::value& status) {
    const auto mesh = text(status, "version");
    if (mesh == session_.io().version) return;
    add("mesh", Result::kWarning,
        fmt::format("this command is {}, the mesh is {}", session_.io().version, mesh),
        {Topic::kVersions, "use the same version on both sides"});
  }

  void check_readiness() {
    const auto answer = session_.client().call(
        {session_.admin().host, session_.admin().port, "GET", "/readyz", "", session_.timeout()});
    if (!answer) return;
    boost::system::error_code failed;
    const json::value body = json::parse(answer->body, failed);
    if (failed) return;
    if (answer->status == 200) return well("mesh", "it is ready for traffic");
    for (const json::value& check : array(body, "checks")) {
      if (flag(check, "ok")) continue;
      add("mesh", Result::kFailure, fmt::format("it is not ready: {}", text(check, "detail")),
          {Topic::kNotReady, "infermesh status"});
    }
  }

  // Both clocks read RFC 3339 text of the same length, so seconds of the day are enough to compare.
  void check_clock(const json::value& status) {
    const auto there = seconds_of(text(status, "time"));
    const auto here = seconds_of(format_wall_time(session_.io().wall_now()));
    if (!there || !here) return;
    const double day = 86'400;
    double apart = std::abs(*there - *here);
    apart = std::min(apart, day - apart) * 1e3;
    if (apart <= kClockDriftMs) return well("mesh", "its clock agrees with this machine's");
    add("mesh", Result::kWarning, fmt::format("its clock is {} off this machine's", millis(apart)),
        {Topic::kClock, "is time kept on both? try: timedatectl"});
  }

  static std::optional<double> seconds_of(const std::string& time) {
    if (time.size() < 19) return std::nullopt;
    const auto part = [&](std::size_t at) {
      return parse_u64(std::string_view(time).substr(at, 2));
    };
    const auto hours = part(11), minutes = part(14), seconds = part(17);
    if (!hours || !minutes || !seconds) return std::nullopt;
    return static_cast<double>(*hours * 3600 + *minutes * 60 + *seconds);
  }

  void check_objects(const json::value& status) {
    const auto path = text(status, "objects");
    if (path.empty()) return;
    for (const json::value& problem : array(status, "problems")) {
      if (text(problem, "kind") != "objects") continue;
      return add("objects", Result::kFailure, fmt::format("{}: {}", path, text(problem, "what")),
                 {Topic::kRefusedObjects, text(problem, "next")});
    }
    well("objects", fmt::format("the objects in {} are in use", path));
  }

  // Problems of kind tls are about certificates, and name the file where they are about one.
  void check_certificates(const json::value& status) {
    std::set<std::string> unwell;
    for (const json::value& problem : array(status, "problems")) {
      if (text(problem, "kind") != "tls") continue;
      const auto file = text(problem, "name");
      unwell.insert(file);
      add("certificates",
          text(problem, "severity") == "error" ? Result::kFailure : Result::kWarning,
          file.empty() ? text(problem, "what") : fmt::format("{}: {}", file, text(problem, "what")),
          {Topic::kCertificate, text(problem, "next")});
    }
    for (const json::value& certificate : array(status, "certificates")) {
      const auto file = text(certificate, "file");
      if (unwell.contains(file)) continue;
      well("certificates", fmt::format("{} is good for {} until {}", file,
                                       text(certificate, "names"), text(certificate, "expires")));
    }
  }

  void check_listeners(const json::value& status) {
    const bool tls = !array(status, "certificates").empty();
    const std::string_view scheme = tls ? "https" : "http";
    for (const std::string& listener : texts(member(status, "listeners"), "inference")) {
      const auto address = split_host_port(listener, PortRule::kRequired);
      if (!address) continue;
      const bool everywhere =
          address->host.empty() || address->host == "0.0.0.0" || address->host == "::";
      const std::string& host = everywhere ? session_.admin().host : address->host;
      const auto answer =
          session_.client().call({host, address->port, "GET", "/v1/models", "", session_.timeout(),
                                  tls ? Speak::kTlsUnverified : Speak::kPlain});
      if (answer && answer->status == 200) {
        well("listeners", fmt::format("{}://{}/v1/models answers", scheme, listener));
        continue;
      }
      const auto why = answer ? fmt::format("status {}", answer->status) : answer.error().detail;
      add("listeners", Result::kFailure,
          fmt::format("{}://{}/v1/models does not answer from here: {}", scheme, listener, why),
          {Topic::kListener,
           fmt::format("a firewall, or another network? try: curl {}://{}/v1/models", scheme,
                       listener)});
    }
  }

  void check_engines(const json::array& engines) {
    if (engines.empty()) {
      return add("engines", Result::kFailure, "no engine is known",
                 {Topic::kNoEngine, "name one: infermesh up --engine http://HOST:PORT"});
    }
    std::size_t healthy = 0;
    for (const json::value& engine : engines) {
      const std::size_t before = checks_.size();
      check_engine(engine);
      if (checks_.size() == before) ++healthy;
    }
    if (healthy == 0) return;
    well("engines", fmt::format("{} {}", plural(static_cast<double>(healthy), "engine"),
                                healthy == 1 ? "answers" : "answer"));
  }

  // A key that is missing looks like an engine that is not well.
  static Topic topic_of(std::string_view reason, Topic otherwise) {
    return reason.find("api_key_env") == std::string_view::npos ? otherwise : Topic::kUnauthorized;
  }

  void check_engine(const json::value& engine) {
    const auto name = text(engine, "name");
    const auto url = text(engine, "url");
    const auto state = text(engine, "state");
    const auto reason = text(engine, "reason");
    const auto since = age(number(engine, "since_ms"));
    const auto because = reason.empty() ? std::string() : ": " + reason;
    if (state == "down") {
      add("engines", Result::kFailure,
          fmt::format("{} at {} is down for {}{}", name, url, since, because),
          {topic_of(reason, Topic::kRefused),
           fmt::format("is the server running? try: curl -i {}", health_url(engine))});
    } else if (state == "suspect" || state == "joining") {
      add("engines", Result::kWarning,
          fmt::format("{} at {} is {} for {}{}", name, url, state, since, because),
          {topic_of(reason, Topic::kJoining),
           fmt::format("is it loading or overloaded? try: curl -i {}", health_url(engine))});
    } else if (state == "draining") {
      add("engines", Result::kWarning,
          fmt::format("{} is draining for {}: it takes no new requests", name, since),
          {Topic::kDraining, fmt::format("infermesh undrain {}", name)});
    }
    for (const json::value& ejection : array(engine, "ejections")) {
      add("engines", Result::kWarning,
          fmt::format("{} is taken out for {}: {}", name, text(ejection, "model"),
                      text(ejection, "reason")),
          {Topic::kEjected, fmt::format("infermesh explain engine {}", name)});
    }
    const auto old = number(member(engine, "reported"), "age_ms");
    if (state == "ready" && old && *old > kStaleMs) {
      add("engines", Result::kWarning,
          fmt::format("the load figures of {} are {} old", name, age(old)),
          {Topic::kStaleLoad,
           fmt::format("does its metrics page answer? try: curl -i {}/metrics", url)});
    }
  }

  void check_models(const json::array& models) {
    if (models.empty()) {
      return add(
          "models", Result::kFailure, "no model is served",
          {Topic::kNoModel, "an engine tells its models once it is ready: infermesh engines"});
    }
    std::size_t served = 0;
    for (const json::value& model : models) {
      if (count(model, "engines_ready") > 0) {
        ++served;
        continue;
      }
      add("models", Result::kFailure,
          fmt::format("{} has no engine that is ready", text(model, "name")),
          {Topic::kNoHealthyBackend, "infermesh engines"});
    }
    if (served == 0) return;
    well("models", fmt::format("{}{} can be asked for",
                               served == models.size() ? "" : fmt::format("{} of ", served),
                               plural(static_cast<double>(models.size()), "model")));
  }

  Session& session_;
  std::vector<Check> checks_;
};

std::size_t count_of(const json::value& report, std::string_view result) {
  const json::array& checks = array(report, "checks");
  return static_cast<std::size_t>(
      std::count_if(checks.begin(), checks.end(),
                    [&](const json::value& check) { return text(check, "result") == result; }));
}

json::value report_json(const std::vector<Check>& checks) {
  json::array out;
  bool success = true;
  for (const Check& check : checks) {
    success = success && check.result != Result::kFailure;
    out.push_back(json::object{
        {"category", check.category},
        {"result", kResultNames[static_cast<std::size_t>(check.result)]},
        {"description", check.sentence},
        {"hint", check.advice.hint.empty() ? json::value(nullptr) : json::value(check.advice.hint)},
        {"see",
         check.advice.topic == Topic::kNone
             ? json::value(nullptr)
             : json::value(fmt::format("docs/guide/troubleshooting.md#{}",
                                       kTopics[static_cast<std::size_t>(check.advice.topic)]))}});
  }
  return json::object{{"success", success}, {"checks", std::move(out)}};
}

std::string report_text(const json::value& report, const Page& page, Format) {
  std::string out;
  std::string category;
  const std::size_t room = page.width > 40 ? page.width - 4 : 0;
  for (const json::value& check : array(report, "checks")) {
    if (text(check, "category") != category) {
      category = text(check, "category");
      out += page.paint(Tone::kBold, category) + '\n';
    }
    const auto result = text(check, "result");
    const std::string mark = result == "ok"        ? page.paint(Tone::kGood, page.paint.good())
                             : result == "warning" ? page.paint(Tone::kWarn, page.paint.warn())
                                                   : page.paint(Tone::kBad, page.paint.bad());
    out += fmt::format("  {} {}\n", mark, wrap(text(check, "description"), room, 4));
    if (const auto hint = text(check, "hint"); !hint.empty()) {
      out += fmt::format("      {}\n", wrap(hint, room == 0 ? 0 : room - 2, 6));
    }
    if (const auto see = text(check, "see"); !see.empty()) {
      out += fmt::format("      {}\n", page.paint(Tone::kDim, "see " + see));
    }
  }
  const std::size_t failures = count_of(report, "failure");
  const std::size_t warnings = count_of(report, "warning");
  if (failures == 0 && warnings == 0) return out + page.paint(Tone::kGood, "all is well") + '\n';
  std::vector<std::string> parts;
  if (failures > 0) parts.push_back(plural(static_cast<double>(failures), "failure"));
  if (warnings > 0) parts.push_back(plural(static_cast<double>(warnings), "warning"));
  return out + page.paint(failures > 0 ? Tone::kBad : Tone::kWarn, join(parts, ", ")) + '\n';
}

}  // namespace

std::span<const std::string_view> check_topics() {
  return std::span(kTopics).subspan(1);
}

int run_check(Session& session) {
  View view;
  view.load = [&session]() -> Outcome<json::value> {
    return report_json(Doctor(session).examine());
  };
  view.table = report_text;
  view.exit = [](const json::value& report) {
    return flag(report, "success") ? Exit::kOk : Exit::kUnhealthy;
  };
  return session.show(view);
}

}  // namespace infermesh::cli

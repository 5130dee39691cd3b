// infermesh route test, drain and undrain.
#include <fmt/format.h>

#include <algorithm>

#include "cli/decision_text.h"
#include "cli/human.h"
#include "cli/verbs.h"

namespace infermesh::cli {
namespace {

constexpr Duration kWaitEvery = 200ms;
constexpr Duration kWaitDefault = 10min;

// ---- route test

std::string route_text(const json::value& reply, const Page& page, Format format) {
  const json::value& decision = member(reply, "decision");
  const auto engine = text(decision, "engine");
  std::string out;
  if (!engine.empty()) {
    out = fmt::format("{} -> {}   {}\n", text(reply, "model"), page.paint(Tone::kBold, engine),
                      reason_phrase(text(decision, "reason")));
  } else if (flag(decision, "wait")) {
    out = fmt::format("{} -> waits in the queue of pool {}\n", text(reply, "model"),
                      text(reply, "pool"));
  } else {
    out = fmt::format("{} -> none: {}\n", text(reply, "model"), text(decision, "refusal"));
  }
  out +=
      fmt::format("{}, pool {}", plural(number(reply, "prompt_tokens").value_or(0), "prompt token"),
                  text(reply, "pool"));
  if (const auto predicted = number(decision, "predicted_ttft_ms")) {
    out += fmt::format(", first token predicted after {}", millis(predicted));
  }
  out += fmt::format("\n\n{} ({})\n", page.paint(Tone::kBold, "why"), text(decision, "policy"));
  out += why_text(decision, number(reply, "prompt_tokens").value_or(0), page, format);
  return out + facts_text(decision, page);
}

Outcome<std::string> prompt_of(Session& session) {
  const Command& command = session.command();
  if (!command.has("prompt-file")) return command.value("prompt");
  if (command.has("prompt")) {
    return fault(Exit::kUsage, "--prompt and --prompt-file exclude each other", "",
                 "give one of them");
  }
  auto read = session.io().read_file(command.value("prompt-file"));
  if (!read) {
    return fault(Exit::kUsage, fmt::format("cannot read {}", command.value("prompt-file")),
                 read.error().detail, "name a file that exists, or - for standard input");
  }
  return *read;
}

// ---- drain and undrain

struct Change {
  std::string_view verb;   // "drain"
  std::string_view doing;  // "takes no new requests"
};

std::string told(const json::value& reply, const Change& change) {
  const auto in_flight = count(reply, "in_flight");
  const bool drain = change.verb == "drain";
  std::string out = text(reply, "name");
  if (!flag(reply, "changed")) {
    out += drain ? " was draining already" : " was not draining";
  } else {
    out += fmt::format(" {}", change.doing);
  }
  if (drain) {
    out += in_flight == 0 ? "; nothing is in flight on it"
                          : fmt::format("; {} in flight finish",
                                        plural(static_cast<double>(in_flight), "request"));
  }
  return out + '\n';
}

// Which engines are the last ready ones of a model: draining them loses it.
std::string loses(const json::value& models, const std::vector<std::string>& names) {
  std::vector<std::string> lost;
  for (const json::value& model : array(models, "models")) {
    const auto engines = texts(model, "engines");
    const bool all =
        !engines.empty() && std::all_of(engines.begin(), engines.end(), [&](const auto& engine) {
          return std::find(names.begin(), names.end(), engine) != names.end();
        });
    if (all) lost.push_back(text(model, "name"));
  }
  return join(lost, ", ");
}

int dry_run(Session& session, const Change& change) {
  const auto& names = session.command().arguments;
  int worst = 0;
  for (const std::string& name : names) {
    const auto engine = session.get("/api/engines/" + path_segment(name));
    if (!engine) {
      worst = session.fail(engine.error());
      continue;
    }
    session.print(fmt::format("would {} {} (now {}, {} in flight)\n", change.verb, name,
                              text(*engine, "state"), whole(number(*engine, "in_flight"))));
  }
  return worst;
}

// Draws one line in place on a terminal; says nothing elsewhere.
void show_wait(Session& session, std::int64_t left) {
  if (!session.io().err_is_terminal) return;
  session.say(
      fmt::format("\r{} still in flight\x1b[K", plural(static_cast<double>(left), "request")));
}

int wait_until_empty(Session& session, const std::vector<std::string>& names) {
  const bool given = session.command().has("timeout");
  const Duration patience = given ? session.timeout() : kWaitDefault;
  const Instant deadline = session.io().now() + patience;
  const auto clear_line = [&] {
    if (session.io().err_is_terminal) session.say("\r\x1b[K");
  };
  while (true) {
    std::int64_t left = 0;
    for (const std::string& name : names) {
      const auto engine = session.get("/api/engines/" + path_segment(name));
      if (!engine) return clear_line(), session.fail(engine.error());
      left += count(*engine, "in_flight");
    }
    if (left == 0) break;
    show_wait(session, left);
    if (session.io().now() >= deadline) {
      clear_line();
      return session.fail(
          {Exit::kUnavailable,
           fmt::format("{} still in flight after {}", plural(static_cast<double>(left), "request"),
                       human_duration(patience)),
           "the engines stay drained", "wait longer with --timeout, or stop them now"});
    }
    if (!session.io().sleep(kWaitEvery)) return clear_line(), static_cast<int>(Exit::kInterrupted);
  }
  clear_line();
  session.print(fmt::format("nothing is in flight on {}\n", join(names, ", ")));
  return static_cast<int>(Exit::kOk);
}

int change_engines(Session& session, const Change& change) {
  if (session.command().has("dry-run")) return dry_run(session, change);
  std::vector<std::string> done;
  int failed = 0;
  for (const std::string& name : session.command().arguments) {
    const auto reply = session.post(
        fmt::format("/api/engines/{}/{}", path_segment(name), change.verb), json::object());
    if (!reply) {
      failed = session.fail(reply.error());
      continue;
    }
    done.push_back(name);
    session.print(told(*reply, change));
  }
  if (failed != 0) return done.empty() ? failed : static_cast<int>(Exit::kPartial);
  if (change.verb == "drain") {
    if (const auto models = session.get("/api/models")) {
      const auto lost = loses(*models, done);
      if (!lost.empty()) session.say(fmt::format("no engine is left for {}\n", lost));
    }
    if (session.command().has("wait")) return wait_until_empty(session, done);
  }
  return static_cast<int>(Exit::kOk);
}

}  // namespace

int run_route_test(Session& session) {
  const auto prompt = prompt_of(session);
  if (!prompt) return session.fail(prompt.error());
  const Command& command = session.command();
  json::object body{{"model", command.arguments[0]}, {"prompt", *prompt}};
  if (command.has("api")) body["api"] = command.value("api");
  if (command.has("session")) body["session"] = command.value("session");
  View view;
  view.load = [&session, body] { return session.post("/api/route", body); };
  view.table = route_text;
  view.exit = [](const json::value& reply) {
    const json::value& decision = member(reply, "decision");
    const bool placed = !text(decision, "engine").empty() || flag(decision, "wait");
    return placed ? Exit::kOk : Exit::kUnavailable;
  };
  return session.show(view);
}

int run_drain(Session& session) {
  return change_engines(session, {"drain", "takes no new requests now"});
}

int run_undrain(Session& session) {
  return change_engines(session, {"undrain", "takes requests again"});
}

}  // namespace infermesh::cli

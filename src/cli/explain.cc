// infermesh explain: one request's decisions, one engine, or the list of recent requests.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "cli/decision_text.h"
#include "cli/human.h"
#include "cli/status.h"
#include "cli/verbs.h"

namespace infermesh::cli {
namespace {

// ---- one request

std::string ending(const json::value& record) {
  if (!flag(record, "finished")) return "still running";
  const auto error = text(record, "error_code");
  if (!error.empty()) return fmt::format("refused with {} {}", count(record, "status"), error);
  const auto engine = text(record, "engine");
  if (engine.empty()) return fmt::format("ended with status {}", count(record, "status"));
  return fmt::format("answered by {}", engine);
}

std::string request_lines(const json::value& record, const Page& page) {
  const auto model = text(record, "model");
  const auto id = text(record, "request_id");
  std::string first = id;
  first += fmt::format("  {}  {}{}", model.empty() ? "(no model)" : model, text(record, "api"),
                       flag(record, "stream") ? ", streamed" : "");
  first += fmt::format("  {}  priority {}",
                       plural(number(record, "prompt_tokens").value_or(0), "prompt token"),
                       text(record, "priority"));
  std::string out = page.paint(Tone::kBold, id);
  out += wrap(first, page.width, 2).substr(id.size()) + '\n';
  std::string second = plural(number(record, "attempts_total").value_or(0), "attempt");
  second += fmt::format(", {}", ending(record));
  const double queued = number(record, "queued_ms").value_or(0);
  if (queued > 0) second += fmt::format(", {} in the queue", millis(queued));
  if (flag(record, "finished")) {
    second += fmt::format(", {} in all", millis(number(record, "total_ms")));
  }
  return out + wrap(second, page.width, 2) + '\n';
}

std::string good_attempt(const json::value& attempt, const json::value& record) {
  const json::value& decision = member(attempt, "decision");
  const auto first_byte = number(attempt, "first_byte_ms");
  std::string out;
  if (first_byte) {
    out = fmt::format("{} after {}", flag(record, "stream") ? "first token" : "answer",
                      millis(first_byte));
    if (const auto predicted = number(decision, "predicted_ttft_ms")) {
      out += fmt::format(" (predicted {})", millis(predicted));
    }
  }
  if (const auto tokens = number(attempt, "output_tokens")) {
    if (!out.empty()) out += ", ";
    out += fmt::format("{} in {}", plural(*tokens, "token"), millis(number(attempt, "total_ms")));
  }
  if (const auto cached = number(attempt, "cached_tokens")) {
    out += fmt::format(", {} of {} cached", whole(cached),
                       plural(number(attempt, "prompt_tokens").value_or(0), "prompt token"));
  }
  return out.empty() ? "running" : out;
}

// What followed a failed attempt.
std::string retry_phrase(std::string_view verdict) {
  if (verdict == "retry") return ": retried";
  if (verdict == "first_byte_sent") return ": not retried, its answer had begun";
  if (verdict == "attempts_spent") return ": not retried, no attempt was left";
  if (verdict == "deadline") return ": not retried, its time was up";
  if (verdict == "budget") return ": not retried, the retry budget was spent";
  return {};
}

std::string attempt_line(const json::value& record, std::size_t index, const Page& page) {
  const json::array& attempts = array(record, "attempts");
  const json::value& attempt = attempts[index];
  const auto engine = text(attempt, "engine");
  const auto outcome = text(attempt, "outcome");
  std::string head =
      fmt::format("attempt {} -> {}   ", index + 1, engine.empty() ? "none" : engine);
  std::string told;
  Tone tone = Tone::kPlain;
  if (engine.empty()) {
    told = fmt::format("no engine can take it: {}", text(member(attempt, "decision"), "refusal"));
    tone = Tone::kBad;
  } else if (outcome == "ok") {
    told = good_attempt(attempt, record);
  } else {
    const auto error = text(attempt, "error");
    told = fmt::format("{} after {}{}", error.empty() ? outcome : error,
                       millis(number(attempt, "total_ms")), retry_phrase(text(attempt, "retry")));
    tone = Tone::kWarn;
  }
  const std::size_t room = page.width > head.size() + 20 ? page.width - head.size() : 0;
  return head + page.paint(tone, wrap(told, room, head.size())) + '\n';
}

std::string request_text(const json::value& record, const Page& page, Format format) {
  std::string out = request_lines(record, page) + '\n';
  const json::array& attempts = array(record, "attempts");
  for (std::size_t i = 0; i < attempts.size(); ++i) out += attempt_line(record, i, page);
  if (attempts.empty()) return out + "no engine was asked\n";
  const json::value& decision = member(attempts.back(), "decision");
  const auto engine = text(decision, "engine");
  const auto why = engine.empty() ? std::string("why none") : fmt::format("why {}", engine);
  out += fmt::format("\n{} ({}{})\n", page.paint(Tone::kBold, why), text(decision, "policy"),
                     engine.empty() ? "" : ": " + reason_phrase(text(decision, "reason")));
  out += why_text(decision, number(record, "prompt_tokens").value_or(0), page, format);
  return out + facts_text(decision, page);
}

// ---- the list

// The time of day of an RFC 3339 text, moved to local time.
std::string local_time(const std::string& received, Duration utc_offset) {
  if (received.size() < 19) return received;
  const auto part = [&](std::size_t at) {
    return static_cast<std::int64_t>(
        parse_u64(std::string_view(received).substr(at, 2)).value_or(0));
  };
  constexpr std::int64_t kDay = 86'400;
  const std::int64_t offset = utc_offset / std::chrono::seconds(1);
  const std::int64_t second =
      ((part(11) * 3600 + part(14) * 60 + part(17) + offset) % kDay + kDay) % kDay;
  return fmt::format("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
}

std::string list_text(const json::value& reply, const Page& page, Format format,
                      Duration utc_offset) {
  const json::array& decisions = array(reply, "decisions");
  if (decisions.empty()) return "no requests yet\n";
  const bool wide = format == Format::kWide;
  std::vector<Column> columns{{"request", Align::kLeft, Fit::kWhole},
                              {"model"},
                              {"engine"},
                              {"status", Align::kRight},
                              {"ttft", Align::kRight},
                              {"total", Align::kRight}};
  if (wide) {
    columns.insert(
        columns.end(),
        {{"at"}, {"api"}, {"prompt", Align::kRight}, {"tries", Align::kRight}, {"error"}});
  }
  Table table(std::move(columns));
  for (const json::value& record : decisions) {
    const bool finished = flag(record, "finished");
    const auto status = count(record, "status");
    const auto engine = text(record, "engine");
    const auto error = text(record, "error_code");
    std::vector<Cell> row{
        {text(record, "request_id")},
        {text(record, "model")},
        {engine.empty() ? "-" : engine},
        {finished ? std::to_string(status) : "...", status >= 400 ? Tone::kBad : Tone::kPlain},
        {millis(number(record, "ttft_ms"))},
        {finished ? millis(number(record, "total_ms")) : "-"}};
    if (wide) {
      row.insert(row.end(), {{local_time(text(record, "received"), utc_offset)},
                             {text(record, "api")},
                             {whole(number(record, "prompt_tokens"))},
                             {whole(number(record, "attempts_total"))},
                             {error.empty() ? "-" : error}});
    }
    table.add(std::move(row));
  }
  return table.text(page);
}

// ---- one engine

struct Line {
  std::string_view name;
  std::string told;
};

std::string reported_line(const json::value& engine) {
  const json::value& reported = member(engine, "reported");
  if (reported.is_null()) return "nothing yet";
  return fmt::format("running {}, waiting {}, kv {}   {} ago", whole(number(reported, "running")),
                     whole(number(reported, "waiting")), percent(number(reported, "kv_used")),
                     age(number(reported, "age_ms")));
}

std::string measured_line(const json::value& engine) {
  const json::value& measured = member(engine, "measured");
  if (measured.is_null()) return "nothing yet: it is measured on real requests";
  const auto milliseconds = [&](std::string_view key) {
    const auto seconds = number(measured, key);
    return seconds ? millis(*seconds * 1e3) : std::string("-");
  };
  return fmt::format("prefill {} tok/s, {} per token, overhead {}   {} ago",
                     whole(number(measured, "prefill_tokens_per_second")),
                     milliseconds("seconds_per_token"), milliseconds("overhead_seconds"),
                     age(number(measured, "age_ms")));
}

std::string totals_line(const json::value& engine) {
  const double requests = number(engine, "requests").value_or(0);
  const double failures = number(engine, "failures").value_or(0);
  if (requests == 0) return "none yet";
  return fmt::format("{}, of which {} failed ({:.2f} %)", whole(requests), whole(failures),
                     failures / requests * 100);
}

std::string next_line(const json::value& engine) {
  const auto state = text(engine, "state");
  if (state == "draining") return fmt::format("infermesh undrain {}", text(engine, "name"));
  if (state == "ready" && array(engine, "ejections").empty()) return {};
  return fmt::format("curl -i {}", health_url(engine));
}

std::string engine_text(const json::value& engine, const Page& page, Format) {
  const auto state = text(engine, "state");
  const auto reason = text(engine, "reason");
  const auto version = text(engine, "version");
  std::string out = page.paint(Tone::kBold, text(engine, "name"));
  out += fmt::format("   {}{}   {}   {} for {}{}\n\n", text(engine, "runtime"),
                     version.empty() ? "" : " " + version, text(engine, "url"),
                     page.paint(tone_of_state(state), state), age(number(engine, "since_ms")),
                     reason.empty() ? "" : ": " + reason);
  const auto list = [&](std::string_view key) {
    const auto names = texts(engine, key);
    return names.empty() ? std::string("none") : join(names, ", ");
  };
  std::vector<Line> lines{
      {"models", list("models")},
      {"pools", list("pools")},
      {"in flight",
       fmt::format("{} of {} ({} answering, {} ahead)", whole(number(engine, "in_flight")),
                   whole(number(engine, "in_flight_max")), whole(number(engine, "streams")),
                   plural(number(engine, "prefill_tokens_ahead").value_or(0), "prompt token"))},
      {"reported", reported_line(engine)},
      {"measured", measured_line(engine)},
      {"requests", totals_line(engine)}};
  for (const json::value& ejection : array(engine, "ejections")) {
    const auto left = number(ejection, "remaining_ms");
    lines.push_back({"ejected", fmt::format("for {} {} ago, {}: {}", text(ejection, "model"),
                                            age(number(ejection, "since_ms")),
                                            left ? fmt::format("for another {}", millis(left))
                                                 : std::string("until a request succeeds"),
                                            text(ejection, "reason"))});
  }
  if (const auto next = next_line(engine); !next.empty()) lines.push_back({"next", next});
  for (const Line& line : lines) {
    out += fmt::format("{}{}\n", page.paint(Tone::kDim, fmt::format("{:<12}", line.name)),
                       wrap(line.told, page.width > 32 ? page.width - 12 : 0, 12));
  }
  return out;
}

int explain_engine(Session& session, const std::string& name) {
  View view;
  view.load = [&session, name] { return session.get("/api/engines/" + path_segment(name)); };
  view.table = engine_text;
  view.names = [](const json::value& engine) { return std::vector{text(engine, "name")}; };
  return session.show(view);
}

int explain_request(Session& session, const std::string& id) {
  View view;
  view.load = [&session, id] { return session.get("/debug/decisions/" + path_segment(id)); };
  view.table = request_text;
  view.names = [](const json::value& record) { return std::vector{text(record, "engine")}; };
  return session.show(view);
}

int explain_list(Session& session) {
  View view;
  view.load = [&session] { return session.get("/debug/decisions"); };
  view.table = [&session](const json::value& reply, const Page& page, Format format) {
    return list_text(reply, page, format, session.io().utc_offset);
  };
  view.names = [](const json::value& reply) {
    std::vector<std::string> names;
    for (const json::value& record : array(reply, "decisions")) {
      names.push_back(text(record, "request_id"));
    }
    return names;
  };
  return session.show(view);
}

}  // namespace

int run_explain(Session& session) {
  const auto& words = session.command().arguments;
  if (words.empty()) return explain_list(session);
  if (words.size() == 2 && words[0] == "engine") return explain_engine(session, words[1]);
  if (words.size() == 2 && words[0] == "request") return explain_request(session, words[1]);
  if (words.size() == 1 && words[0] != "engine") return explain_request(session, words[0]);
  return session.fail({Exit::kUsage, "explain takes a request id, or the word engine and a name",
                       "", "infermesh explain req_7f3c  or  infermesh explain engine e5"});
}

}  // namespace infermesh::cli

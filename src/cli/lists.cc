// infermesh engines, models and pools.
#include <fmt/format.h>

#include "cli/human.h"
#include "cli/status.h"
#include "cli/verbs.h"

namespace infermesh::cli {
namespace {

std::string runtime_of(const json::value& engine) {
  const auto version = text(engine, "version");
  return version.empty() ? text(engine, "runtime")
                         : fmt::format("{} {}", text(engine, "runtime"), version);
}

std::string or_dash(std::string text) {
  return text.empty() ? "-" : text;
}

// Why engines are not ready, below the table: a reason is too long for a column.
std::string reasons_text(const json::array& engines, const Page& page) {
  Table table({{""}, {""}});
  table.indent(2);
  for (const json::value& engine : engines) {
    const auto state = text(engine, "state");
    const auto reason = text(engine, "reason");
    if (state == "ready" || reason.empty()) continue;
    table.add({{text(engine, "name")},
               {fmt::format("{} for {}: {}", state, age(number(engine, "since_ms")), reason),
                tone_of_state(state)}});
  }
  return table.empty() ? std::string() : "\n" + table.text(page);
}

std::vector<Cell> engine_row(const json::value& engine, Format format) {
  const json::value& reported = member(engine, "reported");
  const json::value& measured = member(engine, "measured");
  const auto state = text(engine, "state");
  std::vector<Cell> row{{text(engine, "name")},
                        {state, tone_of_state(state)},
                        {runtime_of(engine)},
                        {whole(number(engine, "in_flight"))},
                        {whole(number(reported, "running"))},
                        {whole(number(reported, "waiting"))},
                        {percent(number(reported, "kv_used"))}};
  if (format == Format::kWide) {
    const auto per_token = number(measured, "seconds_per_token");
    row.insert(row.end(), {{whole(number(measured, "prefill_tokens_per_second"))},
                           {per_token ? millis(*per_token * 1e3) : "-"},
                           {whole(number(engine, "requests"))},
                           {whole(number(engine, "failures"))},
                           {age(number(engine, "since_ms"))},
                           {text(engine, "url")},
                           {or_dash(join(texts(engine, "pools"), ", "))}});
  }
  row.push_back({or_dash(join(texts(engine, "models"), ", "))});
  return row;
}

std::string engines_text(const json::value& reply, const Page& page, Format format) {
  const json::array& engines = array(reply, "engines");
  if (engines.empty()) {
    return "no engines: name one with `infermesh up --engine URL`, or write an Engine object\n";
  }
  std::vector<Column> columns{{"engine"},
                              {"state"},
                              {"runtime"},
                              {"in flight", Align::kRight},
                              {"running", Align::kRight},
                              {"waiting", Align::kRight},
                              {"kv", Align::kRight}};
  if (format == Format::kWide) {
    columns.insert(columns.end(), {{"prefill tok/s", Align::kRight},
                                   {"per token", Align::kRight},
                                   {"requests", Align::kRight},
                                   {"failed", Align::kRight},
                                   {"since", Align::kRight},
                                   {"url"},
                                   {"pools"}});
  }
  columns.push_back({"serves"});
  Table table(std::move(columns));
  for (const json::value& engine : engines) table.add(engine_row(engine, format));
  return table.text(page) + reasons_text(engines, page);
}

std::string queue_of(const json::value& pool) {
  return fmt::format("{} / {}", whole(number(pool, "queued")), whole(number(pool, "queue_max")));
}

std::string pools_text(const json::value& reply, const Page& page, Format format) {
  const json::array& pools = array(reply, "pools");
  if (pools.empty()) return "no pools yet: they appear with the first engine\n";
  const bool wide = format == Format::kWide;
  std::vector<Column> columns{{"pool"},
                              {"policy"},
                              {"engines", Align::kRight},
                              {"ready", Align::kRight},
                              {"in flight", Align::kRight},
                              {"queue", Align::kRight}};
  if (wide) {
    columns.insert(columns.end(), {{"queue wait", Align::kRight},
                                   {"attempts", Align::kRight},
                                   {"retries", Align::kRight},
                                   {"connect", Align::kRight},
                                   {"first byte", Align::kRight},
                                   {"between", Align::kRight},
                                   {"total", Align::kRight}});
  }
  columns.push_back({"models"});
  Table table(std::move(columns));
  for (const json::value& pool : pools) {
    const auto ready = count(pool, "engines_ready");
    std::vector<Cell> row{
        {text(pool, "name")},
        {text(pool, "policy")},
        {whole(static_cast<double>(array(pool, "engines").size()))},
        {whole(static_cast<double>(ready)), ready == 0 ? Tone::kBad : Tone::kPlain},
        {whole(number(pool, "in_flight"))},
        {queue_of(pool)}};
    if (wide) {
      row.insert(row.end(), {{millis(number(pool, "queue_timeout_ms"))},
                             {whole(number(pool, "attempts_max"))},
                             {percent(number(pool, "retry_budget"))},
                             {millis(number(pool, "connect_timeout_ms"))},
                             {millis(number(pool, "first_byte_timeout_ms"))},
                             {millis(number(pool, "between_bytes_timeout_ms"))},
                             {millis(number(pool, "total_timeout_ms"))}});
    }
    row.push_back({or_dash(join(texts(pool, "models"), ", "))});
    table.add(std::move(row));
  }
  return table.text(page);
}

std::string all_models_text(const json::value& reply, const Page& page, Format format) {
  const json::array& models = array(reply, "models");
  if (models.empty()) return "no models yet: an engine tells its models once it is ready\n";
  return models_text(models, page, format, 0);
}

using Text = std::string (*)(const json::value&, const Page&, Format);

int show_list(Session& session, std::string_view what, Text table) {
  View view;
  view.load = [&session, what] { return session.get(fmt::format("/api/{}", what)); };
  view.table = table;
  view.names = [what](const json::value& reply) {
    std::vector<std::string> names;
    for (const json::value& item : array(reply, what)) names.push_back(text(item, "name"));
    return names;
  };
  return session.show(view);
}

}  // namespace

int run_engines(Session& session) {
  return show_list(session, "engines", engines_text);
}
int run_models(Session& session) {
  return show_list(session, "models", all_models_text);
}
int run_pools(Session& session) {
  return show_list(session, "pools", pools_text);
}

}  // namespace infermesh::cli

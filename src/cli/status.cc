#include "cli/status.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/human.h"
#include "cli/verbs.h"
#include "wire/engine/adapter.h"

namespace infermesh::cli {
namespace {

std::string head_line(const json::value& status, const Page& page) {
  const json::value& engines = member(status, "engines");
  const auto queued = count(status, "queued");
  const std::vector<std::string> parts{
      fmt::format("mesh {}", text(status, "version")),
      fmt::format("generation {} ({} ago)", count(status, "generation"),
                  age(number(status, "generation_age_ms"))),
      fmt::format("{}, {} ready", plural(number(engines, "total").value_or(0), "engine"),
                  count(engines, "ready")),
      fmt::format(
          "{} in flight{}", whole(number(status, "in_flight").value_or(0)),
          queued > 0 ? fmt::format(", {} queued", whole(static_cast<double>(queued))) : "")};
  std::string line;
  std::size_t column = 0;
  for (const std::string& part : parts) {
    const bool first = line.empty();
    const bool fits = page.width == 0 || column + 3 + part.size() <= page.width;
    if (!first) line += fits ? "   " : "\n  ";
    column = first ? part.size() : fits ? column + 3 + part.size() : 2 + part.size();
    line += first ? page.paint(Tone::kBold, part) : part;
  }
  return line + '\n';
}

// One problem as the columns it is shown in.
struct ProblemRow {
  Cell mark;
  std::string subject;
  std::string what;
  std::string next;
};

ProblemRow problem_row(const json::value& problem, const Painter& paint) {
  const bool error = text(problem, "severity") == "error";
  ProblemRow row;
  row.mark = error ? Cell{std::string(paint.bad()), Tone::kBad}
                   : Cell{std::string(paint.warn()), Tone::kWarn};
  row.subject = text(problem, "kind");
  if (const auto name = text(problem, "name"); !name.empty()) row.subject += " " + name;
  row.what = text(problem, "what");
  row.next = text(problem, "next");
  return row;
}

// With the command below each problem, for when the three columns do not fit a line.
std::string problems_stacked(const std::vector<ProblemRow>& rows, const Page& page,
                             std::size_t subject) {
  std::string out;
  const std::size_t indent = 4 + subject + 2;
  for (const ProblemRow& row : rows) {
    const std::size_t room = page.width > indent + 20 ? page.width - indent : 0;
    out += fmt::format("  {} {}{}  {}\n", page.paint(row.mark.tone, row.mark.text), row.subject,
                       std::string(subject - display_width(row.subject), ' '),
                       wrap(row.what, room, indent));
    out += fmt::format("{}{}\n", std::string(indent, ' '), page.paint(Tone::kDim, row.next));
  }
  return out;
}

}  // namespace

Tone tone_of_state(std::string_view state) {
  if (state == "ready") return Tone::kGood;
  if (state == "down") return Tone::kBad;
  return Tone::kWarn;
}

std::string problems_text(const json::array& problems, const Page& page) {
  std::vector<ProblemRow> rows;
  std::size_t subject = 0;
  std::size_t what = 0;
  std::size_t next = 0;
  for (const json::value& problem : problems) {
    rows.push_back(problem_row(problem, page.paint));
    subject = std::max(subject, display_width(rows.back().subject));
    what = std::max(what, display_width(rows.back().what));
    next = std::max(next, display_width(rows.back().next));
  }
  constexpr std::size_t kWideEnough = 110;  // without a terminal
  const std::size_t width = page.width == 0 ? kWideEnough : page.width;
  if (4 + subject + 2 + what + 3 + next > width) return problems_stacked(rows, page, subject);
  Table table({{""}, {""}, {""}, {""}});
  table.indent(2);
  table.gap_after_first(1);
  for (const ProblemRow& row : rows) {
    table.add({row.mark, {row.subject}, {row.what}, {row.next, Tone::kDim}});
  }
  return table.text(page);
}

std::string models_text(const json::array& models, const Page& page, Format format,
                        std::size_t indent) {
  const bool wide = format == Format::kWide;
  std::vector<Column> columns{{"model"},
                              {"engines", Align::kRight},
                              {"ready", Align::kRight},
                              {"running", Align::kRight},
                              {"waiting", Align::kRight},
                              {"kv", Align::kRight},
                              {"hit", Align::kRight},
                              {"ttft p50/p99", Align::kRight},
                              {"tok/s", Align::kRight}};
  if (wide) {
    columns.insert(
        columns.end(),
        {{"in flight", Align::kRight}, {"pool"}, {"policy"}, {"served as"}, {"aliases"}});
  }
  Table table(std::move(columns));
  table.indent(indent);
  for (const json::value& model : models) {
    const auto engines = array(model, "engines").size();
    const auto ready = count(model, "engines_ready");
    std::vector<Cell> row{
        {text(model, "name")},
        {whole(static_cast<double>(engines))},
        {whole(static_cast<double>(ready)), ready == 0 ? Tone::kBad : Tone::kPlain},
        {whole(number(model, "running"))},
        {whole(number(model, "waiting"))},
        {percent(number(model, "kv_used"))},
        {percent(number(model, "prefix_hit_ratio"))},
        {millis_pair(number(model, "ttft_p50_ms"), number(model, "ttft_p99_ms"))},
        {whole(number(model, "output_tokens_per_second"))}};
    if (wide) {
      const auto aliases = join(texts(model, "aliases"), ", ");
      row.insert(row.end(), {{whole(number(model, "in_flight"))},
                             {text(model, "pool")},
                             {text(model, "policy")},
                             {text(model, "served_name")},
                             {aliases.empty() ? "-" : aliases}});
    }
    table.add(std::move(row));
  }
  return table.text(page);
}

// What engines say of themselves is as old as the last look at them.
std::string age_line(const json::array& models, const Page& page) {
  std::optional<double> oldest;
  for (const json::value& model : models) {
    if (const auto told = number(model, "load_age_ms"))
      oldest = std::max(oldest.value_or(0), *told);
  }
  if (!oldest) return {};
  return page.paint(Tone::kDim,
                    fmt::format("running, waiting and kv as engines told them at most {} ago",
                                age(oldest))) +
         '\n';
}

std::string status_text(const json::value& status, const Page& page, Format format) {
  std::string out = head_line(status, page) + '\n';
  const json::array& problems = array(status, "problems");
  if (problems.empty()) {
    out += page.paint(Tone::kGood, "no problems") + "\n";
  } else {
    out += page.paint(Tone::kBold, "problems") + '\n' + problems_text(problems, page);
  }
  const json::array& models = array(status, "models");
  out += '\n';
  out += models.empty() ? "no models yet: an engine tells its models once it is ready\n"
                        : models_text(models, page, format, 0) + age_line(models, page);
  return out;
}

int run_status(Session& session) {
  View view;
  view.load = [&session] { return session.get("/api/status"); };
  view.table = status_text;
  view.exit = [](const json::value& status) {
    const json::array& problems = array(status, "problems");
    const bool error = std::any_of(
        problems.begin(), problems.end(),
        [](const json::value& problem) { return text(problem, "severity") == "error"; });
    return error ? Exit::kUnhealthy : Exit::kOk;
  };
  return session.show(view);
}

// A described runtime's page is in its object, which is not told; its front page says something.
std::string health_url(const json::value& engine) {
  const auto runtime = parse_runtime(text(engine, "runtime"));
  const auto models = texts(engine, "models");
  const std::string path = runtime ? engines::path_for(engines::adapter_of(*runtime).health,
                                                       models.empty() ? "MODEL" : models.front())
                                   : "/";
  return text(engine, "url") + path;
}

}  // namespace infermesh::cli

#include "cli/decision_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "cli/human.h"

namespace infermesh::cli {
namespace {

struct Phrase {
  std::string_view word;
  std::string_view phrase;
};

constexpr std::array<Phrase, 7> kRejections{{
    {"not_ready", "not ready"},
    {"draining", "draining"},
    {"ejected", "ejected"},
    {"tried", "just failed"},
    {"full", "at its in-flight limit"},
    {"too_long", "the prompt does not fit"},
    {"api", "does not serve this route"},
}};

constexpr std::array<Phrase, 8> kReasons{{
    {"only_one", "the only one that can take it"},
    {"policy", "the policy's own order"},
    {"least_loaded", "least work ahead"},
    {"prefix_cached", "holds the longest part of the prompt"},
    {"fastest", "soonest done by measured speed"},
    {"session", "its session lives there"},
    {"trial", "a trial after failures"},
    {"fallback", "no fresh figures: fewest in flight"},
}};

template <std::size_t N>
std::string phrase_of(const std::array<Phrase, N>& phrases, std::string_view word) {
  for (const Phrase& phrase : phrases) {
    if (phrase.word == word) return std::string(phrase.phrase);
  }
  return std::string(word);
}

double part(const json::value& candidate, std::string_view key) {
  return number(candidate, key).value_or(0);
}

double total_ms(const json::value& candidate) {
  return part(candidate, "queue_ms") + part(candidate, "prefill_ms") + part(candidate, "decode_ms");
}

bool is_predicted(const json::array& candidates) {
  return std::any_of(candidates.begin(), candidates.end(),
                     [](const json::value& candidate) { return total_ms(candidate) > 0; });
}

// Without a candidate that could have taken it there are no figures to show.
bool any_accepted(const json::array& candidates) {
  return std::any_of(candidates.begin(), candidates.end(), [](const json::value& candidate) {
    return text(candidate, "rejection").empty();
  });
}

bool is_chosen(const json::value& decision, const json::value& candidate) {
  const auto engine = text(decision, "engine");
  return !engine.empty() && engine == text(candidate, "engine");
}

// What keeps it out, or would have: "down for 12 s: connection refused".
std::string obstacle(const json::value& candidate) {
  const auto rejection = text(candidate, "rejection");
  std::string out(phrase_of(kRejections, rejection));
  if (rejection == "tried" || rejection == "full" || rejection == "too_long" || rejection == "api")
    return out;
  if (rejection == "not_ready") out = text(candidate, "state");
  if (const auto since = number(candidate, "out_for_ms")) out += " for " + age(since);
  if (const auto why = text(candidate, "out_reason"); !why.empty()) out += ": " + why;
  return out;
}

// "chosen", "next", "11 % slower", or why it is out.
std::string verdict(const json::value& decision, const json::value& candidate, std::size_t position,
                    double best_ms) {
  const auto rejection = text(candidate, "rejection");
  if (is_chosen(decision, candidate)) {
    if (flag(decision, "trial")) return "chosen, as a trial";
    return rejection.empty() ? "chosen" : "chosen for want of a better one: " + obstacle(candidate);
  }
  if (rejection == "tried") return "not tried again: " + obstacle(candidate);
  if (!rejection.empty()) return "out: " + obstacle(candidate);
  const double mine = total_ms(candidate);
  std::string slower;
  if (best_ms > 0 && mine >= best_ms * 1.005) {
    slower = fmt::format("{:.0f} % slower", (mine / best_ms - 1) * 100);
  }
  if (position != 1) return slower;
  return slower.empty() ? "next" : "next, " + slower;
}

std::vector<Column> columns_for(bool predicted, Format format) {
  std::vector<Column> columns{{""}, {""}};
  const auto add = [&](std::initializer_list<std::string_view> names) {
    for (std::string_view name : names) columns.push_back({std::string(name), Align::kRight});
  };
  if (predicted) {
    add({"queue", "uncached", "prefill", "decode", "total"});
    if (format == Format::kWide) add({"in flight", "waiting", "ahead", "load age", "rates age"});
  } else {
    add({"in flight", "waiting", "ahead", "cached", "score"});
    if (format == Format::kWide) add({"load age"});
  }
  return columns;
}

std::string tokens(double number) {
  return whole(number) + " tok";
}

std::vector<std::string> predicted_cells(const json::value& candidate, double prompt_tokens,
                                         Format format) {
  const double uncached = std::max(0.0, prompt_tokens - part(candidate, "cached_tokens"));
  std::vector<std::string> cells{millis(number(candidate, "queue_ms")), tokens(uncached),
                                 millis(number(candidate, "prefill_ms")),
                                 millis(number(candidate, "decode_ms")),
                                 seconds_fine(total_ms(candidate))};
  if (format == Format::kWide) {
    cells.insert(cells.end(),
                 {whole(number(candidate, "in_flight")), whole(number(candidate, "waiting")),
                  tokens(part(candidate, "tokens_ahead")), millis(number(candidate, "load_age_ms")),
                  millis(number(candidate, "rates_age_ms"))});
  }
  return cells;
}

std::vector<std::string> load_cells(const json::value& candidate, Format format) {
  std::vector<std::string> cells{
      whole(number(candidate, "in_flight")), whole(number(candidate, "waiting")),
      tokens(part(candidate, "tokens_ahead")), tokens(part(candidate, "cached_tokens")),
      fmt::format("{:.4g}", part(candidate, "score"))};
  if (format == Format::kWide) cells.push_back(millis(number(candidate, "load_age_ms")));
  return cells;
}

const json::value* chosen_candidate(const json::value& decision) {
  for (const json::value& candidate : array(decision, "candidates")) {
    if (is_chosen(decision, candidate)) return &candidate;
  }
  return nullptr;
}

}  // namespace

std::string reason_phrase(std::string_view reason) {
  return phrase_of(kReasons, reason);
}

std::string why_text(const json::value& decision, double prompt_tokens, const Page& page,
                     Format format) {
  const json::array& candidates = array(decision, "candidates");
  if (candidates.empty()) return {};
  const bool predicted = is_predicted(candidates);
  const json::value* chosen = chosen_candidate(decision);
  const double best = predicted && chosen != nullptr ? total_ms(*chosen) : 0;
  Table table(any_accepted(candidates) ? columns_for(predicted, format)
                                       : std::vector<Column>{{""}, {""}});
  table.indent(2);
  std::size_t position = 0;
  for (const json::value& candidate : candidates) {
    const bool out = !text(candidate, "rejection").empty();
    const Tone tone = is_chosen(decision, candidate) ? Tone::kGood
                      : out                          ? Tone::kDim
                                                     : Tone::kPlain;
    std::vector<Cell> row{{text(candidate, "engine"), tone},
                          {verdict(decision, candidate, position, best), tone}};
    if (!out) {
      auto cells = predicted ? predicted_cells(candidate, prompt_tokens, format)
                             : load_cells(candidate, format);
      for (std::string& cell : cells) {
        row.push_back({std::move(cell)});
      }
      ++position;
    }
    if (out) {
      table.add_text(std::move(row));
    } else {
      table.add(std::move(row));
    }
  }
  std::string text = table.text(page);
  const auto total = count(decision, "candidates_total");
  const auto shown = static_cast<std::int64_t>(candidates.size());
  if (total > shown) text += fmt::format("  and {} more\n", total - shown);
  return text;
}

std::string facts_text(const json::value& decision, const Page& page) {
  const json::value* chosen = chosen_candidate(decision);
  if (chosen == nullptr) return {};
  std::vector<std::string> facts;
  const auto load_age = number(*chosen, "load_age_ms");
  const auto rates_age = number(*chosen, "rates_age_ms");
  facts.push_back(load_age ? fmt::format("engine load {} old", millis(load_age))
                           : "engine load unknown");
  if (rates_age) facts.push_back(fmt::format("rates {} old", millis(rates_age)));
  facts.emplace_back("own in-flight counted");
  const json::array& candidates = array(decision, "candidates");
  const bool cached = std::any_of(
      candidates.begin(), candidates.end(),
      [](const json::value& candidate) { return part(candidate, "cached_tokens") > 0; });
  if (cached) facts.emplace_back("prefix index approximate");
  constexpr std::size_t kIndent = 7;
  const std::size_t room = page.width > 40 ? page.width - kIndent : 0;
  return fmt::format("facts: {}\n", wrap(join(facts, ", "), room, kIndent));
}

}  // namespace infermesh::cli

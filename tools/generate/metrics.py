"""api/schema/metrics.yaml -> src/obs/metrics.gen.{h,cc}, docs/reference/metrics.md."""
from generate.common import NOTE, c_string, load, markdown_cell, pascal

KINDS = ("counter", "gauge", "histogram")


def enumerator(metric):
    name = metric["name"]
    for suffix in ("_total", "_seconds"):
        name = name.removesuffix(suffix)
    return "k" + pascal(name.removeprefix("infermesh_"))


def of_kind(table, kind):
    return [metric for metric in table if metric["kind"] == kind]


def header(table):
    enums = ""
    for kind in KINDS:
        names = "".join(f"  {enumerator(metric)},  // {metric['name']}{{{', '.join(metric['labels'])}}}\n"
                        for metric in of_kind(table, kind))
        enums += f"enum class {pascal(kind)}Id : std::uint8_t {{\n{names}}};\n"
        enums += f"constexpr std::size_t k{pascal(kind)}s = {len(of_kind(table, kind))};\n\n"
    return f"""// {NOTE.format("metrics.yaml")}
// The metrics' ids, one enum a kind, with the labels in the order that code gives them.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace infermesh::obs {{

{enums}enum class MetricKind : std::uint8_t {{ kCounter, kGauge, kHistogram }};

struct MetricInfo {{
  std::string_view name;
  MetricKind kind = MetricKind::kCounter;
  std::uint8_t index = 0;  // within its kind: the value of its id
  std::string_view help;
  std::string_view unit;
  std::span<const std::string_view> labels;
  std::span<const double> buckets;  // upper bounds without +Inf, of a histogram
}};

constexpr std::size_t kMetrics = {len(table)};
const std::array<MetricInfo, kMetrics>& metric_table();  // in the order of the schema

const MetricInfo& metric_info(CounterId id);
const MetricInfo& metric_info(GaugeId id);
const MetricInfo& metric_info(HistogramId id);

}}  // namespace infermesh::obs
"""


def source(table, buckets):
    arrays = ""
    for name, bounds in buckets.items():
        arrays += (f"constexpr std::array<double, {len(bounds)}> k{pascal(name)}{{"
                   f"{', '.join(str(bound) for bound in bounds)}}};\n")
    rows = ""
    index = dict.fromkeys(KINDS, 0)
    positions = {kind: [] for kind in KINDS}
    for position, metric in enumerate(table):
        labels = "{}"
        if metric["labels"]:
            labels = f"{enumerator(metric)}{pascal(metric['kind'])}Labels"
            arrays += (f"constexpr std::array<std::string_view, {len(metric['labels'])}> {labels}{{"
                       f"{', '.join(c_string(label) for label in metric['labels'])}}};\n")
        bounds = "k" + pascal(metric["buckets"]) if metric["kind"] == "histogram" else "{}"
        kind = metric["kind"]
        rows += (f"    {{{c_string(metric['name'])}, MetricKind::k{pascal(kind)}, {index[kind]},\n"
                 f"     {c_string(metric['help'])},\n"
                 f"     {c_string(metric['unit'])}, {labels}, {bounds}}},\n")
        positions[kind].append(position)
        index[kind] += 1
    lookups = ""
    for kind in KINDS:
        numbers = ", ".join(str(position) for position in positions[kind])
        arrays += f"constexpr std::array<std::uint8_t, {len(positions[kind])}> k{pascal(kind)}Rows{{{numbers}}};\n"
        lookups += (f"const MetricInfo& metric_info({pascal(kind)}Id id) {{\n"
                    f"  return kTable[k{pascal(kind)}Rows[static_cast<std::size_t>(id)]];\n}}\n")
    return f"""// {NOTE.format("metrics.yaml")}
#include "obs/metrics.gen.h"

namespace infermesh::obs {{
namespace {{

{arrays}
constexpr std::array<MetricInfo, kMetrics> kTable{{{{
{rows}}}}};

}}  // namespace

const std::array<MetricInfo, kMetrics>& metric_table() {{ return kTable; }}
{lookups}
}}  // namespace infermesh::obs
"""


def reference(table, buckets):
    lines = [
        "<!-- " + NOTE.format("metrics.yaml") + " -->",
        "# Metrics",
        "",
        "`GET /metrics` on the admin listener, Prometheus text format 0.0.4. Each metric keeps at most 1,000 label sets;",
        "further ones are counted under `other` and `infermesh_series_dropped_total` says so. A request for a model that",
        "is not served is counted under the model `unknown`, and so is one that needs no engine (api `models` or `unknown`).",
        "",
        "| metric | kind | labels | unit | what it says |",
        "| --- | --- | --- | --- | --- |",
    ]
    for metric in table:
        labels = ", ".join(f"`{label}`" for label in metric["labels"]) or "-"
        cells = [f"`{metric['name']}`", metric["kind"], labels, metric["unit"], metric["help"]]
        lines.append("| " + " | ".join(markdown_cell(cell) for cell in cells) + " |")
    lines += ["", "## Buckets", ""]
    for name, bounds in buckets.items():
        users = [f"`{metric['name']}`" for metric in table if metric.get("buckets") == name]
        lines.append(f"- {', '.join(users)}: {', '.join(str(bound) for bound in bounds)}")
    return "\n".join(lines) + "\n"


def check(table, buckets):
    names = [metric["name"] for metric in table]
    if len(set(names)) != len(names):
        raise ValueError("metrics.yaml: a name appears twice")
    for metric in table:
        if metric["kind"] not in KINDS:
            raise ValueError(f"metrics.yaml: {metric['name']}: unknown kind {metric['kind']}")
        if (metric["kind"] == "counter") != metric["name"].endswith("_total"):
            raise ValueError(f"metrics.yaml: {metric['name']}: counters, and only they, end in _total")
        if (metric["kind"] == "histogram") != ("buckets" in metric):
            raise ValueError(f"metrics.yaml: {metric['name']}: histograms, and only they, have buckets")
    for name, bounds in buckets.items():
        if bounds != sorted(set(bounds)):
            raise ValueError(f"metrics.yaml: buckets {name} do not ascend")


def metrics():
    schema = load("metrics.yaml")
    table, buckets = schema["metrics"], schema["buckets"]
    check(table, buckets)
    yield "src/obs/metrics.gen.h", header(table)
    yield "src/obs/metrics.gen.cc", source(table, buckets)
    yield "docs/reference/metrics.md", reference(table, buckets)

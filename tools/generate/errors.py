"""api/schema/errors.yaml -> src/base/error_code.gen.{h,cc}, docs/reference/errors.md."""
from generate.common import NOTE, c_string, load, markdown_cell, pascal


def errors():
    table = load("errors.yaml")["errors"]
    note = "// " + NOTE.format("errors.yaml")
    names = "".join("  k%s,\n" % pascal(e["name"]) for e in table)
    header = f"""{note}
#pragma once

#include <cstdint>
#include <string_view>

namespace infermesh {{

enum class ErrorCode : std::uint8_t {{
{names}}};

enum class RetryAdvice : std::uint8_t {{ kNone, kYes, kNo }};

// One row of the error table: how an error looks on the wire.
struct ErrorInfo {{
  std::string_view name;            // snake_case, the wire code
  std::string_view type;            // error.type on OpenAI routes
  std::string_view anthropic_type;  // error.type on /v1/messages
  std::uint16_t status;             // HTTP status on OpenAI routes
  std::uint16_t anthropic_status;   // HTTP status on /v1/messages
  RetryAdvice retry;                // becomes x-should-retry and retry-after-ms
  std::string_view what;
  std::string_view next;
}};

constexpr std::size_t kErrorCodes = {len(table)};

const ErrorInfo& error_info(ErrorCode code);

}}  // namespace infermesh
"""
    rows = ""
    for e in table:
        advice = {"yes": "kYes", "no": "kNo", "none": "kNone"}[e["retry"]]
        rows += "    {%s, %s, %s, %d, %d, RetryAdvice::%s,\n     %s,\n     %s},\n" % (
            c_string(e.get("code", e["name"])), c_string(e["type"]), c_string(e["anthropic"]),
            e["status"], e.get("anthropic_status", e["status"]), advice, c_string(e["what"]), c_string(e["next"]))
    source = f"""{note}
#include "base/error_code.gen.h"

#include <array>

namespace infermesh {{
namespace {{

constexpr std::array<ErrorInfo, kErrorCodes> kTable{{{{
{rows}}}}};

}}  // namespace

const ErrorInfo& error_info(ErrorCode code) {{ return kTable[static_cast<std::size_t>(code)]; }}

}}  // namespace infermesh
"""
    yield "src/base/error_code.gen.h", header
    yield "src/base/error_code.gen.cc", source
    yield "docs/reference/errors.md", reference(table)


def reference(table):
    retry = {"yes": "yes, after `retry-after-ms`", "no": "no", "none": "-"}
    lines = [
        "<!-- " + NOTE.format("errors.yaml") + " -->",
        "# Errors",
        "",
        "Every error that infermesh itself answers with. On `/v1/messages` the type and status are Anthropic's, given",
        "second where they differ. Errors that an engine answers with are passed on as the engine wrote them.",
        "",
        "| code | status | type | retry | what happened | what to do |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for e in table:
        status = str(e["status"])
        if "anthropic_status" in e:
            status += f" / {e['anthropic_status']}"
        kind = e["type"] if e["type"] == e["anthropic"] else f"{e['type']} / {e['anthropic']}"
        cells = [f"`{e.get('code', e['name'])}`", status, kind, retry[e["retry"]], e["what"], e["next"]]
        lines.append("| " + " | ".join(markdown_cell(cell) for cell in cells) + " |")
    return "\n".join(lines) + "\n"

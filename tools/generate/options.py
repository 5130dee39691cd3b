"""api/schema/options.yaml -> src/config/settings.gen.{h,cc}, docs/reference/settings.md, settings.schema.json."""
import re

from generate.common import (DURATION_PATTERN, NOTE, SIZE_PATTERN, as_json, byte_count, c_double, c_string, load,
                             markdown_cell, nanoseconds, number, pascal)

CPP_TYPES = {
    "string": "std::string", "url": "std::string", "bool": "bool", "u32": "std::uint32_t", "f64": "double",
    "duration": "Duration", "size": "std::uint64_t", "hostport": "HostPort", "list": "std::vector<std::string>",
    "ports": "std::vector<std::uint16_t>",
}
PLACEHOLDERS = {
    "string": "TEXT", "url": "URL", "bool": "on|off", "u32": "N", "f64": "X", "duration": "TIME", "size": "SIZE",
    "hostport": "HOST:PORT", "list": "A,B", "ports": "PORT,PORT",
}


def flag(option):
    return "--" + option["name"].replace("_", "-")


def env(option):
    return "INFERMESH_" + option["name"].upper()


def placeholder(option):
    if "placeholder" in option:
        return option["placeholder"]
    return "|".join(option["choices"]) if option["type"] == "enum" else PLACEHOLDERS[option["type"]]


def default_text(option):
    value = option["default"]
    return ",".join(str(item) for item in value) if isinstance(value, list) else str(value)


def cpp_type(option):
    return option["cpp"] if option["type"] == "enum" else CPP_TYPES[option["type"]]


def cpp_duration(value):
    """One unit is a literal people can read; anything else is nanoseconds."""
    match = re.fullmatch(r"(\d+)(ns|us|ms|s|m|h)", str(value))
    if not match:
        return f"Duration({nanoseconds(value)})"
    return match[1] + ("min" if match[2] == "m" else match[2])


def cpp_size(value):
    count = byte_count(value)
    for shift in (40, 30, 20, 10):
        if count and count % (1 << shift) == 0:
            return f"{count >> shift}ULL << {shift}"
    return str(count)


def cpp_default(option):
    kind, value = option["type"], option["default"]
    if kind in ("string", "url"):
        return " = " + c_string(value) if value else ""
    if kind == "enum":
        return f" = {option['cpp']}::k{pascal(value)}"
    if kind == "hostport":
        host, port = value.rsplit(":", 1)
        return f"{{{c_string(host)}, {port}}}"
    if kind == "duration":
        return " = " + cpp_duration(value)
    if kind == "size":
        return " = " + cpp_size(value)
    if kind == "bool":
        return " = true" if value == "on" else " = false"
    if kind in ("list", "ports"):
        items = [c_string(item) if kind == "list" else str(item) for item in value]
        return f"{{{', '.join(items)}}}" if items else ""
    return f" = {value}"


def header(table):
    enums = ""
    for option in table:
        if option["type"] == "enum" and not option.get("cpp_given"):
            names = ", ".join("k" + pascal(choice) for choice in option["choices"])
            enums += f"enum class {option['cpp']} : std::uint8_t {{ {names} }};\n"
    fields = ids = ""
    group = None
    for option in table:
        if option["group"] != group:
            group = option["group"]
            fields += f"  // {group}\n"
        fields += f"  {cpp_type(option)} {option['name']}{cpp_default(option)};\n"
        ids += f"  k{pascal(option['name'])},\n"
    return f"""// {NOTE.format("options.yaml")}
// Settings: every process setting with its default. What each means: docs/reference/settings.md.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/time.h"
#include "config/values.h"
#include "core/model/objects.h"

namespace infermesh::config {{

{enums}
// Fields stay in the order of the reference, for readers.
struct Settings {{  // NOLINT(clang-analyzer-optin.performance.Padding)
{fields}
  bool operator==(const Settings&) const = default;
}};

enum class SettingId : std::uint8_t {{
{ids}}};
constexpr std::size_t kSettings = {len(table)};

}}  // namespace infermesh::config
"""


def bound(option, key, missing):
    return c_double(number(option["type"], option[key])) if key in option else missing


def row(option):
    choices = "{}"
    if option["type"] == "enum":
        choices = f"k{pascal(option['name'])}Choices"
    member = f"&Settings::{option['name']}"
    item = {"url": "ValueKind::kUrl"}.get(option.get("item", option["type"]), "ValueKind::kPlain")
    return f"""    {{{c_string(option["name"])}, {c_string(flag(option))}, {c_string(env(option))},
     {c_string(option["type"])}, {c_string(option["group"])}, {c_string(placeholder(option))},
     {c_string(default_text(option))}, {c_string(option.get("unit", ""))},
     {c_string(option["text"])},
     {"true" if option["restart"] else "false"}, Verbs::k{pascal(option["verbs"])},
     {{{bound(option, "min", "0")}, {bound(option, "max", "kNoMaximum")}, {choices}, {item}}},
     &set_field<{member}>, &show_field<{member}>}},
"""


def source(table):
    choices = ""
    for option in table:
        if option["type"] == "enum":
            words = ", ".join(c_string(choice) for choice in option["choices"])
            choices += (f"constexpr std::array<std::string_view, {len(option['choices'])}> "
                        f"k{pascal(option['name'])}Choices{{{words}}};\n")
    return f"""// {NOTE.format("options.yaml")}
#include <array>

#include "config/setting_table.h"

namespace infermesh::config {{
namespace {{

{choices}
const std::array<SettingInfo, kSettings> kTable{{{{
{"".join(row(option) for option in table)}}}}};

}}  // namespace

std::span<const SettingInfo, kSettings> setting_table() {{ return kTable; }}

}}  // namespace infermesh::config
"""


def bounds_text(option):
    unit = option.get("unit", "")
    if "min" not in option:
        return "-"
    return f"{option['min']} to {option['max']}" + (f" {unit}" if unit else "")


def reference(table):
    lines = [
        "<!-- " + NOTE.format("options.yaml") + " -->",
        "# Settings",
        "",
        "A setting is a flag, an environment variable and a key of `infermesh.yaml`. Where several give a value, the",
        "flag wins over the environment, the environment over the file, the file over the default; a list is taken",
        "whole from one of them. `infermesh config view --origin` shows where each value came from.",
        "",
        "Durations are written `250ms`, `5s`, `1m30s`; sizes `64KiB`, `64MiB`; switches `on` and `off`. Unknown names",
        "and values out of bounds stop the start with exit code 2 and name the place. Environment variables that begin",
        "with `INFERMESH_KEY_` are free for engines' keys (`api_key_env`), and those that Kubernetes sets for a service",
        "called infermesh (`INFERMESH_SERVICE_HOST` ...) are passed over.",
        "",
        "Mesh objects (engines, pools, models, policies) are not settings: see [objects.md](objects.md).",
    ]
    group = None
    for option in table:
        if option["group"] != group:
            group = option["group"]
            lines += ["", f"## {group[0].upper()}{group[1:]}"]
        default = default_text(option)
        restart = "a restart" if option["restart"] else "nothing"
        lines += [
            "", f"### {option['name']}", "", option["text"], "",
            f"`{flag(option)} {placeholder(option)}` · `{env(option)}` · default "
            + (f"`{default}`" if default else "empty")
            + ("" if bounds_text(option) == "-" else f" · {bounds_text(option)}") + f" · a change needs {restart}",
        ]
    return "\n".join(lines) + "\n"


def json_type(option):
    kind = option["type"]
    if kind == "bool":
        return {"enum": ["on", "off", True, False]}
    if kind == "enum":
        return {"enum": option["choices"]}
    if kind in ("u32", "f64"):
        limits = {key: option[name] for key, name in (("minimum", "min"), ("maximum", "max")) if name in option}
        return {"type": "integer" if kind == "u32" else "number", **limits}
    if kind == "duration":
        return {"type": ["string", "integer"], "pattern": DURATION_PATTERN}
    if kind == "size":
        return {"type": ["string", "integer"], "pattern": SIZE_PATTERN}
    if kind == "list":
        return {"type": ["array", "string"], "items": {"type": "string"}}
    if kind == "ports":
        return {"type": ["array", "string"], "items": {"type": "integer", "minimum": 1, "maximum": 65535}}
    return {"type": "string"}


def json_schema(table):
    properties = {}
    for option in table:
        if option["verbs"] != "server" or option["name"] == "config":
            continue
        properties[option["name"]] = {"description": option["text"], **json_type(option),
                                      "default": option["default"]}
    return as_json({
        "$schema": "https://json-schema.org/draft/2020-12/schema", "$comment": NOTE.format("options.yaml"),
        "title": "infermesh.yaml", "type": "object", "additionalProperties": False, "properties": properties,
    })


def check(table):
    """A row that contradicts itself stops the generator."""
    names = [option["name"] for option in table]
    if len(set(names)) != len(names):
        raise ValueError("options.yaml: a name appears twice")
    for option in table:
        if "min" in option:
            low, high, value = (number(option["type"], option[key]) for key in ("min", "max", "default"))
            if not low <= value <= high:
                raise ValueError(f"options.yaml: the default of {option['name']} is out of bounds")
        if option["type"] == "enum" and option["default"] not in option["choices"]:
            raise ValueError(f"options.yaml: the default of {option['name']} is not a choice")


def options():
    table = load("options.yaml")["options"]
    check(table)
    yield "src/config/settings.gen.h", header(table)
    yield "src/config/settings.gen.cc", source(table)
    yield "docs/reference/settings.md", reference(table)
    yield "api/schema/settings.schema.json", json_schema(table)

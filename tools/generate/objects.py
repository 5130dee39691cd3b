"""api/schema/objects/*.yaml -> src/config/objects.gen.cc, docs/reference/objects.md, a JSON Schema for each kind."""
from generate.common import (DURATION_PATTERN, NOTE, as_json, c_double, c_string, load, markdown_cell, number, pascal)

KINDS = ("engine", "pool", "model", "routing_policy", "runtime")  # in the order of the reference
FORMS = {"u32": "kNumber", "f64": "kNumber", "bool": "kSwitch", "list": "kList"}
CHECKS = {None: "kPlain", "url": "kUrl", "grpc_url": "kGrpcUrl", "name": "kName", "variable": "kVariable", "header": "kHeader",
          "path": "kPath", "pointer": "kPointer", "source": "kSource", "api": "kApi"}
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$"


def default_text(field):
    return str(field.get("default", ""))


def row(kind, field):
    struct = kind["struct"]
    choices = f"k{pascal(field['name'])}Choices" if field["type"] == "enum" else "{}"
    low, high = (c_double(number(field["type"], field[key])) if key in field else missing
                 for key, missing in (("min", "0"), ("max", "kNoMaximum")))
    refers = f"ObjectKind::k{field['refers']}" if "refers" in field else "std::nullopt"
    member = f"&{struct}::{field['name']}"
    return (f"    {{{c_string(field['name'])}, FieldForm::{FORMS.get(field['type'], 'kText')}, "
            f"{'true' if field.get('required') else 'false'}, {refers}, {c_string(default_text(field))},\n"
            f"     {{{low}, {high}, {choices}, ValueKind::{CHECKS[field.get('check')]}}},\n"
            f"     &set_member<{member}>, &items_of_member<{member}>}},\n")


def source(kinds):
    choices = tables = lookups = ""
    for kind in kinds:
        for field in kind["fields"]:
            if field["type"] == "enum":
                words = ", ".join(c_string(choice) for choice in field["choices"])
                choices += (f"constexpr std::array<std::string_view, {len(field['choices'])}> "
                            f"k{pascal(field['name'])}Choices{{{words}}};\n")
        struct, count = kind["struct"], len(kind["fields"])
        tables += (f"const std::array<FieldInfo<{struct}>, {count}> k{kind['kind']}Fields{{{{\n"
                   + "".join(row(kind, field) for field in kind["fields"]) + "}};\n\n")
        lookups += (f"template <>\nstd::span<const FieldInfo<{struct}>> object_fields<{struct}>() {{\n"
                    f"  return k{kind['kind']}Fields;\n}}\n")
    return f"""// {NOTE.format("objects/*.yaml")}
#include <array>

#include "config/object_table.h"

namespace infermesh::config {{
namespace {{

{choices}
{tables}}}  // namespace

{lookups}
}}  // namespace infermesh::config
"""


def bounds_text(field):
    unit = f" {field['unit']}" if "unit" in field else ""
    if field["type"] == "enum":
        return ", ".join(f"`{choice}`" for choice in field["choices"])
    return f"{field['min']} to {field['max']}{unit}" if "min" in field else "-"


def default_cell(field):
    if field.get("required"):
        return "required"
    text = f"`{field['default']}`" if "default" in field else "-"
    return text + (f", or the setting [{field['setting']}](settings.md#{field['setting']})" if "setting" in field else "")


def reference(kinds):
    lines = [
        "<!-- " + NOTE.format("objects/*.yaml") + " -->",
        "# Mesh objects",
        "",
        "YAML documents with `kind`, `name` and `spec`, several to a file with `---` between them, read from the folder",
        "that the setting `objects` names. A changed set is read whole: with any mistake in it the set in use stays,",
        "and the mistakes are shown with file, line and column. Names are letters, digits and `. _ : / @ + -`.",
    ]
    for kind in kinds:
        lines += ["", f"## {kind['kind']}", "", kind["text"], "", "```yaml", kind["example"].rstrip(), "```", "",
                  "| field of `spec` | type | default | values | what it is |", "| --- | --- | --- | --- | --- |"]
        for field in kind["fields"]:
            cells = [f"`{field['name']}`", field["type"], default_cell(field), bounds_text(field), field["text"]]
            lines.append("| " + " | ".join(markdown_cell(cell) for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def json_type(field):
    kind = field["type"]
    if kind == "bool":
        return {"enum": [True, False, "on", "off"]}
    if kind == "enum":
        return {"enum": field["choices"]}
    if kind in ("u32", "f64"):
        return {"type": "integer" if kind == "u32" else "number", "minimum": field["min"], "maximum": field["max"]}
    if kind == "duration":
        return {"type": ["string", "integer"], "pattern": DURATION_PATTERN}
    text = {"type": "string", "pattern": NAME_PATTERN} if field.get("check") == "name" else {"type": "string"}
    return {"type": ["array", "string"], "items": text} if kind == "list" else text


def json_schema(kind):
    properties = {field["name"]: {"description": field["text"], **json_type(field)} for field in kind["fields"]}
    required = [field["name"] for field in kind["fields"] if field.get("required")]
    return as_json({
        "$schema": "https://json-schema.org/draft/2020-12/schema", "$comment": NOTE.format("objects/*.yaml"),
        "title": kind["kind"], "description": kind["text"], "type": "object", "additionalProperties": False,
        "required": ["kind", "name"] + (["spec"] if required else []),
        "properties": {
            "kind": {"const": kind["kind"]}, "name": {"type": "string", "pattern": NAME_PATTERN, "maxLength": 253},
            "spec": {"type": "object", "additionalProperties": False, "required": required, "properties": properties},
        },
    })


def objects():
    kinds = [load(f"objects/{name}.yaml") for name in KINDS]
    yield "src/config/objects.gen.cc", source(kinds)
    yield "docs/reference/objects.md", reference(kinds)
    for name, kind in zip(KINDS, kinds):
        yield f"api/schema/objects/{name}.schema.json", json_schema(kind)

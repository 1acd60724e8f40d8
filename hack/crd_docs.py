#!/usr/bin/env python3
"""Write docs/api.md: every field from the CRD's own descriptions, every condition and reason from reasons.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

REPO = Path(__file__).parent.parent
CRD = REPO / "crds" / "llama-operator.dev_llamamodels.yaml"
REASONS = Path(__file__).with_name("reasons.yaml")
PAGE = REPO / "docs" / "api.md"

HEAD = """\
<!-- Written by hack/crd_docs.py from the CRD and hack/reasons.yaml. `make generate` renews it. -->
# LlamaModel

{description}

`llama-operator.dev/v1alpha1`, short name `llama`. [Examples](../examples/README.md) show one story each;
`kubectl explain llama.spec` says the same as this page.
"""

CONDITIONS = """\
## Conditions and reasons

`kubectl get llama` shows Ready's reason as STATUS: with `Stalled:` before it where somebody has to act, with the
percentage while files are staged, and `Degraded: REASON` for a model that is Ready with less than was asked.
`kubectl describe llama NAME` shows all messages. The lists are closed: other types and reasons do not occur.

| type | true when |
|---|---|
"""

KUBERNETES = "as in PodSpec"
"""Says in a description that Kubernetes' own documentation tells the fields below."""

FORMS = {
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$": "lower-case letters, digits, `-` and `.`",
}
"""Patterns that are told in words, because they are long and everywhere."""

Schema = dict[str, Any]
Places = dict[int, tuple[str, Schema]]
"""Path of the section about a schema, and the schema, by its identity; in order."""


def main() -> None:
    PAGE.write_text(render())


def render() -> str:
    """The whole page."""
    definition = yaml.safe_load(CRD.read_text())["spec"]["versions"][0]
    schema = definition["schema"]["openAPIV3Schema"]
    parts = [HEAD.format(description=schema["description"])]
    parts += [f"- {rule['message']}\n" for rule in schema["x-kubernetes-validations"]]
    places: Places = {}
    for name in ("spec", "status"):
        place(name, schema["properties"][name], places)
    parts += [section(path, inner, places) for path, inner in places.values()]
    parts += [columns(definition), conditions()]
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def place(path: str, schema: Schema, places: Places) -> None:
    """A section for this object, and for those in it; one for what the CRD says once for several places (an alias)."""
    places.setdefault(id(schema), (path, schema))
    for name, inner in schema["properties"].items():
        if has_section(inner):
            place(f"{path}.{name}[]" if "items" in inner else f"{path}.{name}", inner.get("items", inner), places)


def has_section(schema: Schema) -> bool:
    """An object with fields of its own, or a list of such; what Kubernetes documents is not repeated."""
    return "properties" in schema.get("items", schema) and KUBERNETES not in schema.get("description", "")


def anchor(path: str) -> str:
    """Where GitHub puts a heading."""
    return "#" + "".join(letter for letter in path.lower() if letter.isalnum())


def section(path: str, schema: Schema, places: Places) -> str:
    lines = [f"## {path}", ""]
    if "description" in schema:
        lines += [schema["description"], ""]
    messages = [rule["message"] for rule in schema.get("x-kubernetes-validations", [])]
    lines += [f"- {message}" for message in messages] + ([""] if messages else [])
    lines += ["| field | type | default | |", "|---|---|---|---|"]
    required = schema.get("required", [])
    lines += [row(name, inner, name in required, places) for name, inner in schema["properties"].items()]
    return "\n".join(lines)


def row(name: str, schema: Schema, required: bool, places: Places) -> str:
    # The item's own limits; those of an object are told in its section.
    item = schema.get("items") or schema.get("additionalProperties") or {}
    each = ["each " + ", ".join(limits(item))] if "properties" not in item and limits(item) else []
    told = "; ".join([*limits(schema), *each])
    rules = [] if "properties" in schema else [rule["message"] for rule in schema.get("x-kubernetes-validations", [])]
    text = schema["description"] + (f" ({told})" if told else "") + "".join(f"<br>- {rule}" for rule in rules)
    default = "**required**" if required else shown(schema["default"]) if schema.get("default") else ""
    told_in = places.get(id(schema.get("items", schema)))
    field = f"[`{name}`]({anchor(told_in[0])})" if told_in else f"`{name}`"
    return f"| {field} | {kind(schema)} | {default} | {text.replace('|', chr(92) + '|')} |"


def kind(schema: Schema) -> str:
    if schema.get("x-kubernetes-int-or-string"):
        return "integer or string" if "maximum" in schema else "quantity"
    if "items" in schema:
        return f"list of {kind(schema['items'])}"
    if "additionalProperties" in schema:
        return f"map of {kind(schema['additionalProperties'])}"
    return str(schema["type"])


def limits(schema: Schema) -> list[str]:
    """What the API server enforces, in words."""
    found = [" or ".join(shown(value) for value in schema["enum"])] if "enum" in schema else []
    low, high = schema.get("minimum"), schema.get("maximum")
    if high is not None:
        found.append(f"{low} to {high}")
    elif low is not None:
        found.append(f"at least {low}")
    for key, unit in (("maxLength", "characters"), ("maxItems", "items"), ("maxProperties", "entries")):
        found += [f"at most {schema[key]} {unit}"] if key in schema else []
    pattern = schema.get("pattern")
    return found + ([FORMS.get(pattern, f"matches `{pattern}`")] if pattern else [])


def shown(value: Any) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{', '.join(map(str, value))}`" if isinstance(value, list) else f"`{value}`"


def columns(definition: Schema) -> str:
    lines = ["## kubectl get llama", "", "| column | |", "|---|---|"]
    for column in definition["additionalPrinterColumns"]:
        wide = " (`-o wide`)" if column.get("priority") else ""
        text = column.get("description", "Since the LlamaModel was made")
        lines.append(f"| {column['name'].upper()}{wide} | {text}. |")
    return "\n".join(lines)


def conditions() -> str:
    known = yaml.safe_load(REASONS.read_text())
    page = CONDITIONS + "".join(f"| {type_} | {text} |\n" for type_, text in known["types"].items())
    for type_, reasons in known["reasons"].items():
        page += f"\n### {type_}\n\n| reason | means | what to do |\n|---|---|---|\n"
        page += "".join(f"| `{reason}` | {means} | {act} |\n" for reason, (means, act) in reasons.items())
    return page


if __name__ == "__main__":
    main()

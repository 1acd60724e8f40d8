"""Bad manifests, made from the schema: each breaks one rule of one field. Pure, and the same in every run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.integration.manifests.fields import Field, Object, Schema, fields

MIB = "x" * 2**20

NASTY = {
    "empty": "",
    "blank": " ",
    "blank-inside": "a b",
    "blank-behind": "a ",
    "newline": "a\nb",
    "newline-behind": "a\n",
    "carriage-return": "a\rb",
    "tab": "a\tb",
    "nul": "a\0b",
    "escape": "\x1b[31ma",
    "delete": "a\x7fb",
    "c1-control": "a\x9bb",
    "next-line": "a\u0085b",
    "line-separator": "a\u2028b",
    "no-character": "a\uffffb",
    "look-alike": "\u0430bc",  # a Cyrillic a
    "full-width": "\uff41\uff42",
    "right-to-left": "a\u202eb",
    "zero-width": "a\u200bb",
    "emoji": "\U0001f999",
    "variable": "$(HOME)",
    "shell": "`id`;$(id) && rm -rf /",
    "template": "{{ .Values.secret }}",
    "quotes": "\"'",
    "parents": "../../etc/passwd",
    "backslash": "a\\b",
    "dash": "-",
    "flag": "--help",
    "not-a-number": "NaN",
    "infinity": "Infinity",
    "huge-number": "1e400",
    "negative": "-1",
    "hexadecimal": "0x10",
    "markup": "<script>",
}
"""Texts that somebody has sent to somebody's API. Where a field allows one of them, it is no bad manifest."""

TYPES: dict[str, Any] = {
    "text": "text",
    "integer": 7,
    "fraction": 1.5,
    "true": True,
    "object": {},
    "list": [],
}
FITTING = {
    "string": {"text"},
    "integer": {"integer"},
    "boolean": {"true"},
    "object": {"object"},
    "array": {"list"},
}
INT_OR_STRING = {"text", "integer"}


@dataclass(frozen=True)
class Case:
    """A manifest that the API server must refuse, and the words that its message must have."""

    id: str
    manifest: Object
    words: tuple[str, ...]


@dataclass(frozen=True)
class _Mutation:
    """`value` is put in the field's place; `named` is the path in the message, if it is not the field's own."""

    what: str
    value: Any
    named: str = ""


def cases() -> list[Case]:
    """All of them."""
    return [
        Case(f"{field.kind}-{mutation.what}", field.replaced(mutation.value), (mutation.named or field.path,))
        for field in fields()
        for mutation in _mutations(field)
    ]


def _mutations(field: Field) -> Iterator[_Mutation]:
    schema, value = field.schema, field.value()
    yield from _types(schema)
    if schema.get("enum") == [True]:
        yield _Mutation("is-false", False)
    elif "enum" in schema:
        yield from _choices(schema["enum"])
    elif isinstance(value, str):
        yield from _texts(schema)
    if isinstance(value, int):
        yield from _numbers(schema)
    if isinstance(value, list):
        yield from _lists(field, value)
    if isinstance(value, dict):
        yield from _objects(field, value)


def _types(schema: Schema) -> Iterator[_Mutation]:
    fitting = INT_OR_STRING if schema.get("x-kubernetes-int-or-string") else FITTING[schema["type"]]
    for name, value in TYPES.items():
        if name not in fitting:
            yield _Mutation(f"is-{name}", value)


def _choices(enum: list[str]) -> Iterator[_Mutation]:
    others = {"unknown": "Nope", "empty": "", "other-case": enum[0].swapcase(), "two": ",".join(enum), "long": MIB}
    for name, value in others.items():
        yield _Mutation(f"is-{name}", value)
    yield _Mutation("is-blank-behind", f"{enum[0]} ")


def _texts(schema: Schema) -> Iterator[_Mutation]:
    if "pattern" in schema:
        for name, value in NASTY.items():
            if not _matches(schema["pattern"], value):
                yield _Mutation(f"has-{name}", value)
    elif schema.get("minLength"):
        yield _Mutation("has-empty", "")
    yield _Mutation("too-long", "a" * (schema["maxLength"] + 1))
    yield _Mutation("a-mebibyte", MIB)


def _matches(pattern: str, text: str) -> bool:
    """As the API server does: `$` is the end, and not a newline before it."""
    assert pattern.endswith("$")
    return re.search(pattern[:-1] + r"\Z", text) is not None


def _numbers(schema: Schema) -> Iterator[_Mutation]:
    if "minimum" in schema:
        yield _Mutation("too-small", schema["minimum"] - 1)
        yield _Mutation("far-too-small", -(2**63))
    if "maximum" in schema:
        yield _Mutation("too-great", schema["maximum"] + 1)
        yield _Mutation("far-too-great", 2**63 - 1)
    if schema.get("type") == "integer":
        yield _Mutation("no-int64", 2**63)


def _lists(field: Field, value: list[Any]) -> Iterator[_Mutation]:
    schema = field.schema
    yield _Mutation("too-many", [value[0]] * (schema["maxItems"] + 1))
    if schema.get("minItems"):
        yield _Mutation("none", [])
    if schema["x-kubernetes-list-type"] != "atomic":
        yield _Mutation("twice", [*value, value[0]], f"{field.path}[{len(value)}]: Duplicate value")
    yield _Mutation("has-null", [None, *value], f"{field.path}[0]")


def _objects(field: Field, value: Object) -> Iterator[_Mutation]:
    schema = field.schema
    for name in schema.get("required", []):
        without = {key: inner for key, inner in value.items() if key != name}
        yield _Mutation(f"without-{name}", without, f"{field.path}.{name}: Required value")
        yield _Mutation(f"null-{name}", value | {name: None}, f"{field.path}.{name}")
    if "properties" in schema:
        yield _Mutation("unknown-field", value | {"nope": 1}, f'unknown field "{field.path}.nope"')
    if "maxProperties" in schema:
        (one, *_) = value.values()
        yield _Mutation("too-many", {f"example.com/k{n}": one for n in range(schema["maxProperties"] + 1)})

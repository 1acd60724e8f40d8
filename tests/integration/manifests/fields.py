"""Every field of the CRD's schema, with a place in a valid manifest where it has a value."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]
Schema = dict[str, Any]
Steps = tuple[str | int, ...]

SCHEMA: Schema = yaml.safe_load(Path("crds/llama-operator.dev_llamamodels.yaml").read_text())["spec"]["versions"][0][
    "schema"
]["openAPIV3Schema"]
SPEC: Schema = SCHEMA["properties"]["spec"]
VALID: list[Object] = [
    json.loads(json.dumps(manifest))  # what YAML's aliases share must not be changed in two places
    for manifest in yaml.safe_load_all((Path(__file__).parent / "valid.yaml").read_text())
]


@dataclass(frozen=True)
class Field:
    """A field where a valid manifest holds it. `kind` is its path in the schema: `[]` for any item, `*` for any key."""

    kind: str
    steps: Steps
    schema: Schema
    manifest: Object

    @property
    def path(self) -> str:
        """As the API server writes it: `spec.engine.env[0].name`."""
        return path_of(self.steps)

    def value(self) -> Any:
        """A copy of what the valid manifest has there."""
        found: Any = self.manifest
        for step in self.steps:
            found = found[step]
        return copy.deepcopy(found)

    def replaced(self, value: Any) -> Object:
        """The manifest with this value instead."""
        changed = copy.deepcopy(self.manifest)
        holder: Any = changed
        for step in self.steps[:-1]:
            holder = holder[step]
        holder[self.steps[-1]] = value
        return changed


def path_of(steps: Steps) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return text.removeprefix(".")


def fields() -> list[Field]:
    """Each field of the spec once: where a manifest of `VALID` holds it first.

    What the CRD says once and means in several places (an alias in YAML, as of a label selector) is one field.
    """
    found: dict[int, Field] = {}
    for manifest in VALID:
        for field in _below(Field("spec", ("spec",), SPEC, manifest)):
            found.setdefault(id(field.schema), replace(field, kind=_kinds()[id(field.schema)]))
    return list(found.values())


def kinds() -> list[str]:
    """All fields that the schema knows, whether a manifest holds them or not; one of several places as above."""
    return list(_kinds().values())


@cache
def _kinds() -> dict[int, str]:
    """By the schema's identity, the first place that it has in the schema."""
    found: dict[int, str] = {}
    for kind, schema in schemas("spec", SPEC):
        found.setdefault(id(schema), kind)
    return found


def schemas(kind: str, schema: Schema) -> Iterator[tuple[str, Schema]]:
    """The schema, and all below it, each in every place."""
    yield kind, schema
    for name, inner in schema.get("properties", {}).items():
        yield from schemas(f"{kind}.{name}", inner)
    for key, mark in (("items", "[]"), ("additionalProperties", ".*")):
        if key in schema:
            yield from schemas(kind + mark, schema[key])


def _below(field: Field) -> Iterator[Field]:
    yield field
    value, schema = field.value(), field.schema
    for name, inner in schema.get("properties", {}).items():
        if name in value:
            yield from _below(Field(f"{field.kind}.{name}", (*field.steps, name), inner, field.manifest))
    if "items" in schema:
        for number in range(len(value)):
            yield from _below(Field(f"{field.kind}[]", (*field.steps, number), schema["items"], field.manifest))
    if "additionalProperties" in schema:
        for key in value:
            inner = schema["additionalProperties"]
            yield from _below(Field(f"{field.kind}.*", (*field.steps, key), inner, field.manifest))

"""The CRD and `api/types.py` say the same: fields, what is required, defaults, enums - in both directions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import yaml
from msgspec import inspect

from llama_operator import constants
from llama_operator.api.types import Source, Spec

CRD = yaml.safe_load(Path("crds/llama-operator.dev_llamamodels.yaml").read_text())
VERSION = CRD["spec"]["versions"][0]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]

Schema = dict[str, Any]
FREE: Schema = {"type": "object", "free": True}
"""An object that the types pass on as it is."""


def of_type(type_: inspect.Type) -> Schema:
    """A Python type in the words of the schema, as far as the two can be compared."""
    match type_:
        case inspect.UnionType():
            members = [member for member in type_.types if not isinstance(member, inspect.NoneType)]
            return of_type(members[0]) if len(members) == 1 else {"int-or-string": True}
        case inspect.StructType(fields=fields):
            return {
                "type": "object",
                "properties": {field.encode_name: of_field(field) for field in fields},
                "required": sorted(field.encode_name for field in fields if field.required),
            }
        case inspect.LiteralType(values=values):
            return {"type": "string", "enum": sorted(values)}
        case inspect.VarTupleType(item_type=item):
            return {"type": "array", "items": of_type(item)}
        case inspect.DictType(value_type=inspect.AnyType()):
            return FREE
        case inspect.DictType(value_type=value):
            return {"type": "object", "additionalProperties": of_type(value)}
        case inspect.StrType():
            return {"type": "string"}
        case inspect.IntType():
            return {"type": "integer"}
        case inspect.BoolType():
            return {"type": "boolean"}
    raise AssertionError(f"{type_} has no counterpart in a schema")


def of_field(field: inspect.Field) -> Schema:
    """With its default. Nothing, an empty list and an empty object need none in the schema."""
    default = None if field.default is msgspec.NODEFAULT else msgspec.json.decode(msgspec.json.encode(field.default))
    if field.default_factory is not msgspec.NODEFAULT:
        default = field.default_factory()
    schema = of_type(field.type)
    return schema | ({"default": default} if default or ("properties" in schema and default == {}) else {})


def of_schema(schema: Schema, like: Schema) -> Schema:
    """The CRD's schema, reduced to what `of_type` can say; `like` tells where the types look no deeper."""
    reduced: Schema = {"default": schema["default"]} if "default" in schema else {}
    if schema.get("x-kubernetes-int-or-string"):
        return {"int-or-string": True}
    if like.get("free"):
        assert schema["type"] == "object"
        return FREE
    reduced["type"] = schema["type"]
    if "enum" in schema and "enum" in like:
        reduced["enum"] = sorted(schema["enum"])
    if "properties" in schema:
        known = like.get("properties", {})
        reduced["properties"] = {name: of_schema(s, known.get(name, {})) for name, s in schema["properties"].items()}
        reduced["required"] = sorted(schema.get("required", []))
    for inner in ("items", "additionalProperties"):
        if inner in schema:
            reduced[inner] = of_schema(schema[inner], like.get(inner, {}))
    return reduced


def flat(path: str, schema: Schema) -> dict[str, Schema]:
    """One entry for each field, so that a difference can be read."""
    nested = ("properties", "items", "additionalProperties")
    fields = {path: {key: value for key, value in schema.items() if key not in nested}}
    for name, inner in schema.get("properties", {}).items():
        fields |= flat(f"{path}.{name}", inner)
    for key, mark in (("items", "[]"), ("additionalProperties", ".*")):
        fields |= flat(path + mark, schema[key]) if key in schema else {}
    return fields


def test_types_and_schema_are_the_same() -> None:
    types = of_type(inspect.type_info(Spec))
    schema = of_schema(SCHEMA["properties"]["spec"], types)
    assert flat("spec", schema) == flat("spec", types)


def test_a_source_is_the_same_wherever_it_is() -> None:
    """In the file as users get it, and as a JSON tool without aliases would write it."""
    spec = SCHEMA["properties"]["spec"]["properties"]
    others = [spec["projector"], spec["adapters"]["items"], spec["draft"]]
    texts = {json.dumps(holder["properties"]["source"]) for holder in others} | {json.dumps(spec["source"])}
    assert len(texts) == 1
    assert spec["source"]["properties"].keys() == {field.encode_name for field in msgspec.structs.fields(Source)}


def test_names_are_the_same() -> None:
    names = CRD["spec"]["names"]
    assert CRD["spec"]["group"] == constants.GROUP
    assert (names["kind"], names["plural"], VERSION["name"]) == (constants.KIND, constants.PLURAL, constants.VERSION)
    assert CRD["metadata"]["name"] == f"{constants.PLURAL}.{constants.GROUP}"


KEYWORDS = {
    *("type", "properties", "required", "items", "additionalProperties", "anyOf", "description", "default"),
    *("enum", "format", "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"),
    *("maxProperties", "x-kubernetes-validations", "x-kubernetes-list-type", "x-kubernetes-list-map-keys"),
    *("x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields"),
}


def test_there_are_no_stray_keywords() -> None:
    """In YAML's flow style a comma ends a text that is not quoted, and the rest becomes a key of its own."""

    def walk(path: str, schema: Schema) -> list[str]:
        found = [f"{path}: {key}" for key in schema if key not in KEYWORDS]
        for name, inner in schema.get("properties", {}).items():
            found += walk(f"{path}.{name}", inner)
        for inner in ("items", "additionalProperties"):
            found += walk(f"{path}[]", schema[inner]) if inner in schema else []
        return found

    assert walk("", SCHEMA) == []


def test_every_field_is_described() -> None:
    def walk(path: str, schema: Schema) -> list[str]:
        here = [] if schema.get("description") else [path]
        for name, inner in schema.get("properties", {}).items():
            if path != "" or name in ("spec", "status"):
                here += walk(f"{path}.{name}", inner)
        return here + [p for p in walk(f"{path}[]", schema["items"]) if p != f"{path}[]"] if "items" in schema else here

    assert walk("", SCHEMA) == []


def test_every_text_has_a_limit() -> None:
    """Without limits the API server cannot bound the cost of the CEL rules, and one object could fill etcd."""

    def walk(path: str, schema: Schema) -> list[str]:
        kind = "string" if schema.get("x-kubernetes-int-or-string") else schema.get("type")
        need = {"string": ("maxLength", "enum"), "array": ("maxItems",)}.get(kind or "", ())
        here = [path] if need and not any(limit in schema for limit in need) else []
        if "additionalProperties" in schema:
            here += [path] if "maxProperties" not in schema else []
            here += walk(f"{path}.*", schema["additionalProperties"])
        for name, inner in schema.get("properties", {}).items():
            here += walk(f"{path}.{name}", inner)
        return here + (walk(f"{path}[]", schema["items"]) if "items" in schema else [])

    assert walk("spec", SCHEMA["properties"]["spec"]) == []

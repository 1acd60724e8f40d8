"""Manifests that break one CEL rule each: of a single field (`rules`), of the whole spec, of the name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.integration.manifests.fields import SCHEMA, SPEC, Field, fields, schemas
from tests.integration.manifests.mutations import Case
from tests.integration.manifests.rules import VIOLATIONS

OF_THE_WHOLE: dict[str, list[dict[str, Any]]] = {
    "spec.storage has no meaning when every source is a volume or oci: these files are served in place": [
        {"source": s, "projector": {"source": s}, "draft": {"source": s}, "adapters": [{"name": "a", "source": s}]}
        for s in ({"volume": {"claimName": "a", "path": "m.gguf"}}, {"oci": {"image": "a", "path": "m.gguf"}})
    ],
    "draft is for engine.mode chat": [{"engine": {"mode": mode}} for mode in ("embedding", "rerank")],
    "engine.gpuLayers and engine.split are for accelerators; accelerator.type is cpu": [
        {"accelerator": {"type": "cpu"}, "engine": {"gpuLayers": "auto"}},
        {"accelerator": {}, "engine": {"split": {}}},
    ],
    "engine.split.proportions must have one number for each accelerator (accelerator.count)": [
        {"accelerator": {"type": "cuda", "count": count}, "engine": {"split": {"proportions": proportions}}}
        for count, proportions in ((2, [1]), (1, [1, 2]))
    ],
    "engine.split.main must be less than accelerator.count: the first accelerator is 0": [
        {"accelerator": {"type": "cuda", **count}, "engine": {"split": {"main": main}}}
        for count, main in (({}, 1), ({"count": 2}, 2))
    ],
    "engine.promptCache must be less than resources.limits.memory, which holds the model, too": [
        {"engine": {"promptCache": "8Gi"}, "resources": {"limits": {"memory": "8Gi"}}},
        {"engine": {"promptCache": 2000}, "resources": {"limits": {"memory": 1000}}},
    ],
}
"""Rules of `spec` itself: parts of the spec that break them in the first valid manifest."""

NAME_RULE = SCHEMA["x-kubernetes-validations"][0]["message"]
NAMES = ["1a", "a.b", "x" * 64, "0"]
"""Names that Kubernetes accepts for an object, and we do not."""


def cases() -> list[Case]:
    """All of them."""
    known = {field.kind: field for field in fields()}
    found = [case for kind, rules in VIOLATIONS.items() for case in _cases(known[kind], rules)]
    spec = known["spec"]
    found += _cases(spec, {message: [spec.value() | part for part in parts] for message, parts in OF_THE_WHOLE.items()})
    names = [spec.manifest | {"metadata": {"name": name}} for name in NAMES]
    return found + [Case(f"metadata.name-{n}", manifest, (NAME_RULE,)) for n, manifest in enumerate(names)]


def _cases(field: Field, rules: dict[str, list[Any]]) -> Iterator[Case]:
    for message, values in rules.items():
        words = "-".join(message.split()[:5]).rstrip(",:;")
        for number, value in enumerate(values):
            yield Case(f"{field.kind}-rule-{words}-{number}", field.replaced(value), (field.path, message))


def rules() -> set[tuple[str, str]]:
    """Field and message of each rule that one manifest alone can break: not by comparing with an older one."""
    once = {id(schema): (kind, schema) for kind, schema in reversed(list(schemas("spec", SPEC)))}
    return {
        (kind, rule["message"])
        for kind, schema in once.values()
        for rule in schema.get("x-kubernetes-validations", [])
        if "oldSelf" not in rule["rule"]
    }

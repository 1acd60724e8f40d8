"""One state of a model, and what its conditions must say then."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from llama_operator.reconcile.status import Failure, Observed
from tests.unit.reconcile.objects import Object


@dataclass(frozen=True)
class Case:
    """What there is, and the reasons of Ready, Staged, Available and Exposed; then Reconciling, Stalled or neither."""

    name: str
    observed: Observed
    reasons: str
    spec: dict[str, Any] = field(default_factory=dict)
    failure: Failure | None = None
    words: str = ""


def by_type(status: Object) -> dict[str, Object]:
    return {c["type"]: c for c in status["conditions"]}

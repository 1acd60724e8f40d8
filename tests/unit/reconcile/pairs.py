"""Each state and each that may follow it: of one spec."""

from __future__ import annotations

from collections.abc import Iterator

from tests.unit.reconcile.case import Case
from tests.unit.reconcile.cases import CASES


def pairs() -> Iterator[tuple[Case, Case]]:
    for before in CASES:
        for after in CASES:
            if before.spec == after.spec:
                yield before, after

"""Bad manifests, as a user meets them: kubectl, and the CRD that the chart installed. The message names the field.

The manifests are those of the integration tests; their first line says what must be in the message.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from demo.cluster import StepError, kubectl
from ground.paths import REPO
from tests.e2e.witness import Witness

pytestmark = pytest.mark.e2e

FILES = sorted((REPO / "tests" / "integration" / "bad").glob("*.yaml"))
SINGLE = [path for path in FILES if "\n---" not in path.read_text()]
"""The others are edits of something good, which need more than one request; the integration tests do them."""


def test_there_are_enough() -> None:
    assert len(SINGLE) >= 20


@pytest.mark.parametrize("path", SINGLE, ids=lambda path: path.stem)
def test_refused(path: Path, witness: Witness, namespace: str) -> None:
    expected = re.match("# expect: (.+)\n", path.read_text())
    assert expected
    with pytest.raises(StepError) as refusal:
        kubectl("create", "--dry-run=server", "--validate=strict", "-n", namespace, "-f", str(path))
    assert expected[1] in str(refusal.value)

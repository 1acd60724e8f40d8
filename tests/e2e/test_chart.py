"""The installed chart's own test: through the API server to the operator and back, without a download."""

from __future__ import annotations

import pytest

from demo import cluster
from tests.e2e.witness import Witness

pytestmark = pytest.mark.e2e


def test_helm_test_passes(witness: Witness) -> None:
    said = cluster.tool("helm", "test", cluster.RELEASE, "--namespace", cluster.OPERATOR_NAMESPACE, "--timeout", "120s")
    assert "Phase:          Succeeded" in said

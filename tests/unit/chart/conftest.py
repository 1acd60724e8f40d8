import shutil
from pathlib import Path

import pytest

from ground import binaries, shell
from tests.unit.chart.helm import REPO, Helm


@pytest.fixture(scope="session")
def helm_program() -> Path:
    """The cluster's helm, the user's own, or one built now."""
    own = REPO / ".ground" / "bin" / "helm"
    if own.exists():
        return own
    if found := shutil.which("helm"):
        return Path(found)
    try:
        return binaries.ensure("helm")["helm"]
    except shell.GroundError as error:
        pytest.fail(f"the chart's tests need helm 3.12 or newer: put it on PATH, or run `make cluster`. {error}")


@pytest.fixture(scope="session")
def helm(helm_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    return Helm(helm_program, tmp_path_factory.mktemp("helm"))

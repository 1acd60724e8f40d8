"""The programs in .ground/bin: links into a cache that other checkouts use, too."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ground import binaries, paths, tools


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was built, none of which takes any time."""
    names: list[str] = []

    def ensure(*asked: str) -> dict[str, Path]:
        names.extend(asked)
        (tmp_path / "cache").mkdir(exist_ok=True)
        found = {name: tmp_path / "cache" / name for name in asked}
        for path in found.values():
            path.touch()
        return found

    monkeypatch.setattr(paths, "BIN", tmp_path / "bin")
    monkeypatch.setattr(binaries, "ensure", ensure)
    return names


@pytest.mark.parametrize("lost", [lambda kind: kind.unlink(), lambda kind: kind.resolve().unlink()])
def test_kind_alone_is_built_again_to_take_a_cluster_away(built: list[str], lost: Callable[[Path], None]) -> None:
    kind = paths.BIN / "kind"
    tools.ensure_kind()
    assert kind.exists()
    tools.ensure_kind()
    assert built == ["kind"]
    lost(kind)
    tools.ensure_kind()
    assert kind.exists()
    assert built == ["kind"] * 2

"""The key of a content: the same for the same, another for anything else."""

import os
from pathlib import Path

import pytest

from ground import paths


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "sub").mkdir(parents=True)
    (root / "a").write_text("1")
    (root / "sub" / "b").write_text("2")
    return root


def test_time_stamps_and_place_do_not_count(tree: Path, tmp_path: Path) -> None:
    before = paths.content_key(tree)
    os.utime(tree / "a", (0, 0))
    moved = tree.rename(tmp_path / "elsewhere")
    assert paths.content_key(moved) == before


@pytest.mark.parametrize("change", ["bytes", "name", "mode", "new file", "extra"])
def test_everything_else_counts(tree: Path, change: str) -> None:
    before = paths.content_key(tree)
    match change:
        case "bytes":
            (tree / "a").write_text("3")
        case "name":
            (tree / "a").rename(tree / "c")
        case "mode":
            (tree / "a").chmod(0o755)
        case "new file":
            (tree / "sub" / "c").write_text("")
    assert paths.content_key(tree, extra=["x"] if change == "extra" else []) != before


def test_a_symlink_counts_by_its_aim(tree: Path) -> None:
    (tree / "link").symlink_to("a")
    before = paths.content_key(tree)
    (tree / "link").unlink()
    (tree / "link").symlink_to("sub/b")
    assert paths.content_key(tree) != before


def test_words_do_not_run_together() -> None:
    assert paths.content_key(extra=["ab", "c"]) != paths.content_key(extra=["a", "bc"])


def test_a_missing_path_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        paths.content_key(tmp_path / "missing")


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LLAMA_GROUND_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert paths.cache_root() == tmp_path / "llama-operator-ground"
    monkeypatch.setenv("LLAMA_GROUND_CACHE", str(tmp_path / "own"))
    assert paths.cache_root() == tmp_path / "own"

"""The build context: which files, under which tag."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ground import context


@pytest.mark.parametrize(
    ("rules", "path", "expected"),
    [
        ("", "a.py", False),
        ("*.pyc", "a.pyc", True),
        ("*.pyc", "pkg/a.pyc", False),
        ("**/*.pyc", "pkg/deep/a.pyc", True),
        ("**/*.pyc", "a.pyc", True),
        ("docs", "docs/a.md", True),
        ("docs", "docsy/a.md", False),
        ("docs/", "docs/a.md", True),
        ("/docs", "docs/a.md", True),
        ("a?.txt", "ab.txt", True),
        ("a?.txt", "a/.txt", False),
        ("[ab].txt", "b.txt", True),
        ("a.b", "axb", False),
        ("*\n!operator", "operator/x.py", False),
        ("*\n!operator", "other/x.py", True),
        ("*\n!operator\n**/*.pyc", "operator/x.pyc", True),
        ("# *\n\n", "a", False),
    ],
)
def test_the_last_rule_that_speaks_of_a_path_decides(rules: str, path: str, expected: bool) -> None:
    assert context.ignored(context.parse(rules), path) is expected


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in (
        "pyproject.toml",
        "operator/app/main.py",
        "operator/app/__pycache__/main.pyc",
        ".venv/big",
        "docs/a.md",
    ):
        file = tmp_path / "root" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    return tmp_path / "root"


def test_an_allow_list_brings_back_what_lies_in_a_folder_left_out(root: Path) -> None:
    rules = context.parse("*\n!pyproject.toml\n!operator/app")
    assert list(context.files(root, rules)) == ["operator/app/main.py", "pyproject.toml"]


def test_without_rules_everything_goes_in_but_what_never_does(root: Path) -> None:
    assert list(context.files(root, [])) == ["docs/a.md", "operator/app/main.py", "pyproject.toml"]


def test_a_folder_left_out_is_not_walked(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    walked: list[str] = []
    scan = os.scandir

    def noted(path: Path | str) -> Iterator[os.DirEntry[str]]:
        walked.append(Path(path).relative_to(root).as_posix())
        return scan(path)

    monkeypatch.setattr(os, "scandir", noted)
    assert list(context.files(root, context.parse("docs\npyproject.toml\n!operator/**"))) == ["operator/app/main.py"]
    assert walked == [".", "operator", "operator/app"]


def test_laid_out_files_carry_no_trace_of_the_checkout(root: Path, tmp_path: Path) -> None:
    script = root / "operator/app/main.py"
    script.chmod(0o700)
    (root / "link").symlink_to("docs/a.md")
    target = tmp_path / "copy"
    target.mkdir()
    context.lay_out(root, [], target)
    copy = target / "operator/app/main.py"
    assert copy.read_text() == "operator/app/main.py"
    assert copy.stat().st_mode & 0o777 == 0o755
    assert (target / "docs/a.md").stat().st_mode & 0o777 == 0o644
    assert os.readlink(target / "link") == "docs/a.md"
    stamps = {path.lstat().st_mtime for path in (target, *target.rglob("*"))}
    assert stamps == {0.0}

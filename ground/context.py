"""What a Dockerfile may copy: the build context, chosen by .dockerignore rules, and the tag that names it.

The context is laid out as a folder of its own before any builder sees it. So the tag says exactly what the
builder got, whichever builder it is, and time stamps of the checkout reach no layer.
"""

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

NEVER = {"__pycache__", ".git", ".ground", ".venv"}
"""Folders that belong in no image, whatever the rules say."""


@dataclass(frozen=True)
class Rule:
    """One line of a .dockerignore: a pattern of path segments, and whether it brings back (`!`)."""

    pattern: str
    brings_back: bool

    def matches(self, path: str) -> bool:
        """Whether the rule speaks of this path (POSIX, relative to the context) or of a folder it lies in."""
        return re.fullmatch(_regex(self.pattern) + "(?:/.*)?", path) is not None

    def reaches_below(self, folder: str) -> bool:
        """Whether a path inside `folder` could match."""
        for wanted, given in zip(self.pattern.split("/"), folder.split("/"), strict=False):
            if wanted == "**":
                return True
            if not fnmatchcase(given, wanted):
                return False
        return True


def parse(text: str) -> list[Rule]:
    """Read a .dockerignore (https://docs.docker.com/build/concepts/context/#dockerignore-files)."""
    rules = []
    for line in text.splitlines():
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        brings_back = entry.startswith("!")
        rules.append(Rule(entry.removeprefix("!").strip().strip("/"), brings_back))
    return rules


def ignored(rules: Sequence[Rule], path: str) -> bool:
    """Whether the rules leave the path out: the last one that speaks of it decides."""
    verdict = False
    for rule in rules:
        if rule.matches(path):
            verdict = not rule.brings_back
    return verdict


def files(root: Path, rules: Sequence[Rule], folder: str = "") -> Iterator[str]:
    """The context's files and links, relative to `root`, in a fixed order."""
    back = [rule for rule in rules if rule.brings_back]
    for entry in sorted(os.scandir(root / folder), key=lambda entry: entry.name):
        path = f"{folder}/{entry.name}".lstrip("/")
        left_out = ignored(rules, path)
        if not entry.is_dir(follow_symlinks=False):
            if not left_out:
                yield path
        elif entry.name not in NEVER and (not left_out or any(rule.reaches_below(path) for rule in back)):
            yield from files(root, rules, path)


def lay_out(root: Path, rules: Sequence[Rule], target: Path) -> None:
    """Copy the context's files into `target`, with modes 644 or 755 and the time stamp 0."""
    for path in files(root, rules):
        source, copy = root / path, target / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy, follow_symlinks=False)
        if not copy.is_symlink():
            copy.chmod(0o755 if os.access(source, os.X_OK) else 0o644)
        os.utime(copy, (0, 0), follow_symlinks=False)
    for folder, _, _ in os.walk(target):
        os.utime(folder, (0, 0))


def _regex(pattern: str) -> str:
    """Go's filepath.Match with `**`, as a regular expression."""
    out, rest = "", pattern
    while rest:
        if rest.startswith("**/"):
            out, rest = out + "(?:.*/)?", rest[3:]
        elif rest.startswith("**"):
            out, rest = out + ".*", rest[2:]
        elif rest[0] == "[" and "]" in rest:
            end = rest.index("]") + 1
            out, rest = out + rest[:end], rest[end:]
        else:
            out, rest = out + {"*": "[^/]*", "?": "[^/]"}.get(rest[0], re.escape(rest[0])), rest[1:]
    return out

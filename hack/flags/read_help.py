#!/usr/bin/env python3
"""Make the table of flags of a build of llama-server from what its `--help` writes.

    docker run --rm llama-server --help | python hack/flags/read_help.py COMMIT

It writes operator/llama_operator/flags/builds/COMMIT.json; tests/e2e/test_flags.py compares the table with the binary.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BUILDS = Path(__file__).resolve().parents[2] / "operator" / "llama_operator" / "flags" / "builds"
COLUMN = 40
"""Where the descriptions begin (llama.cpp, common/arg.cpp, common_arg::to_string)."""

_HEAD = re.compile(r"(-[^\s,]+(?:, +-[^\s,]+)*)(?: (.+))?")
_CHOICES = re.compile(r"[{\[]([\w-]+(?:[,|][\w-]+)+)[}\]]")
_LISTED = re.compile(r"(?:allowed values|list of built-in templates):\s+([^()]+)")


def main() -> None:
    build, found = sys.argv[1], list(flags(sys.stdin.read()))
    if not found:
        sys.exit("no flag in it; is that what llama-server --help writes?")
    (BUILDS / f"{build}.json").write_text(written(build, found))


def written(build: str, found: list[dict[str, Any]]) -> str:
    """One flag to a line, so that a change of llama.cpp is read as a change of lines."""
    lines = ",\n".join(f"  {json.dumps(flag)}" for flag in found)
    return f'{{"build": {json.dumps(build)}, "flags": [\n{lines}\n]}}\n'


def flags(text: str) -> Iterator[dict[str, Any]]:
    """Each flag, in the order of the text."""
    for head, description in entries(text):
        match = _HEAD.fullmatch(head)
        if match is None:
            raise ValueError(f"not understood: {head!r}")
        names, hint = re.split(r", +", match[1]), match[2] or ""
        flag: dict[str, Any] = {"names": names}
        if hint:
            # Two values have two words in capitals; a hint in prose, as `<tensor name pattern>=…`, is of one value.
            flag |= {"values": 2 if re.fullmatch(r"[A-Z]+ [A-Z]+", hint) else 1, "hint": hint}
        if variable := re.search(r"\(env: (\w+)\)", description):
            flag["env"] = variable[1]
        listed = _CHOICES.fullmatch(hint) or (None if hint.endswith("_FILE") else _LISTED.search(description))
        if listed:
            flag["choices"] = [choice.strip() for choice in re.split(r"[,|]", listed[1])]
        if removed := re.search(r"the argument has been removed\. (.+?)(?: \(env:|$)", " ".join(description.split())):
            flag["removed"] = removed[1]
        yield flag


def entries(text: str) -> Iterator[tuple[str, str]]:
    """Head and description of each flag."""
    head, description = "", [""]
    for line in text.splitlines():
        if re.match(r"-[^-\s]|--[^-\s]", line):
            if head:
                yield head, "\n".join(description)
            beside = line[COLUMN - 3 : COLUMN] == "   "  # a longer head has the line to itself
            head, description = (line[:COLUMN].rstrip(), [line[COLUMN:]]) if beside else (line.rstrip(), [])
        elif line.startswith(" " * COLUMN):
            description.append(line[COLUMN:])
    if head:
        yield head, "\n".join(description)


if __name__ == "__main__":
    main()

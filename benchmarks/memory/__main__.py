"""`python -m benchmarks.memory --server PATH`: print the table, and write it into docs/benchmarks-memory.md."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.memory import checkpoints
from benchmarks.memory.suite import measure, page

PAGE = Path("docs/benchmarks-memory.md")
BEGIN, END = "<!-- memory: written by `python -m benchmarks.memory` -->\n", "<!-- end of memory -->\n"


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.memory", description=__doc__)
    parser.add_argument("--server", type=Path, required=True, help="llama-server, with its libraries beside it")
    parser.add_argument("--folder", type=Path, default=Path("/tmp"), help="where model files with holes are made")  # noqa: S108
    parser.add_argument("--print", action="store_true", help="write no page")
    asked = parser.parse_args(words)
    kept = checkpoints.measure(asked.server, asked.folder)
    text = page(asked.server, measure(asked.server, asked.folder), kept)
    print(text)
    if not asked.print:
        old = PAGE.read_text()
        head, tail = old.index(BEGIN) + len(BEGIN), old.index(END)
        PAGE.write_text(old[:head] + text + old[tail:])


if __name__ == "__main__":
    main()

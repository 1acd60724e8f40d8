"""`python -m benchmarks.staging`: measure all, print the tables, write them into docs/benchmarks-staging.md."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.staging.suite import LINES, measure, page

PAGE = Path("docs/benchmarks-staging.md")
BEGIN, END = "<!-- staging: written by `python -m benchmarks.staging` -->\n", "<!-- end of staging -->\n"


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.staging", description=__doc__)
    parser.add_argument("--mib", type=int, default=1024, help="size of the file")
    parser.add_argument("--runs", type=int, default=3, help="of which the medians are taken")
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"), help="where files are written")  # noqa: S108
    parser.add_argument("--print", action="store_true", help="write no page")
    asked = parser.parse_args(words)
    text = page(measure(asked.mib, asked.runs, asked.folder, LINES), asked.runs)
    print(text)
    if not asked.print:
        old = PAGE.read_text()
        head, tail = old.index(BEGIN) + len(BEGIN), old.index(END)
        PAGE.write_text(old[:head] + text + old[tail:])


if __name__ == "__main__":
    main()

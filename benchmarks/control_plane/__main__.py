"""`make bench-control-plane`: run everything, print the tables, write them into docs/benchmarks.md."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence

from benchmarks.control_plane import report
from benchmarks.control_plane.suite import measure, page


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.control_plane", description=__doc__)
    parser.add_argument("--models", type=int, action="append", help="size of a burst, may be repeated (1000 and 5000)")
    parser.add_argument("--runs", type=int, default=3, help="of which the medians are taken")
    parser.add_argument("--quick", action="store_true", help="100 models, one run, no minutes of rest; writes nothing")
    asked = parser.parse_args(words)
    if asked.quick:
        print(page(asyncio.run(measure([100], runs=1, samples=10, idle_seconds=5))))
        return
    text = page(asyncio.run(measure(asked.models or [1000, 5000], runs=asked.runs, samples=100, idle_seconds=60)))
    print(text)
    report.write(text)


if __name__ == "__main__":
    main()

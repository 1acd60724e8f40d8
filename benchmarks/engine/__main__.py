"""`make bench-engine`: run everything, print the tables, write them into docs/benchmarks-engine.md."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from benchmarks.engine import report
from benchmarks.engine.suite import FULL, QUICK, measure


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.engine", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small model, few rounds, one start; writes nothing")
    parser.add_argument("--no-cluster", action="store_true", help="engines, quotas and sizes only; writes nothing")
    parser.add_argument("--print", action="store_true", help="write no page")
    asked = parser.parse_args(words)
    text = report.page(measure(QUICK if asked.quick else FULL, cluster=not asked.no_cluster))
    print(text)
    if not (asked.quick or asked.no_cluster or asked.print):
        report.write(text)


if __name__ == "__main__":
    main()

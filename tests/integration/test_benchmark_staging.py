"""The staging benchmark runs, and its page says what was measured. Times are not judged here."""

from __future__ import annotations

from pathlib import Path

from benchmarks.staging.sides import CURL, OURS, PIPE
from benchmarks.staging.suite import PLAIN, TLS, measure, page


def test_a_small_run_measures_every_side(tmp_path: Path) -> None:
    results = measure(4, 1, tmp_path, (PLAIN, TLS))
    for costs in results.costs.values():
        assert {OURS, CURL, PIPE} <= costs.keys()
        for (cost,) in costs.values():
            assert cost.seconds >= cost.work > 0
            assert cost.cpu > 0
    assert list(tmp_path.iterdir()) == []
    text = page(results, 1)
    assert text.count(f"| {OURS} |") == 2

"""The control plane's benchmark runs, and what it counts is what we promise. Times are not judged here."""

from __future__ import annotations

from benchmarks.control_plane import audit
from benchmarks.control_plane.place import CHILDREN
from benchmarks.control_plane.process import OURS, REFERENCE
from benchmarks.control_plane.suite import measure, page
from llama_operator.kube.kinds import MODEL

MODELS = 20
STATUS = f"{MODEL.plural}/status"


async def test_a_small_run_counts_no_write_too_many() -> None:
    results = await measure([MODELS], runs=1, samples=3, idle_seconds=2)

    (outcome,) = results.bursts[MODELS][OURS.name]
    written = {kind: count for (verb, kind), count in outcome.calls.items() if verb in audit.WRITES}
    assert written == {**{kind.plural: MODELS for kind in CHILDREN}, STATUS: MODELS}
    assert outcome.measures["burst.writes"] == len(CHILDREN) + 1
    assert outcome.measures["idle.writes"] == 0
    assert outcome.measures["restart.writes"] == 0
    assert outcome.measures["after.writes"] == 0
    (leader,) = results.leader[OURS.name]
    assert leader.measures["leader.told.writes"] == leader.measures["leader.killed.writes"] == 0

    # The witness sees writes where there are some: the reference applies everything anew when it starts.
    (reference,) = results.bursts[MODELS][REFERENCE.name]
    assert reference.measures["restart.writes"] >= MODELS * (len(CHILDREN) + 1)

    text = page(results)
    assert text.count("| met |") + text.count("| **missed** |") == 8
    assert f"| patch {STATUS} | 1.000 | 1.000 |" in text

"""Whatever servers say: the status holds together, and computing it again changes nothing."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from llama_operator.api.sidecar import MOST_DEVICES, Facts
from llama_operator.runtime import answers
from tests.unit.reconcile.case import by_type
from tests.unit.reconcile.cases_facts import GOOD, heard, loading, up
from tests.unit.reconcile.test_facts import told

numbers = st.sampled_from([0, 1, 512, 4096, 2**31 - 1])
said = st.builds(
    Facts,
    answered=st.booleans(),
    problem=st.sampled_from(["", "x" * answers.PROBLEM_LIMIT, "status 500"]),
    build=st.sampled_from(["", "b" * 64]),
    model=st.sampled_from(["", "/" + "é" * (answers.PATH_LIMIT - 1), GOOD.model]),
    context_size=numbers,
    slots=numbers,
    context_trained=numbers,
    parameters=numbers,
    bytes=numbers,
    quantization=st.sampled_from(["", "q" * 64]),
    sha256=st.sampled_from(["", GOOD.sha256, "cd" * 32]),
    devices=st.sampled_from([None, (), ("/dev/nvidia0",) * MOST_DEVICES]),
)


@settings(deadline=None)
@given(st.lists(st.none() | said, min_size=2, max_size=2), st.booleans())
def test_whatever_is_said_the_status_holds_together(facts: list[Facts | None], ready: bool) -> None:
    pods = [up("tiny-a"), up("tiny-b") if ready else loading(name="tiny-b")]
    seen = heard(pods, *facts, replicas=2)
    first = told(seen, replicas=2)
    assert told(seen, first, replicas=2) == first, "computing again changes nothing"
    assert told(heard(pods, replicas=2), first, replicas=2)["conditions"] == first["conditions"], "nor does a restart"
    found = by_type(first)
    assert max(len(c["message"]) for c in first["conditions"]) <= 2048
    if found["Ready"]["status"] == "True" and "Degraded" in found:
        assert first["state"].startswith("Degraded: ")
    if any(f and (f.model not in ("", GOOD.model) or _other(f)) for f in facts[: 1 + ready]):
        assert found["Ready"]["status"] == "False"


def _other(facts: Facts) -> bool:
    return facts.model == GOOD.model and facts.sha256 not in ("", GOOD.sha256)

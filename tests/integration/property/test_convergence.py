"""Whatever happens, in whatever order: afterwards everything is as the specs say, and nobody writes any more.

A list of steps and a small interpreter, not hypothesis' state machine: a step is data and always makes sense (or does
nothing), so a sequence costs what its length says, every part of it can be left out when it is made smaller, and what
failed once is kept as it is printed (`test_kept`).

    PROPERTY_SEQUENCES=300 pytest tests/integration/property
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, given, settings

from tests.integration.property import steps
from tests.integration.property.conftest import Play
from tests.integration.property.models import full
from tests.integration.property.steps import Sequence, Step
from tests.integration.property.strategies import NAMES, sequences
from tests.integration.server import Object

SEQUENCES = int(os.environ.get("PROPERTY_SEQUENCES", "15"))


@settings(
    max_examples=SEQUENCES,
    deadline=None,
    database=None,
    print_blob=True,
    phases=[Phase.generate, Phase.shrink],
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(sequence=sequences())
def test_it_comes_to_rest_where_the_specs_say(play: Play, sequence: Sequence) -> None:
    play(sequence)


def test_the_next_minute_has_no_write(play: Play) -> None:
    """Three models with all children, after hand edits, a restart of either side and a recreation."""
    names = NAMES[:3]
    made: list[Step] = [steps.Apply(name, full(name)) for name in names]
    hurt: list[Step] = [
        steps.Rest(),
        steps.EditChild(names[0], "Service", "selector added"),
        steps.EditChild(names[1], "Deployment", "sidecar"),
        steps.RestartAPIServer(),
        steps.DeleteChild(names[2], "Ingress"),
        steps.Recreate(names[0], full(names[0])),
        steps.Restart(),
    ]
    play(Sequence([*made, *hurt]), then=60.0)


def test_new_sources_are_staged_ahead_through_restarts_and_changes_of_mind(play: Play) -> None:
    """Jobs with their controller: made, given up, completed, and gone in the end."""
    name = NAMES[0]
    cache: Object = {"storage": {"cache": {"claimName": "theirs", "whenUnused": "Delete"}}}
    files: list[Object] = [{"source": {"url": {"url": f"http://files/{letter}.gguf"}}} for letter in "abc"]
    play(
        Sequence(
            [
                steps.Apply(name, full(**files[0])),
                steps.Apply(NAMES[1], files[0] | cache | {"replicas": 0}),
                steps.Rest(),
                steps.Apply(name, full(**files[1])),
                steps.KillAtWrite(1),
                steps.Apply(name, full(**files[2])),
                steps.Restart(),
                steps.Apply(NAMES[1], files[1] | cache | {"replicas": 1}),
                steps.Rest(),
                steps.Apply(name, full(**files[1], replicas=0)),
                steps.DeleteChild(name, "Deployment"),
                steps.Apply(NAMES[1], files[2] | cache),
                steps.Delete(NAMES[1]),
            ]
        )
    )


def test_bad_versions_are_rolled_back_through_restarts_and_changes_of_mind(play: Play) -> None:
    """With the Deployment's own controller, which replaces pods as it does in any cluster."""
    name = NAMES[0]
    bad, worse, good, better = (
        full(engine={"args": args})
        for args in (["--check-tensors"], ["--check-tensors", "-v"], ["-v"], ["-v", "--temp", "1"])
    )
    play(
        Sequence(
            [
                steps.Apply(name, bad),
                steps.Rest(),
                steps.Apply(name, good),
                steps.Rest(),
                steps.Apply(name, bad),
                steps.KillAtWrite(2),
                steps.Rest(),
                steps.Apply(name, worse),
                steps.Restart(),
                steps.Rest(),
                steps.Apply(name, bad),
                steps.Scale(name, 3),
                steps.Rest(),
                steps.EditChild(name, "Deployment", "image"),
                steps.Rest(),
                steps.Apply(name, better),
                steps.Rest(),
                steps.Apply(name, worse),
            ]
        )
    )

"""What counts as a version's own fault, and from when on."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from llama_operator.api.conditions import Reason
from llama_operator.api.sidecar import Facts
from llama_operator.reconcile.blame import LOADING, PATIENCE, Complaints, blame
from llama_operator.reconcile.blockades import Blockades
from llama_operator.reconcile.pods import blocked
from llama_operator.reconcile.respondents import MOST, complains
from tests.unit.reconcile.cases_rollback import NEW, OLD_POD, trial
from tests.unit.reconcile.objects import (
    CREATED,
    STARTED,
    answering,
    condition,
    container,
    observed,
    pod,
    running,
    serving,
    set_up,
    stage_failed,
    staging,
    template_hash,
    terminated,
    unscheduled,
    waiting,
)

Object = dict[str, Any]

VERSION: dict[str, Any] = {"version": template_hash(**NEW), "name": "tiny-new"}
START = datetime(2026, 11, 24, 2, 0, 20, tzinfo=UTC)
"""When the stager ended and llama-server was started."""
SOON = START + timedelta(seconds=1)


def server(state: Object, last: Object | None = None, restarts: int = 0, **more: Any) -> Object:
    return serving(container("llama-server", state, last, restarts), **VERSION, **more)


def stager(status: Object) -> Object:
    return pod(stage=status, **VERSION)


def ended(code: int = 1, restarts: int = 2, **more: Any) -> Object:
    return server(waiting("CrashLoopBackOff"), terminated(code, "E bad flag", **more), restarts)


def often(reason: str, restarts: int) -> Object:
    built = stage_failed(reason, **VERSION)
    built["status"]["initContainerStatuses"][0]["restartCount"] = restarts
    return built


def of_a_file(image: str) -> Object:
    words = f'failed to pull and unpack image "{image}": not found'
    return container("stage", waiting("ErrImagePull", words), image="localhost/operator:1")


def overdue() -> Object:
    """The kubelet has given up on its start, and has started it again."""
    first = {"startedAt": "2026-11-24T01:30:20Z", "finishedAt": STARTED, "exitCode": 137, "reason": "Error"}
    return server(running(), {"terminated": first}, 1, ready=condition("Ready", False, since="2026-11-24T01:30:00Z"))


def blamed(
    *pods: Object, at: datetime = SOON, complaints: Complaints | None = None, lasting: float = 0, **status: Any
) -> tuple[Reason | None, float | None]:
    seen = trial(*pods, **status)
    deployment = next(child for child in seen.children if child["kind"] == "Deployment")
    cause, again = blame(deployment, seen.pods, at, complaints or {}, dict.fromkeys(blocked(seen.pods), lasting))
    return cause.reason if cause else None, again


ENOUGH = PATIENCE.total_seconds()
NEVER_READY = condition("Ready", False, since=CREATED, reason="ContainersNotReady")


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (ended(), "ServerCrashed"),
        (ended(137, reason="OOMKilled"), "OutOfMemory"),
        (server(running(), terminated(1), 3), "ServerCrashed"),
        (often("NotFound", 2), "NotFound"),
        (often("DigestMismatch", 2), "DigestMismatch"),
        (overdue(), "Unresponsive"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_at_once(found: Object, reason: str) -> None:
    assert blamed(OLD_POD, found) == (reason, None)


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (server(waiting("ImagePullBackOff")), "ImagePullFailed"),
        (server(waiting("CreateContainerConfigError", "secret not found")), "ContainerConfigInvalid"),
        (
            server(waiting("CrashLoopBackOff"), terminated(128, "no such command", "StartError"), 9),
            "ContainerConfigInvalid",
        ),
        (stager(container("stage", waiting("CreateContainerConfigError"))), "ContainerConfigInvalid"),
        (stager(of_a_file("example.com/model:1")), "ImagePullFailed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_started_for_a_time(found: Object, reason: str) -> None:
    """However long the pod has been there: before its first error an image may have been fetched for minutes."""
    late = START + timedelta(hours=1)
    assert blamed(OLD_POD, found, at=late) == (None, ENOUGH)
    assert blamed(OLD_POD, found, at=late, lasting=ENOUGH - 1) == (None, 1.0)
    assert blamed(OLD_POD, found, at=SOON, lasting=ENOUGH) == (reason, None)


def test_since_when_it_cannot_be_started() -> None:
    now = 100.0
    blockades, key = Blockades(lambda: now), ("default", "tiny")
    missing, working = server(waiting("ErrImagePull")), up()
    assert blockades.look(key, [working]) == {}
    now = 700.0
    assert blockades.look(key, [missing]) == {("uid-tiny-new", "llama-server"): 0}
    now = 730.0
    again = server(waiting("ImagePullBackOff"))
    assert blockades.look(key, [again]) == {("uid-tiny-new", "llama-server"): 30}
    assert blockades.look(("default", "other"), [again]) == {("uid-tiny-new", "llama-server"): 0}
    staged = stager(of_a_file("example.com/model:1"))
    assert blockades.look(key, [staged]) == {("uid-tiny-new", "stage"): 0}, "another container of it"
    assert blockades.look(key, [again]) == {("uid-tiny-new", "llama-server"): 0}, "it could be meanwhile"
    now = 740.0
    blockades.forget(key)
    assert blockades.look(key, [again]) == {("uid-tiny-new", "llama-server"): 0}


def test_a_start_that_never_ends() -> None:
    found, since = server(running(), ready=NEVER_READY), START + LOADING
    assert blamed(OLD_POD, found) == (None, (since - SOON).total_seconds())
    assert blamed(OLD_POD, found, at=since - timedelta(seconds=1)) == (None, 1.0)
    assert blamed(OLD_POD, found, at=since) == ("Unresponsive", None)


@pytest.mark.parametrize(
    "found",
    [
        ended(restarts=1),
        often("NotFound", 1),
        often("SourceUnreachable", 9),
        often("DiskFull", 9),
        staging(**VERSION),
        unscheduled("no room", **VERSION),
        set_up(**VERSION),
        stager(container("stage", waiting("ImagePullBackOff"))),
        pod(**VERSION, phase="Failed", reason="Evicted"),
        server(running(), ready=condition("Ready", False, since="2026-11-24T03:00:00Z")),
        server({"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown"}}, restarts=9),
    ],
)
def test_never(found: Object) -> None:
    at = START + timedelta(days=1)
    assert blamed(OLD_POD, found, at=at, lasting=ENOUGH)[0] is None


def test_a_third_run_may_still_answer() -> None:
    assert blamed(OLD_POD, server(running(), terminated(1), 2))[0] is None


def test_one_that_answers_speaks_for_its_version() -> None:
    assert blamed(OLD_POD, ended(), answering(version=template_hash(**NEW), name="tiny-two")) == (None, None)


def test_what_older_pods_suffer_too_is_not_the_versions_fault() -> None:
    older = serving(
        container("llama-server", waiting("CrashLoopBackOff"), terminated(1, "E no driver"), 5), version="old", name="o"
    )
    assert blamed(older, ended()) == (None, None)
    leaving = copy.deepcopy(older)
    leaving["metadata"]["deletionTimestamp"] = STARTED
    assert blamed(leaving, ended()) == ("ServerCrashed", None)


def test_without_a_trial_nobody_is_blamed() -> None:
    seen = observed([ended()], **NEW)
    deployment = next(child for child in seen.children if child["kind"] == "Deployment")
    assert blame(deployment, seen.pods, SOON, {}, {}) == (None, None)


def up(name: str = "tiny-new", **more: Any) -> Object:
    """It runs and is not ready, at an address where its sidecar answers."""
    version: dict[str, Any] = {**VERSION, "name": name}
    return serving(container("llama-server", running()), ready=NEVER_READY, podIP="10.0.0.9", **version, **more)


def complaining(*names: str, seconds: float = ENOUGH) -> Complaints:
    return {f"uid-{name}": (Facts(problem=f"HTTP 500 of {name}"), seconds) for name in names}


def test_one_that_completes_no_request() -> None:
    seen = trial(OLD_POD, up())
    deployment = next(child for child in seen.children if child["kind"] == "Deployment")
    cause, again = blame(deployment, seen.pods, SOON, complaining("tiny-new"), {})
    assert cause is not None
    assert again is None
    assert cause.reason == Reason.NO_COMPLETION
    assert cause.message == (
        "llama-server in pod tiny-new has loaded the model, and completes no request: HTTP 500 of tiny-new"
    )


def test_where_its_predecessor_had_to_make_room() -> None:
    assert blamed(up(), complaints=complaining("tiny-new"))[0] == "NoCompletion"


def test_what_all_pods_say() -> None:
    found = [OLD_POD, up(), up("tiny-two")]
    assert blamed(*found, complaints=complaining("tiny-new", "tiny-two"))[0] == "NoCompletion"


def test_of_many_pods_only_those_that_are_asked() -> None:
    names = [f"tiny-{number:02}" for number in range(MOST + 4)]
    found = [OLD_POD, *map(up, names)]
    assert blamed(*found, complaints=complaining(*names[:MOST]))[0] == "NoCompletion"
    assert blamed(*found, complaints=complaining(*names[1:MOST]))[0] is None


SILENT_OLD = serving(container("llama-server", running()), name="tiny-old", version=template_hash(), podIP="10.0.0.8")


@pytest.mark.parametrize(
    ("pods", "complaints"),
    [
        ([OLD_POD, up()], complaining("tiny-new", seconds=ENOUGH - 1)),
        ([OLD_POD, up()], {}),
        ([OLD_POD, up()], complaining("tiny-old", "tiny-two")),
        ([OLD_POD, up(), up("tiny-two")], complaining("tiny-new")),
        ([OLD_POD, up(), up("tiny-two")], {**complaining("tiny-new"), **complaining("tiny-two", seconds=1)}),
        ([OLD_POD, up(), staging(**{**VERSION, "name": "tiny-two"})], complaining("tiny-new")),
        ([OLD_POD, up(), answering(**{**VERSION, "name": "tiny-two"})], complaining("tiny-new")),
        ([SILENT_OLD, up()], complaining("tiny-new")),
        ([OLD_POD, server(waiting("CrashLoopBackOff"), terminated(1), 1)], complaining("tiny-new")),
    ],
    ids=[
        "not for long enough",
        "nobody complains",
        "others complain",
        "one of two",
        "one of two only just",
        "one of two is not up yet",
        "one of two answers",
        "the old version does not answer either",
        "it runs no more",
    ],
)
def test_a_complaint_that_is_not_enough(pods: list[Object], complaints: Complaints) -> None:
    assert blamed(*pods, complaints=complaints)[0] is None


@pytest.mark.parametrize(
    ("facts", "expected"),
    [(Facts(), False), (Facts(problem="HTTP 500"), True), (Facts(answered=True, problem="HTTP 500"), False)],
)
def test_who_complains(facts: Facts, expected: bool) -> None:
    assert complains(facts) is expected

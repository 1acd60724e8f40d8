"""A version that fails, on a real API server: what is remembered there, who writes how often, and what is told."""

from __future__ import annotations

from tests.integration.engine.operator_process import Operator, eventually
from tests.integration.engine.place import SPEC, Place, Start
from tests.integration.engine.pod import Pod, condition, container, now, terminated
from tests.integration.engine.sidecar import Sidecar
from tests.integration.server import Object

BAD: Object = SPEC | {"engine": {"args": ["--check-tensors"]}}
GOOD: Object = SPEC | {"engine": {"args": ["--good"]}}
FALLBACK, ROLLED_BACK = "llama-operator.dev/fallback", "llama-operator.dev/rolled-back"
APPLY = ("apply", "Deployment")
HASTY = """
from datetime import timedelta
from llama_operator.__main__ import main
from llama_operator.reconcile import blame, respondents
blame.PATIENCE, respondents.TROUBLE_SECONDS, respondents.PAUSE_SECONDS = timedelta(seconds=5), 0.2, 0.2
main()
"""
"""An operator whose pauses between questions are a fifth of a second, and whose two minutes are five seconds."""


def count(place: Place, *, old: int, new: int, available: int) -> None:
    """What the Deployment's controller writes, which is not here; the operator has taken it up."""
    generation = place.get(place.deployment)["metadata"]["generation"]
    counts = {"replicas": old + new, "updatedReplicas": new, "availableReplicas": available, "readyReplicas": available}
    status = {"observedGeneration": generation, **counts}
    place.server("PATCH", f"{place.deployment}/status", {"status": status})

    def told() -> None:
        assert place.get(f"{place.models}/m").get("status", {}).get("replicas") == old + new

    eventually(told)


def template(place: Place) -> Object:
    found: Object = place.get(place.deployment)["spec"]["template"]
    return found


def marks(place: Place) -> set[str]:
    annotations = place.get(place.deployment)["metadata"]["annotations"]
    return {FALLBACK, ROLLED_BACK} & set(annotations)


def crashes(pod: Pod) -> None:
    ended = terminated(1, "error: invalid argument: --check-tensors")
    waits = {"waiting": {"reason": "CrashLoopBackOff"}}
    pod.runs(container(terminated(0, "{}"), ready=True), container(waits, ended, 2))


def serving(place: Place, start: Start) -> Operator:
    operator = start().ready()
    place.model(SPEC)
    eventually(lambda: place.get(place.deployment))
    count(place, old=0, new=1, available=1)
    return operator


def try_out(place: Place, spec: Object) -> None:
    place.model(spec)

    def changed() -> None:
        assert marks(place) == {FALLBACK}

    eventually(changed)
    count(place, old=1, new=1, available=1)


def rolled_back(place: Place) -> None:
    assert place.condition("Stalled")["reason"] == "RolledBack"


def test_a_bad_version_is_rolled_back_and_says_why(place: Place, start: Start) -> None:
    operator = serving(place, start)
    old = template(place)
    try_out(place, BAD)
    assert template(place) != old
    crashes(Pod(place))
    eventually(lambda: rolled_back(place))
    assert (template(place), marks(place)) == (old, {ROLLED_BACK})
    ready = place.condition("Ready")
    assert (ready["status"], ready["reason"]) == ("False", "RolledBack")
    assert "error: invalid argument: --check-tensors" in ready["message"]
    assert place.condition("Available")["status"] == "True"
    operator.settle()
    assert "RolledBack" in place.reasons()
    assert operator.writes()[APPLY] == 3


def test_a_restart_afterwards_writes_nothing(place: Place, start: Start) -> None:
    operator = serving(place, start)
    try_out(place, BAD)
    crashes(Pod(place))
    eventually(lambda: rolled_back(place))
    operator.settle()
    assert operator.stop() == 0
    before = place.versions()
    second = start().ready()
    second.settle(reconciles=1)
    assert not second.writes()
    assert place.versions() == before


def test_a_restart_in_the_middle_rolls_back_all_the_same(place: Place, start: Start) -> None:
    operator = serving(place, start)
    try_out(place, BAD)
    operator.kill()
    crashes(Pod(place))
    start().ready()
    eventually(lambda: rolled_back(place))


def test_the_next_version_is_tried(place: Place, start: Start) -> None:
    operator = serving(place, start)
    try_out(place, BAD)
    crashes(Pod(place))
    eventually(lambda: rolled_back(place))
    count(place, old=0, new=1, available=1)
    try_out(place, GOOD)
    assert "--good" in str(template(place))
    eventually(lambda: place.condition("Ready"))
    assert "RolledBack" not in str(place.get(f"{place.models}/m")["status"])
    count(place, old=0, new=1, available=1)

    def over() -> None:
        assert marks(place) == set()

    eventually(over)
    operator.settle()
    assert operator.writes()[APPLY] == 5


def test_who_takes_the_mark_away_has_it_tried_again(place: Place, start: Start) -> None:
    serving(place, start)
    try_out(place, BAD)
    pod = Pod(place)
    crashes(pod)
    eventually(lambda: rolled_back(place))
    place.server("DELETE", pod.path)
    count(place, old=0, new=1, available=1)
    place.server("PATCH", place.deployment, {"metadata": {"annotations": {ROLLED_BACK: None}}})

    def tried() -> None:
        assert "--check-tensors" in str(template(place))
        assert marks(place) == {FALLBACK}

    eventually(tried)


def test_a_missing_image_does_not_count_at_once(place: Place, start: Start) -> None:
    """However long ago the files were staged: until now it was being fetched. tests/e2e/test_rollback.py waits."""
    serving(place, start)
    try_out(place, BAD)
    at = "2026-01-01T00:00:00Z"
    ended = {**terminated(0, "{}")["terminated"], "startedAt": at, "finishedAt": at}
    missing = container({"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}})
    Pod(place).runs(container({"terminated": ended}, ready=True), missing)

    def told() -> None:
        assert place.condition("Ready")["reason"] == "ImagePullFailed"

    eventually(told)
    assert marks(place) == {FALLBACK}


def is_up(place: Place, says: Sidecar) -> Pod:
    """The new version's server runs, and is not ready."""
    pod, ips = Pod(place), {"podIP": says.address, "podIPs": [{"ip": says.address}]}
    pod.write(
        condition("PodScheduled", True),
        condition("PodReadyToStartContainers", True),
        condition("Ready", False),
        phase="Running",
        initContainerStatuses=[container(terminated(0, "{}"), ready=True, name="stage")],
        containerStatuses=[container({"running": {"startedAt": now()}}, name="llama-server")],
        **ips,
    )
    return pod


def test_one_that_completes_no_request(place: Place, start: Start, says: Sidecar) -> None:
    serving(place, lambda: start(program=("-c", HASTY)))
    old = template(place)
    try_out(place, BAD)
    says.facts = {"problem": "a first chat request was answered with HTTP 500"}
    is_up(place, says)
    eventually(lambda: rolled_back(place))
    assert (template(place), marks(place)) == (old, {ROLLED_BACK})
    ready = place.condition("Ready")
    assert ready["reason"] == "RolledBack"
    assert "failed (NoCompletion)" in ready["message"]
    assert "completes no request: a first chat request was answered with HTTP 500" in ready["message"]
    assert len(says.asked) > 2


def test_one_that_completes_no_request_at_first(place: Place, start: Start, says: Sidecar) -> None:
    """It says so again and again, and in between that all is well: that may go on for as long as it likes."""
    serving(place, lambda: start(program=("-c", HASTY)))
    try_out(place, BAD)
    problem = {"problem": "a first chat request was answered with HTTP 500"}
    says.turns = [problem, problem, {"build": "b1"}]
    is_up(place, says)

    def asked() -> None:
        assert len(says.asked) > 40

    eventually(asked)
    assert marks(place) == {FALLBACK}
    says.turns = []
    says.facts = problem
    eventually(lambda: rolled_back(place))

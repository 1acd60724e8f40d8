"""A version that does not come to answer: the last one that did is served again, once, and nobody notices."""

from __future__ import annotations

from typing import Any

import pytest

from llama_operator import constants
from llama_operator.api.types import Spec, parse
from llama_operator.reconcile import rollback
from llama_operator.reconcile.plan import Plan
from llama_operator.reconcile.rollback import Failed, Standing
from llama_operator.resources import served
from tests.unit.reconcile.ahead_cluster import CACHE, complete, source
from tests.unit.reconcile.rollout_cluster import IN_PLACE, Rollouts, bad, good, rollouts
from tests.unit.resources.models import CONFIG, raw

Object = dict[str, Any]


def made_from(engine: Object) -> Spec:
    return served.of(parse(raw(engine=engine)), CONFIG)


A, B, C = (made_from(good(name)) for name in "abc")
WHY = rollback.failed(B, "ServerCrashed", "E bad flag")


@pytest.mark.parametrize(
    ("before", "wanted", "answers", "cause", "waits", "after"),
    [
        (Standing(A), A, True, None, False, Standing(A)),
        (Standing(A), A, False, WHY, False, Standing(A)),
        (Standing(A), B, True, None, False, Standing(B, A)),
        (Standing(A), B, False, None, False, Standing(B)),
        (Standing(), B, False, None, False, Standing(B)),
        (Standing(B, A), B, True, None, False, Standing(B)),
        (Standing(B, A), B, False, WHY, False, Standing(A, None, WHY)),
        (Standing(B, A), B, False, None, False, Standing(B, A)),
        (Standing(B, A), C, False, None, False, Standing(C, A)),
        (Standing(B, A), C, False, WHY, False, Standing(C, A)),
        (Standing(B, A), C, True, None, False, Standing(C, B)),
        (Standing(B, A), A, False, WHY, False, Standing(A)),
        (Standing(B, A), C, False, WHY, True, Standing(A)),
        (Standing(B, A), C, False, None, True, Standing(B, A)),
        (Standing(B, A), C, True, None, True, Standing(B)),
        (Standing(A, None, WHY), B, True, None, False, Standing(A, None, WHY)),
        (Standing(A, None, WHY), B, False, None, False, Standing(A, None, WHY)),
        (Standing(A, None, WHY), C, True, None, False, Standing(C, A)),
        (Standing(A, None, WHY), C, False, None, False, Standing(C, A)),
        (Standing(A, None, WHY), C, True, None, True, Standing(A)),
        (Standing(A, None, WHY), A, True, None, False, Standing(A)),
    ],
)
def test_table(
    before: Standing, wanted: Spec, answers: bool, cause: Failed | None, waits: bool, after: Standing
) -> None:
    assert rollback.after(before, wanted, answers=answers, cause=cause, waits=waits) == after


@pytest.mark.parametrize("standing", [Standing(), Standing(A), Standing(B, A), Standing(A, None, WHY)])
def test_it_is_read_as_it_was_written(standing: Standing) -> None:
    told = rollback.marks(standing) | ({constants.SERVED: served.written(standing.serves)} if standing.serves else {})
    assert rollback.standing({"metadata": {"annotations": told}}) == standing


@pytest.mark.parametrize("text", ["", "{}", "no JSON", '{"version": 1, "reason": "", "message": ""}'])
def test_what_somebody_else_wrote_is_nothing(text: str) -> None:
    written = {constants.ROLLED_BACK: text, constants.FALLBACK: text}
    assert rollback.standing({"metadata": {"annotations": written}}) == Standing()


def test_a_good_version_is_on_trial_until_it_answers() -> None:
    cluster = rollouts(good("a"))
    old = cluster.serves()
    cluster.spec["engine"] = good("b")
    cluster.reconcile()
    assert cluster.standing() == Standing(cluster.asked(), old)
    cluster.roll()
    assert cluster.plan() == Plan([], []), "it waits, and writes nothing"
    cluster.settle()
    assert cluster.standing() == Standing(cluster.asked())
    assert cluster.plan() == Plan([], [])


@pytest.mark.parametrize("spec", [{}, {"replicas": 3}, *IN_PLACE.values()], ids=["one", "three", *IN_PLACE])
def test_a_bad_version_is_rolled_back(spec: Object) -> None:
    cluster = rollouts(good("a"), **spec)
    old, template = cluster.serves(), cluster.template()
    cluster.spec["engine"] = bad("b")
    cluster.settle()
    standing = cluster.standing()
    assert (standing.serves, standing.fallback) == (old, None)
    assert standing.failed is not None
    assert (standing.failed.reason, cluster.answering()) == ("ServerCrashed", spec.get("replicas", 1))
    assert "E bad flag" in standing.failed.message
    assert "kubectl logs" not in standing.failed.message, "the pod is gone, and its log"
    assert cluster.template() == template, "the old pods stay as they are"
    assert (cluster.templates, cluster.plan()) == (2, Plan([], []))


def test_a_change_just_after_scaling_has_a_net() -> None:
    """The controller has not even seen the new number, so what it says is of an older generation."""
    cluster = rollouts(good("a"))
    old = cluster.serves()
    cluster.spec["replicas"] = 2
    cluster.reconcile()
    cluster.spec["engine"] = bad("b")
    cluster.reconcile()
    assert cluster.standing() == Standing(cluster.asked(), old)


def test_what_is_no_part_of_the_pods_does_not_try_it_again() -> None:
    cluster = rollouts(good("a"))
    cluster.spec["engine"] = bad("b")
    cluster.settle()
    standing = cluster.standing()
    cluster.spec |= {"replicas": 2, "service": {"port": 80}}
    cluster.settle()
    assert (cluster.standing(), cluster.templates, cluster.answering()) == (standing, 2, 2)


def test_another_version_is_tried_and_the_cause_forgotten() -> None:
    cluster = rollouts(good("a"))
    cluster.spec["engine"] = bad("b")
    cluster.settle()
    cluster.spec["engine"] = good("c")
    cluster.settle()
    assert cluster.standing() == Standing(cluster.asked())


@pytest.mark.parametrize("spec", IN_PLACE.values(), ids=IN_PLACE)
def test_a_correction_while_the_last_version_starts_anew_has_a_net(spec: Object) -> None:
    """Nobody answers at that moment; that it has answered is known all the same."""
    cluster = rollouts(good("a"), **spec)
    old = cluster.serves()
    cluster.spec["engine"] = bad("b")
    while cluster.standing().failed is None:
        cluster.reconcile()
        if cluster.standing().failed is None:
            cluster.roll()
            cluster.run()
    cluster.roll()
    assert cluster.answering() == 0
    cluster.spec["engine"] = bad("c")
    cluster.settle()
    standing = cluster.standing()
    assert (standing.serves, cluster.answering()) == (old, 1)
    assert standing.failed is not None


def test_who_takes_the_mark_away_has_the_same_version_tried_again() -> None:
    cluster = rollouts(good("a"))
    cluster.spec["engine"] = bad("b")
    cluster.settle()
    before = cluster.standing()
    del cluster.deployment()["metadata"]["annotations"][constants.ROLLED_BACK]
    cluster.reconcile()
    assert (cluster.serves(), cluster.standing().fallback) == (cluster.asked(), before.serves)
    cluster.settle()
    again = cluster.standing().failed
    assert before.failed is not None
    assert again is not None
    assert (again.version, cluster.templates) == (before.failed.version, 4)


def test_the_first_version_has_nothing_to_return_to() -> None:
    cluster = rollouts(bad("a"))
    assert cluster.standing() == Standing(cluster.asked())
    cluster.spec["engine"] = bad("b")
    cluster.settle()
    assert cluster.standing() == Standing(cluster.asked())


def test_a_version_that_has_answered_is_not_rolled_back_when_it_crashes_later() -> None:
    cluster = rollouts(good("a"))
    cluster.spec["engine"] = good("b")
    cluster.settle()
    for pod in cluster.pods:
        pod.bad = True
    cluster.settle()
    assert cluster.standing() == Standing(cluster.asked())
    assert cluster.answering() == 0


def test_another_image_of_the_operator_is_rolled_back_too() -> None:
    cluster = rollouts(good("a"))
    template = cluster.template()
    cluster.config = type(CONFIG)(stage_image=CONFIG.stage_image, server_images={"cpu": "localhost/server:bad"})
    cluster.reconcile()
    assert cluster.template() != template
    cluster.roll()
    for pod in cluster.pods:
        pod.bad = pod.version == cluster.version()
    cluster.settle()
    assert (cluster.template(), cluster.answering()) == (template, 1)


def test_a_bad_version_makes_way_while_the_files_of_the_next_are_staged() -> None:
    cluster = rollouts(good("a"), storage=CACHE)
    cluster.spec["engine"] = bad("b")
    cluster.reconcile()
    cluster.roll()
    cluster.spec |= {"source": source("c"), "engine": good("c")}
    cluster.settle()
    assert cluster.standing() == Standing(made_from_spec(cluster, source("a"), good("a")))
    complete(cluster.jobs()[0])
    cluster.settle()
    assert (cluster.standing(), cluster.answering()) == (Standing(cluster.asked()), 1)


def made_from_spec(cluster: Rollouts, files: Object, engine: Object) -> Spec:
    return served.of(parse(raw(**cluster.spec | {"source": files, "engine": engine})), CONFIG)


def test_the_files_that_a_rollback_needs_are_in_use() -> None:
    cluster = rollouts(good("a"), storage=CACHE)
    files = cluster.template()["metadata"]["annotations"][constants.FILES]
    cluster.spec["engine"] = bad("b")
    cluster.reconcile()
    assert cluster.deployment()["metadata"]["annotations"][constants.FILES] == files

"""Memory for servers whose spec names none: which pods are resized, to what, and what is told if they are not."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_operator.reconcile.memory import HEADROOM
from llama_operator.reconcile.status import Observed, compute, resizes
from llama_operator.resources import quantity
from tests.unit.reconcile.case import by_type
from tests.unit.reconcile.cases_facts import but
from tests.unit.reconcile.cases_memory import (
    ABORTED,
    BIG,
    DEFERRED,
    INFEASIBLE,
    QUOTA,
    UID,
    loading,
    pending,
    refused,
    sized,
    up,
)
from tests.unit.reconcile.objects import (
    NAME,
    Object,
    answering,
    condition,
    container,
    observed,
    pod,
    stage_failed,
    staging,
    template_hash,
    terminated,
)
from tests.unit.resources.models import CONFIG, raw

SHIPPED = CONFIG.server_images["cpu"]
NOW, SOON = "2026-11-24T03:00:00Z", "2026-11-24T03:00:10Z"
BOTH: Object = {"requests": {"memory": "5121Mi"}, "limits": {"memory": "10241Mi"}}


def asked(*pods: Object, shipped: str | None = SHIPPED, **spec: Any) -> dict[str, Object]:
    """What is asked for, by name of the pod."""
    found = resizes(raw(**spec), observed(list(pods), **spec), shipped)
    return {resize.pod["metadata"]["name"]: resize.resources for resize in found}


def of(memory: Object, **spec: Any) -> Object:
    """What a pod with this prediction asks for."""
    built = up(version=template_hash(**spec))
    report = json.dumps({"files": [], "memory": memory})
    built["status"]["initContainerStatuses"][0]["state"] = terminated(0, report)
    return asked(built, **spec).get(NAME, {})


class TestWhichPods:
    def test_each_that_has_staged_and_names_no_memory(self) -> None:
        assert asked(up(name="a"), loading(name="b"), up(BOTH, name="c"), replicas=3) == {"a": BOTH, "b": BOTH}

    def test_before_the_server_has_been_started(self) -> None:
        staged = pod(stage=container("stage", terminated(0), ready=True))
        assert asked(sized(staged)) == {NAME: BOTH}

    @pytest.mark.parametrize(
        "resources", [{"requests": {"memory": "1Mi"}}, {"limits": {"memory": "1Gi"}}, {"requests": {"memory": "0"}}]
    )
    def test_none_that_names_memory_already_whoever_has_put_it_there(self, resources: Object) -> None:
        assert asked(up(resources)) == {}

    def test_processors_alone_leave_the_memory_open(self) -> None:
        spec: Object = {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "2"}}}
        assert asked(up(spec["resources"], version=template_hash(**spec)), **spec) == {NAME: BOTH}

    @pytest.mark.parametrize("which", ["requests", "limits"])
    def test_none_of_a_model_whose_user_has_said_it(self, which: str) -> None:
        spec: Object = {"resources": {which: {"memory": "1Gi"}}}
        assert asked(up(version=template_hash(**spec)), **spec) == {}

    def test_none_with_an_accelerator(self) -> None:
        spec: Object = {"accelerator": {"type": "cuda"}}
        assert asked(up(version=template_hash(**spec)), **spec) == {}

    @pytest.mark.parametrize(
        "built",
        [
            sized(staging()),
            sized(stage_failed("NotFound")),
            up(version="old"),
            answering(),
            up() | {"status": up()["status"] | {"phase": "Failed", "reason": "Evicted"}},
            up() | {"metadata": up()["metadata"] | {"deletionTimestamp": NOW}},
        ],
        ids=["stages", "could not stage", "older version", "containers unknown", "evicted", "ends"],
    )
    def test_nor_these(self, built: Object) -> None:
        assert asked(copy.deepcopy(built)) == {}

    def test_a_report_without_a_prediction(self) -> None:
        built = up()
        built["status"]["initContainerStatuses"][0]["state"] = terminated(0, '{"files": []}')
        assert asked(built) == {}


class TestHowMuch:
    def test_as_much_as_predicted_and_a_limit_of_twice_that(self) -> None:
        assert of(BIG) == BOTH

    def test_a_small_model_has_headroom_too(self) -> None:
        total = 30 << 20
        limit = (total + HEADROOM) >> 20
        assert of(BIG | {"total": total}) == {"requests": {"memory": "30Mi"}, "limits": {"memory": f"{limit}Mi"}}

    def test_no_limit_where_something_is_not_known(self) -> None:
        assert of(BIG | {"partial": True}) == {"requests": {"memory": "5121Mi"}}

    @pytest.mark.parametrize(
        "spec",
        [
            {"engine": {"args": ["--swa-full"]}},
            {"engine": {"env": [{"name": "A", "value": "b"}]}},
            {"image": "example.com/own:1"},
            {"projector": {"source": {"url": {"url": "http://files/mmproj.gguf"}}}},
        ],
        ids=["arguments", "variables", "own image", "projector"],
    )
    def test_no_limit_where_the_prediction_does_not_cover_what_the_server_does(self, spec: Object) -> None:
        assert of(BIG, **spec) == {"requests": {"memory": "5121Mi"}}

    def test_no_limit_for_an_image_that_another_operator_has_chosen(self) -> None:
        assert asked(up(), shipped="localhost/llama-server:0.2.0") == {NAME: {"requests": BOTH["requests"]}}

    @given(st.integers(0, 1 << 60))
    def test_the_limit_holds_what_is_predicted_with_room(self, total: int) -> None:
        """It is above the request, so the pod stays Burstable."""
        found = of(BIG | {"total": total})
        request, limit = (int(quantity.parse(found[which]["memory"])) for which in ("requests", "limits"))
        assert total <= request < total + (1 << 20)
        assert limit >= max(2 * total, total + HEADROOM)
        assert limit > request


def told(seen: Observed, old: Object | None = None, **spec: Any) -> Object:
    manifest = raw(**spec) | ({"status": old} if old else {})
    return compute(manifest, seen, None, NOW if old is None else SOON)


def degraded(*pods: Object, **given: Any) -> str:
    return str(by_type(told(observed(list(pods), **given), **given)).get("Degraded", {}).get("message", ""))


class TestWhatIsTold:
    def test_a_node_that_never_has_it(self) -> None:
        message = degraded(up(None, pending("Infeasible", INFEASIBLE)))
        assert f"its node never has as much (Infeasible: {INFEASIBLE})" in message
        assert "set spec.resources.requests.memory to 5121Mi, and a node that has it is chosen, or lower" in message

    def test_a_node_without_room(self) -> None:
        message = degraded(up(None, pending("Deferred", DEFERRED)))
        assert f"has not as much left (Deferred: {DEFERRED}); it gets it once there is room. Or set spec" in message

    def test_an_unknown_reason_is_one_for_now(self) -> None:
        """As KEP-1287 wants it."""
        assert "has not as much left (Later)" in degraded(up(None, pending("Later", "")))

    def test_one_that_is_not_pending_any_more(self) -> None:
        assert degraded(up(None, condition("PodResizePending", False, reason="Infeasible"))) == ""

    def test_waiting_for_the_room_of_an_older_pod_is_no_news(self) -> None:
        waits = up(None, pending("Deferred", DEFERRED))
        older = answering(name="tiny-old", version="old")
        ending = answering(name="tiny-old")
        ending["metadata"]["deletionTimestamp"] = NOW
        evicted = answering(name="tiny-old", version="old") | {"status": {"phase": "Failed", "conditions": []}}
        assert [degraded(waits, other) != "" for other in (older, ending, evicted)] == [False, False, True]

    def test_a_node_that_never_has_it_is_told_beside_an_older_pod(self) -> None:
        other = answering(name="tiny-old", version="old")
        assert "never has" in degraded(up(None, pending("Infeasible", INFEASIBLE)), other)

    def test_one_of_two_replicas(self) -> None:
        pods = [up(BOTH, name="tiny-a"), up(None, pending("Deferred", DEFERRED), name="tiny-b")]
        assert degraded(*pods, replicas=2).startswith("pod tiny-b has no claim")

    def test_a_user_who_has_said_how_much_is_told_nothing(self) -> None:
        spec: Object = {"resources": {"requests": {"memory": "1Gi"}}}
        built = up(None, pending("Infeasible", INFEASIBLE), version=template_hash(**spec))
        assert degraded(built, **spec) == ""

    def test_it_is_an_event_and_a_word_in_the_column(self) -> None:
        status = told(observed([up(None, pending("Infeasible", INFEASIBLE))]))
        assert status["state"] == "Degraded: MemoryNotGranted"
        assert by_type(status)["Ready"]["status"] == "True"

    @pytest.mark.parametrize(
        ("words", "advice"),
        [
            (QUOTA, "raise the ResourceQuota"),
            (
                'pods "a" is forbidden: User "system:serviceaccount:a:b" cannot patch resource "pods/resize" in API '
                'group "" in the namespace "team"',
                "grant the operator what its chart grants it",
            ),
            ('Pod "a" is invalid: spec: Forbidden: Pod running on node without support for resize', "upgrade the node"),
            ('pods "a" is forbidden: maximum memory usage per Container is 4Gi, but limit is 8Gi', "the LimitRange"),
        ],
        ids=["quota", "rights", "old node", "limit range"],
    )
    def test_a_refusal_comes_with_what_to_do(self, words: str, advice: str) -> None:
        message = by_type(told(refused([up()], words)))["Degraded"]["message"]
        assert f"the API server refuses the resize: {words}; " in message
        assert advice in message

    def test_other_numbers_of_the_node_are_no_news(self) -> None:
        first = told(observed([up(None, pending("Deferred", DEFERRED))]))
        again = DEFERRED.replace("3221225472", "3221229999")
        assert told(observed([up(None, pending("Deferred", again))]), first) == first

    def test_what_the_servers_say_themselves_comes_first(self) -> None:
        built = up(None, pending("Infeasible", INFEASIBLE), podIP="10.0.0.7")
        seen = observed([built])
        said = Observed(seen.children, seen.pods, told={UID: but(context_size=512)})
        assert by_type(told(said))["Degraded"]["reason"] == "ContextSmaller"

    def test_an_aborted_resize(self) -> None:
        message = degraded(up(BOTH, condition("PodResizeInProgress", True, reason="Error", message=ABORTED)))
        assert "and tries again. If that stays, set spec.resources.requests.memory to 5121Mi" in message
        assert degraded(up(BOTH, condition("PodResizeInProgress", True))) == ""

    def test_an_evicted_pod_lacks_nothing(self) -> None:
        built = up(None, pending("Infeasible", INFEASIBLE))
        built["status"] |= {"phase": "Failed", "reason": "Evicted", "conditions": built["status"]["conditions"]}
        assert degraded(built) == ""

    def test_one_that_loads(self) -> None:
        status = told(observed([loading(pending("Infeasible", INFEASIBLE))]))
        assert (status["state"], by_type(status)["Degraded"]["reason"]) == ("Starting", "MemoryNotGranted")

"""What an observed Deployment keeps: its scaler's replicas, and its stager's image."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from llama_operator.api.types import parse
from llama_operator.constants import APPLIED_HASH
from llama_operator.reconcile.carryover import scaler
from llama_operator.reconcile.plan import Plan, plan
from llama_operator.resources import build
from tests.unit.reconcile.objects import Object, children
from tests.unit.resources.models import CONFIG, raw

NOTHING = Plan([], [])
UPGRADED = msgspec.structs.replace(CONFIG, stage_image="localhost/llama-operator:0.2.0")


def after_upgrade(**spec: Any) -> list[Object]:
    """What the operator's next version wants, its own image being the only news."""
    return build(parse(raw(**spec)), UPGRADED)


def scaled_by(manager: str, to: int, **spec: Any) -> list[Object]:
    """The children of a model whose Deployment a scaler has taken to so many replicas, as the API server shows them."""
    observed = children(**spec)
    observed[0]["spec"]["replicas"] = to
    observed[0]["metadata"]["managedFields"] = [
        {
            "manager": manager,
            "operation": "Update",
            "subresource": "scale",
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:spec": {"f:replicas": {}}},
        }
    ]
    return observed


class TestStager:
    def test_an_upgrade_of_the_operator_alone_changes_nothing(self) -> None:
        assert plan(after_upgrade(), children()) == NOTHING

    def test_a_new_model_gets_the_new_stager(self) -> None:
        deployment = plan(after_upgrade(), []).apply[0]
        assert deployment["spec"]["template"]["spec"]["initContainers"][0]["image"] == UPGRADED.stage_image

    def test_the_new_stager_comes_with_any_other_change_of_the_pods(self) -> None:
        (deployment,) = plan(after_upgrade(engine={"slots": 2}), children()).apply
        assert deployment["spec"]["template"]["spec"]["initContainers"][0]["image"] == UPGRADED.stage_image

    def test_a_change_beside_the_pods_keeps_the_old_one_and_so_the_pods(self) -> None:
        (deployment,) = plan(after_upgrade(replicas=2), children()).apply
        assert deployment["spec"]["template"] == children()[0]["spec"]["template"]
        assert deployment["spec"]["replicas"] == 2
        assert plan(after_upgrade(replicas=2), [deployment, *children()[1:]]) == NOTHING

    @pytest.mark.parametrize(("field", "which"), [("initContainers", 0), ("containers", 1)])
    def test_an_image_put_there_by_hand_is_no_old_one(self, field: str, which: int) -> None:
        observed = children()
        observed[0]["spec"]["template"]["spec"][field][which]["image"] = "evil"
        (deployment,) = plan(after_upgrade(), observed).apply
        assert deployment["spec"]["template"]["spec"][field][which]["image"] == UPGRADED.stage_image

    def test_a_hand_edit_is_undone_with_the_old_one(self) -> None:
        """A repair must not roll the pods a second time."""
        observed = children()
        observed[0]["spec"]["template"]["spec"]["containers"][0]["args"] = []
        (deployment,) = plan(after_upgrade(), observed).apply
        assert deployment["spec"]["template"] == children()[0]["spec"]["template"]

    @pytest.mark.parametrize("missing", ["initContainers", "annotations"])
    def test_a_template_that_lacks_it_is_repaired(self, missing: str) -> None:
        observed = children()
        template = observed[0]["spec"]["template"]
        del (template["spec"] if missing == "initContainers" else template["metadata"])[missing]
        (deployment,) = plan(after_upgrade(), observed).apply
        assert APPLIED_HASH in deployment["spec"]["template"]["metadata"]["annotations"]


class TestScaler:
    def test_keeps_the_number_that_it_set(self) -> None:
        assert plan(children(), scaled_by("kube-controller-manager", 4)) == NOTHING

    def test_keeps_it_when_something_else_is_applied(self) -> None:
        (deployment,) = plan(children(engine={"slots": 2}), scaled_by("keda", 4)).apply
        assert "replicas" not in deployment["spec"]

    def test_yields_to_another_number_in_the_spec(self) -> None:
        (deployment,) = plan(children(replicas=2), scaled_by("keda", 4)).apply
        assert deployment["spec"]["replicas"] == 2

    def test_does_not_keep_a_stopped_model_running(self) -> None:
        (deployment,) = plan(children(replicas=0), scaled_by("keda", 4, replicas=0)).apply
        assert deployment["spec"]["replicas"] == 0

    @pytest.mark.parametrize("tool", ["kubectl", "k9s"])
    def test_is_not_a_person_with_a_tool(self, tool: str) -> None:
        (deployment,) = plan(children(), scaled_by(tool, 4)).apply
        assert deployment["spec"]["replicas"] == 1

    def test_is_who_set_the_number_and_did_it_through_scale(self) -> None:
        deployment = scaled_by("keda", 4)[0]
        assert scaler(deployment) == "keda"
        (entry,) = deployment["metadata"]["managedFields"]
        deployment["metadata"]["managedFields"] = [{**entry, "subresource": ""}]
        assert scaler(deployment) is None
        deployment["metadata"]["managedFields"] = [{**entry, "fieldsV1": {"f:metadata": {}}}]
        assert scaler(deployment) is None
        assert scaler(children()[0]) is None


class TestClaim:
    def observed(self, size: str) -> list[Object]:
        found = children(storage={"claim": {"size": "10Gi"}})
        next(child for child in found if child["kind"] == "PersistentVolumeClaim")["spec"]["resources"] = {
            "requests": {"storage": size}
        }
        return found

    def size(self, wanted: str, observed: str) -> str | None:
        """What is written; None if nothing is."""
        todo = plan(children(storage={"claim": {"size": wanted}}), self.observed(observed))
        assert todo.delete == []
        claims = [child for child in todo.apply if child["kind"] == "PersistentVolumeClaim"]
        return str(claims[0]["spec"]["resources"]["requests"]["storage"]) if claims else None

    def test_that_somebody_has_enlarged_stays_so(self) -> None:
        """None can be made smaller: the API server would refuse it for ever."""
        assert self.size("10Gi", "20Gi") is None
        assert self.size("11Gi", "20Gi") == "20Gi", "the annotation is another one"

    def test_grows_with_the_spec(self) -> None:
        assert self.size("30Gi", "20Gi") == "30Gi"
        assert self.size("10Gi", "1Gi") == "10Gi"
        assert self.size("10Gi", "10240Mi") is None

"""What the pods may do on a node, and the operator in the API: no more than is needed."""

from collections.abc import Iterator

import pytest

from llama_operator.kube.kinds import EVENT, LEASE, MODEL, OWNED, POD, SECRET
from llama_operator.resources import OPTIONAL
from tests.unit.chart.helm import NAMESPACE, Helm, Object, is_test

Right = tuple[str, str, str]

VALUES: list[Object] = [{}, {"watch": {"namespaces": ["team-a", "team-b"]}}]


def violations(pod: Object) -> Iterator[str]:
    """Where a pod falls short of the Pod Security Standard `restricted`, or could write to its root file system.

    https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
    """
    whole = pod["securityContext"]
    if whole.get("runAsNonRoot") is not True or whole.get("runAsUser", 0) == 0:
        yield "pod may run as root"
    if whole.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "no seccomp profile"
    if any(pod.get(name) for name in ("hostNetwork", "hostPID", "hostIPC", "volumes")):
        yield "host namespaces or volumes"
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        own = container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False or own.get("privileged"):
            yield f"{container['name']} may gain privileges"
        if own.get("capabilities") != {"drop": ["ALL"]}:
            yield f"{container['name']} has capabilities"
        if own.get("readOnlyRootFilesystem") is not True:
            yield f"{container['name']} may write to its root file system"
        if own.get("runAsUser", 1) == 0 or own.get("runAsNonRoot") is False:
            yield f"{container['name']} may run as root"
        if any("hostPort" in port for port in container.get("ports", [])):
            yield f"{container['name']} takes a port of the node"


def pods(helm: Helm, values: Object) -> dict[str, Object]:
    found = {}
    for obj in helm.objects(values):
        if "template" in obj.get("spec", {}):
            found[obj["kind"]] = obj["spec"]["template"]["spec"]
        elif obj["kind"] == "Pod":
            found["Pod"] = obj["spec"]
    return found


@pytest.mark.parametrize("values", VALUES)
def test_pods_satisfy_restricted(helm: Helm, values: Object) -> None:
    found = pods(helm, values)
    assert {name: list(violations(pod)) for name, pod in found.items()} == {"Deployment": [], "Pod": []}


def test_every_container_states_its_resources(helm: Helm) -> None:
    for pod in pods(helm, {}).values():
        for container in pod["containers"]:
            assert set(container["resources"]["requests"]) == {"cpu", "memory"}
            assert "memory" in container["resources"]["limits"]


def rights(rules: list[Object]) -> set[Right]:
    for rule in rules:
        assert set(rule) == {"apiGroups", "resources", "verbs"}
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def needed() -> set[Right]:
    """The calls that the operator makes. Server-side apply of something new takes `create` and `patch`."""
    verbs = {kind: ["get", "list", "watch", "create", "patch"] for kind in OWNED}
    for kind in OWNED:
        verbs[kind] += ["delete"] if kind.kind in OPTIONAL else []
    verbs |= {MODEL: ["get", "list", "watch"], POD: ["list", "watch"], EVENT: ["create", "list"], SECRET: ["create"]}
    found = {(kind.group, kind.plural, verb) for kind, some in verbs.items() for verb in some}
    return found | {(MODEL.group, f"{MODEL.plural}/status", "patch"), (POD.group, f"{POD.plural}/resize", "patch")}


def operators(helm: Helm, values: Object, *kinds: str) -> list[Object]:
    """The operator's own objects of these kinds."""
    return [
        obj
        for obj in helm.objects(values)
        if obj["kind"] in kinds and obj["metadata"]["name"] == "llama-operator" and not is_test(obj)
    ]


def test_operator_may_do_exactly_what_it_does(helm: Helm) -> None:
    (role,) = operators(helm, {}, "ClusterRole", "Role")
    assert role["kind"] == "ClusterRole"
    assert rights(role["rules"]) == needed()


def test_operator_of_some_namespaces_has_no_right_elsewhere(helm: Helm) -> None:
    values = {"watch": {"namespaces": ["team-a", "team-b"]}}
    assert operators(helm, values, "ClusterRole", "ClusterRoleBinding") == []
    roles = operators(helm, values, "Role")
    assert {role["metadata"]["namespace"] for role in roles} == {"team-a", "team-b"}
    for role in roles:
        assert rights(role["rules"]) == needed()


@pytest.mark.parametrize("values", VALUES)
def test_each_role_is_bound_to_the_operators_account(helm: Helm, values: Object) -> None:
    roles = operators(helm, values, "ClusterRole", "Role")
    bindings = operators(helm, values, "ClusterRoleBinding", "RoleBinding")
    (account,) = operators(helm, values, "ServiceAccount")
    for role, binding in zip(roles, bindings, strict=True):
        assert role["metadata"].get("namespace") == binding["metadata"].get("namespace")
        assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) == (role["kind"], role["metadata"]["name"])
        subject = {"kind": "ServiceAccount", "name": account["metadata"]["name"], "namespace": NAMESPACE}
        assert binding["subjects"] == [subject]
    spec = helm.one("Deployment", values)["spec"]["template"]["spec"]
    assert spec["serviceAccountName"] == account["metadata"]["name"]


@pytest.mark.parametrize("values", [*VALUES, {"watch": {"namespaces": [NAMESPACE]}}])
def test_operator_has_the_right_to_its_own_lease_only(helm: Helm, values: Object) -> None:
    (role,) = (
        obj for obj in helm.objects(values) if obj["metadata"]["name"] == "llama-operator-lead" and "rules" in obj
    )
    (binding,) = (obj for obj in helm.objects(values) if obj.get("roleRef", {}).get("name") == "llama-operator-lead")
    assert role["metadata"]["namespace"] == binding["metadata"]["namespace"] == NAMESPACE
    rule = {"apiGroups": [LEASE.group], "resources": [LEASE.plural], "resourceNames": ["llama-operator"]}
    assert role["rules"] == [{**rule, "verbs": ["get", "create", "patch"]}]


def user_roles(helm: Helm, values: Object | None = None) -> dict[str, set[Right]]:
    """Kubernetes' own role -> what the chart adds to it."""
    added: dict[str, set[Right]] = {}
    for obj in helm.objects(values):
        for label, value in obj["metadata"]["labels"].items():
            if label.startswith("rbac.authorization.k8s.io/aggregate-to-") and value == "true":
                added.setdefault(label.rpartition("-")[2], set()).update(rights(obj["rules"]))
    return added


def test_users_roles_cover_models_and_nothing_else(helm: Helm) -> None:
    added = user_roles(helm)
    assert set(added) == {"view", "edit", "admin"}
    assert {verb for _, _, verb in added["view"]} == {"get", "list", "watch"}
    assert {(MODEL.group, MODEL.plural, verb) for verb in ("create", "update", "patch", "delete")} <= added["edit"]
    assert added["view"] < added["edit"] == added["admin"]
    covered = {(group, resource.partition("/")[0]) for group, resource, _ in added["admin"]}
    assert covered == {(MODEL.group, MODEL.plural)}


def test_no_user_writes_a_status(helm: Helm) -> None:
    status = f"{MODEL.plural}/status"
    assert {verb for _, resource, verb in user_roles(helm)["admin"] if resource == status} == {"get"}


def test_users_roles_can_be_left_out(helm: Helm) -> None:
    values = {"rbac": {"aggregateToUserRoles": False}, "watch": {"namespaces": ["team-a"]}, "crds": {"enabled": False}}
    kinds = {obj["kind"] for obj in helm.objects(values)}
    assert kinds == {"ServiceAccount", "Role", "RoleBinding", "Deployment", "PodDisruptionBudget", "Pod"}


@pytest.mark.parametrize("values", VALUES)
def test_rights_of_the_test_are_gone_after_it(helm: Helm, values: Object) -> None:
    hooks = [obj for obj in helm.objects(values) if is_test(obj)]
    # `helm test --logs` (3.19) looks for a pod by the name of every hook, whatever its kind.
    assert len({obj["metadata"]["name"] for obj in hooks}) == 1
    for obj in hooks:
        kept = "hook-succeeded" not in obj["metadata"]["annotations"]["helm.sh/hook-delete-policy"]
        assert kept == (obj["kind"] == "Pod")
        for rule in obj.get("rules", []):
            assert set(rule["resources"]) <= {"pods", MODEL.plural}
            assert set(rule["verbs"]) <= {"list", "watch", "create", "delete"}

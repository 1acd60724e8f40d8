from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from llama_operator.kube import errors, kinds
from llama_operator.kube.client import Client
from llama_operator.kube.ratelimit import TokenBucket
from llama_operator.kube.transport import Answer, Request, TransportError
from tests.unit.kube.fake_api import FakeAPI, reply, status

Object = dict[str, Any]
SERVICE = kinds.BY_NAME["Service"]
DEPLOYMENT = kinds.BY_NAME["Deployment"]
PATH = "/api/v1/namespaces/team/services/qwen"
OBJ: Object = {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "team", "name": "qwen", "uid": "7"}}


@pytest.fixture
def api() -> FakeAPI:
    return FakeAPI()


def answering(handler: Callable[[Request], Answer]) -> Client:
    async def send(request: Request) -> Answer:
        return handler(request)

    return Client(send, TokenBucket(1e6, 1000), max_concurrent_writes=2)


def test_paths() -> None:
    assert SERVICE.path() == "/api/v1/services"
    assert DEPLOYMENT.path("team") == "/apis/apps/v1/namespaces/team/deployments"
    assert kinds.MODEL.path("team", "qwen") == "/apis/llama-operator.dev/v1alpha1/namespaces/team/llamamodels/qwen"
    assert (SERVICE.group, DEPLOYMENT.group) == ("", "apps")


def test_only_models_are_watched_without_a_selector() -> None:
    assert [kind.kind for kind in kinds.WATCHED if not kind.selector] == ["LlamaModel"]


async def test_list_turns_the_pages_and_keeps_the_selector() -> None:
    asked: list[dict[str, str]] = []

    def pages(request: Request) -> Answer:
        asked.append(dict(request.params))
        first = "continue" not in request.params
        name = "a" if first else "b"
        meta = {"resourceVersion": "42"} | ({"continue": "next"} if first else {})
        return reply({"metadata": meta, "items": [{"metadata": {"name": name}}]})

    got = [page async for page in answering(pages).pages(SERVICE, "team")]
    assert [[item["metadata"]["name"] for item in items] for items, _ in got] == [["a"], ["b"]]
    assert {(item["apiVersion"], item["kind"]) for items, _ in got for item in items} == {("v1", "Service")}
    assert [version for _, version in got] == [42, 42]
    assert [params["labelSelector"] for params in asked] == [SERVICE.selector] * 2
    assert [params.get("continue") for params in asked] == [None, "next"]


async def test_a_list_whose_pages_expire_is_worth_another_attempt() -> None:
    client = answering(lambda _: status(410, "Expired", "the provided continue parameter is too old"))
    with pytest.raises(errors.Retryable):
        await anext(client.pages(SERVICE))


async def test_an_empty_list_may_be_null() -> None:
    client = answering(lambda _: reply({"metadata": {"resourceVersion": "1"}, "items": None}))
    assert [page async for page in client.pages(SERVICE)] == [([], 1)]


async def test_apply_is_a_forced_server_side_apply() -> None:
    seen: list[Request] = []

    def apply(request: Request) -> Answer:
        seen.append(request)
        return reply(OBJ)

    assert await answering(apply).apply(SERVICE, OBJ) == OBJ
    (request,) = seen
    assert (request.method, request.path) == ("PATCH", PATH)
    assert request.params == {"fieldManager": "llama-operator", "force": "true"}
    assert request.headers["content-type"] == "application/apply-patch+yaml"
    assert json.loads(request.body or b"") == OBJ


async def test_a_resize_is_a_strategic_patch_of_one_container_of_this_very_pod() -> None:
    seen: list[Request] = []

    def patch(request: Request) -> Answer:
        seen.append(request)
        return reply(OBJ)

    client = answering(patch)
    await client.resize(OBJ, "llama-server", {"requests": {"memory": "1Mi"}})
    (request,) = seen
    assert (request.method, request.path) == ("PATCH", "/api/v1/namespaces/team/pods/qwen/resize")
    assert request.params == {"fieldManager": "llama-operator"}
    assert request.headers["content-type"] == "application/strategic-merge-patch+json"
    container = {"name": "llama-server", "resources": {"requests": {"memory": "1Mi"}}}
    assert json.loads(request.body or b"") == {"metadata": {"uid": "7"}, "spec": {"containers": [container]}}
    assert client.calls == {("resize", "Pod", 200): 1}


async def test_delete_is_bound_to_the_uid() -> None:
    seen: list[Object] = []

    def delete(request: Request) -> Answer:
        seen.append(json.loads(request.body or b""))
        return reply({"kind": "Status"})

    await answering(delete).delete(SERVICE, OBJ)
    assert seen[0]["preconditions"] == {"uid": "7"}
    assert seen[0]["propagationPolicy"] == "Background"


async def test_status_is_patched_on_its_subresource(api: FakeAPI) -> None:
    path = kinds.MODEL.path("team", "qwen")
    found = api.put(path, {"metadata": {"namespace": "team", "name": "qwen"}, "status": {"url": "x"}})
    version = {"resourceVersion": found["metadata"]["resourceVersion"]}
    patched = await api.client().patch_status(
        kinds.MODEL, "team", "qwen", {"metadata": version, "status": {"url": None, "replicas": 1}}
    )
    assert patched["status"] == {"replicas": 1}
    assert api.requests == [("PATCH", f"{path}/status")]


async def test_a_patch_is_bound_to_the_version_that_was_seen(api: FakeAPI) -> None:
    seen = api.put(PATH, {**OBJ, "spec": {"a": 1, "b": 2}})
    client = api.client()
    patched = await client.patch(SERVICE, seen, {"metadata": {"labels": {"x": "y"}}, "spec": {"a": None}})
    assert patched["spec"] == {"b": 2}
    assert patched["metadata"]["labels"] == {"x": "y"}
    assert api.bodies[0]["metadata"]["resourceVersion"] == seen["metadata"]["resourceVersion"]
    with pytest.raises(errors.Conflict):
        await client.patch(SERVICE, seen, {"spec": {"b": None}})
    assert api.objects[PATH]["spec"] == {"b": 2}


async def test_a_patch_is_a_merge_patch_in_our_name() -> None:
    seen: list[Request] = []

    def patch(request: Request) -> Answer:
        seen.append(request)
        return reply(OBJ)

    version = {"resourceVersion": "5"}
    await answering(patch).patch(SERVICE, {**OBJ, "metadata": OBJ["metadata"] | version}, {"spec": {"a": None}})
    (request,) = seen
    assert (request.method, request.path) == ("PATCH", PATH)
    assert request.params == {"fieldManager": "llama-operator"}
    assert request.headers["content-type"] == "application/merge-patch+json"
    assert json.loads(request.body or b"") == {"spec": {"a": None}, "metadata": version}


def owned(*owners: Object) -> Object:
    return {**OBJ, "metadata": {**OBJ["metadata"], "managedFields": list(owners)}}


OURS: Object = {"manager": "llama-operator", "operation": "Update"}
NOT_OURS: list[Object] = [
    {"manager": "llama-operator", "operation": "Apply"},
    {"manager": "kubectl-edit", "operation": "Update"},
    {"manager": "llama-operator", "operation": "Update", "subresource": "status"},
]


@pytest.mark.parametrize("before", range(4))
async def test_disowning_removes_our_entry_and_tests_that_it_is_ours(before: int) -> None:
    seen: list[Request] = []

    def patch(request: Request) -> Answer:
        seen.append(request)
        return reply(OBJ)

    await answering(patch).disown(SERVICE, owned(*NOT_OURS[:before], OURS, *NOT_OURS[before:]))
    (request,) = seen
    assert (request.method, request.path) == ("PATCH", PATH)
    assert request.headers["content-type"] == "application/json-patch+json"
    assert json.loads(request.body or b"") == [
        {"op": "test", "path": f"/metadata/managedFields/{before}/manager", "value": "llama-operator"},
        {"op": "test", "path": f"/metadata/managedFields/{before}/operation", "value": "Update"},
        {"op": "remove", "path": f"/metadata/managedFields/{before}"},
    ]


async def test_nothing_to_disown_costs_no_call(api: FakeAPI) -> None:
    await api.client().disown(SERVICE, owned(*NOT_OURS))
    assert api.requests == []


async def test_an_entry_that_has_moved_is_not_removed(api: FakeAPI) -> None:
    """Somebody else's would go instead."""
    late = owned(OURS)
    api.put(PATH, owned(NOT_OURS[1], OURS))
    with pytest.raises(errors.Invalid):
        await api.client().disown(SERVICE, late)
    assert api.objects[PATH]["metadata"]["managedFields"] == [NOT_OURS[1], OURS]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (status(401, "Unauthorized", "m"), errors.Retryable),
        (status(403, "Forbidden", "m"), errors.Forbidden),
        (status(404, "NotFound", "m"), errors.NotFound),
        (status(409, "Conflict", "m"), errors.Conflict),
        (status(422, "Invalid", "m"), errors.Invalid),
        (status(400, "BadRequest", "m"), errors.Rejected),
        (status(413, "RequestEntityTooLarge", "m"), errors.Rejected),
        (status(429, "TooManyRequests", "m"), errors.Retryable),
        (status(500, "InternalError", "m"), errors.Retryable),
        (status(500, "InternalError", "failed to create typed patch object (a/b; apps/v1): .spec.x"), errors.Invalid),
        (Answer(502, "Bad Gateway", {}, b"<html>proxy</html>"), errors.Retryable),
        (reply(["not", "a", "status"], 400), errors.Rejected),
    ],
)
async def test_errors_are_sorted_by_what_to_do(answer: Answer, error: type[errors.APIError]) -> None:
    with pytest.raises(errors.APIError) as raised:
        await answering(lambda _: answer).get(SERVICE, "team", "qwen")
    assert type(raised.value) is error
    assert f"get Service {PATH}" in str(raised.value)


async def test_an_apply_that_meets_another_uid_is_a_conflict_not_an_invalid_object() -> None:
    causes = {"details": {"causes": [{"field": "metadata.uid", "message": "field is immutable"}]}}
    client = answering(lambda _: status(422, "Invalid", "field is immutable", **causes))
    with pytest.raises(errors.Conflict):
        await client.apply(SERVICE, OBJ)


async def test_the_message_of_the_server_is_kept() -> None:
    client = answering(lambda _: status(422, "Invalid", 'Service "qwen" is invalid: spec.ports: Required value'))
    with pytest.raises(errors.Invalid) as raised:
        await client.apply(SERVICE, OBJ)
    assert raised.value.message == 'Service "qwen" is invalid: spec.ports: Required value'
    assert (raised.value.code, raised.value.reason) == (422, "Invalid")


@pytest.mark.parametrize(("header", "seconds"), [("17", 17.0), (None, None), ("Wed, 21 Oct 2026 07:28:00 GMT", None)])
async def test_retry_after_is_passed_on(header: str | None, seconds: float | None) -> None:
    headers = {"retry-after": header} if header else None
    client = answering(lambda _: status(429, "TooManyRequests", "m", headers=headers))
    with pytest.raises(errors.Retryable) as raised:
        await client.get(SERVICE, "team", "qwen")
    assert raised.value.retry_after == seconds


async def test_a_broken_connection_is_worth_another_attempt_and_is_counted() -> None:
    def broken(_: Request) -> Answer:
        raise TransportError("ServerDisconnectedError")

    client = answering(broken)
    with pytest.raises(errors.Retryable, match=f"get Service {PATH}: ServerDisconnectedError"):
        await client.get(SERVICE, "team", "qwen")
    assert client.calls == {("get", "Service", 0): 1}


async def test_calls_are_counted_by_verb_and_code(api: FakeAPI) -> None:
    client = api.client()
    await client.apply(SERVICE, {**OBJ, "metadata": {"namespace": "team", "name": "qwen"}})
    with pytest.raises(errors.NotFound):
        await client.get(SERVICE, "team", "other")
    assert client.calls == {("apply", "Service", 200): 1, ("get", "Service", 404): 1}


async def test_a_proxys_refusal_is_told_by_its_status_line() -> None:
    with pytest.raises(errors.Retryable) as raised:
        await answering(lambda _: Answer(502, "Bad Gateway", {}, b"<html>proxy</html>")).get(SERVICE, "team", "qwen")
    assert (raised.value.code, raised.value.message) == (502, "Bad Gateway")

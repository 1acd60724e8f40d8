"""What is mounted where, and by whom."""

from __future__ import annotations

from typing import Any

import pytest

from llama_operator.resources.volumes import for_server, for_stager, volumes
from tests.unit.resources.models import model

URL: dict[str, Any] = {"url": "http://a/m.gguf"}
VOLUME = {"volume": {"claimName": "library", "path": "m.gguf"}}
READ_ONLY_CLAIM = {"persistentVolumeClaim": {"claimName": "library", "readOnly": True}}


def paths(mounts: list[dict[str, Any]], *, writable: bool) -> list[str]:
    return [mount["mountPath"] for mount in mounts if ("readOnly" not in mount) == writable]


@pytest.mark.parametrize(
    ("spec", "volume"),
    [
        ({}, {"emptyDir": {}}),
        ({"storage": {"claim": {"size": "1Gi"}}}, {"persistentVolumeClaim": {"claimName": "tiny-model"}}),
        ({"storage": {"cache": {"claimName": "cache"}}}, {"persistentVolumeClaim": {"claimName": "cache"}}),
    ],
)
def test_staged_files_are_written_by_the_stager_alone(spec: Any, volume: Any) -> None:
    made = model(**spec)
    assert volumes(made) == [{"name": "models", **volume}]
    assert paths(for_stager(made), writable=True) == ["/models"]
    assert for_server(made) == [{"name": "models", "mountPath": "/models", "readOnly": True}]


def test_of_a_folder_of_the_node_a_namespace_has_only_its_own_part() -> None:
    """All pods run as one user: nothing else would keep one tenant from another's files."""
    made = model(storage={"cache": {"nodePath": "/a"}}, draft={"source": VOLUME})
    assert {"name": "models", "hostPath": {"path": "/a", "type": "Directory"}} in volumes(made)
    for mounts in (for_stager(made), for_server(made)):
        assert {mount["name"]: mount.get("subPath") for mount in mounts} == {"models": "default", "volume-draft": None}


def test_what_is_served_in_place_is_never_written() -> None:
    """And there is no volume to stage to, if nothing is staged."""
    made = model(source=VOLUME, projector={"source": {"oci": {"image": "p:1", "path": "p.gguf"}}})
    image = {"name": "image-projector", "image": {"reference": "p:1"}}
    assert volumes(made) == [{"name": "volume-model", **READ_ONLY_CLAIM}, image]
    assert for_stager(made) == for_server(made)
    assert paths(for_server(made), writable=False) == ["/volumes/model", "/images/projector"]


def test_the_pull_policy_is_passed_on() -> None:
    oci = {"image": "p:1", "path": "p.gguf", "pullPolicy": "Never"}
    assert volumes(model(source={"oci": oci})) == [
        {"name": "image-model", "image": {"reference": "p:1", "pullPolicy": "Never"}}
    ]


def test_a_claim_is_one_volume_however_often_it_is_used() -> None:
    """Two volumes of one claim in a pod: the kubelet may never mount the second."""
    adapters = [{"name": "a", "source": VOLUME}]
    made = model(source=VOLUME, adapters=adapters, draft={"source": {"url": URL}})
    assert volumes(made) == [{"name": "models", "emptyDir": {}}, {"name": "volume-model", **READ_ONLY_CLAIM}]
    assert [(m["name"], m["mountPath"]) for m in for_server(made)] == [
        ("models", "/models"),
        ("volume-model", "/volumes/model"),
        ("volume-model", "/volumes/adapter/a"),
    ]


def test_a_file_that_lies_in_the_cache_itself() -> None:
    storage = {"cache": {"claimName": "library"}}
    made = model(source={"url": URL}, draft={"source": VOLUME}, storage=storage)
    assert volumes(made) == [{"name": "models", "persistentVolumeClaim": {"claimName": "library"}}]
    assert paths(for_stager(made), writable=True) == ["/models"]
    assert paths(for_stager(made), writable=False) == ["/volumes/draft"]


SECRETS: list[tuple[Any, Any]] = [
    (
        {"huggingFace": {"repo": "a/b", "file": "m.gguf", "tokenSecretRef": {"name": "s", "key": "hf"}}},
        [{"secret": {"name": "s", "items": [{"key": "hf", "path": "hf"}], "optional": True}}],
    ),
    ({"url": {**URL, "headersSecretRef": {"name": "s"}}}, [{"secret": {"name": "s", "optional": True}}]),
    (
        {"s3": {"uri": "s3://abc/m", "credentialsSecretRef": {"name": "s"}}},
        [
            {
                "secret": {
                    "name": "s",
                    "items": [
                        {"key": "accessKeyID", "path": "accessKeyID"},
                        {"key": "secretAccessKey", "path": "secretAccessKey"},
                        {"key": "sessionToken", "path": "sessionToken"},
                    ],
                    "optional": True,
                }
            }
        ],
    ),
]


@pytest.mark.parametrize(("source", "projected"), SECRETS, ids=["hub", "url", "s3"])
def test_secrets_are_files_of_the_stager(source: Any, projected: Any) -> None:
    """Optional: a pod whose files are in place starts without them."""
    made = model(source={"url": URL}, adapters=[{"name": "a", "source": source}])
    [_, secret] = volumes(made)
    assert secret == {"name": "secret-adapter-a", "projected": {"sources": projected, "defaultMode": 0o440}}
    mount = {"name": "secret-adapter-a", "mountPath": "/secrets/adapter/a", "readOnly": True}
    assert mount in for_stager(made)
    assert [m["name"] for m in for_server(made)] == ["models"]

"""What the stager is asked for."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from llama_operator.api import staging as api
from llama_operator.api.types import SpecError
from llama_operator.resources import build
from llama_operator.resources.staging import container, request
from tests.unit.resources.models import CONFIG, model

URL: dict[str, Any] = {"url": "http://a/m.gguf"}
HUB: dict[str, Any] = {"repo": "a/b", "file": "m.gguf"}
VOLUME = {"volume": {"claimName": "library", "path": "m.gguf"}}
TOKEN = {"tokenSecretRef": {"name": "hf", "key": "t"}}
CREDENTIALS = {"credentialsSecretRef": {"name": "s"}}
CACHE = {"storage": {"cache": {"claimName": "cache"}}}


@pytest.mark.parametrize(
    ("source", "asked"),
    [
        ({"url": URL}, api.Url("http://a/m.gguf")),
        ({"url": {**URL, "headersSecretRef": {"name": "h"}}}, api.Url("http://a/m.gguf", "/secrets/model")),
        ({"huggingFace": HUB}, api.HuggingFace("https://huggingface.co", "a/b", "main", "m.gguf")),
        (
            {
                "huggingFace": {
                    "repo": "a/b",
                    "quantization": "Q8_0",
                    "revision": "v1",
                    "endpoint": "http://hub",
                    **TOKEN,
                }
            },
            api.HuggingFace("http://hub", "a/b", "v1", quantization="Q8_0", token="/secrets/model/t"),
        ),
        ({"s3": {"uri": "s3://abc/m"}}, api.S3("s3://abc/m")),
        (
            {"s3": {"uri": "s3://abc/m", "endpoint": "http://minio", "region": "eu", **CREDENTIALS}},
            api.S3("s3://abc/m", "http://minio", "eu", "/secrets/model"),
        ),
        (VOLUME, api.InPlace()),
        ({"oci": {"image": "m:1", "path": "m.gguf"}}, api.InPlace()),
    ],
    ids=str,
)
def test_each_source(source: Any, asked: Any) -> None:
    [file] = request(model(source=source)).files
    assert (file.role, file.field, file.source, file.sha256) == ("model", "spec.source", asked, "")


@pytest.mark.parametrize("source", [{"url": URL}, {"huggingFace": HUB}, {"s3": {"uri": "s3://abc/m"}}, VOLUME], ids=str)
def test_the_digest_is_passed_on(source: Any) -> None:
    [(kind, members)] = source.items()
    [file] = request(model(source={kind: {**members, "sha256": "0" * 64}})).files
    assert file.sha256 == "0" * 64


def test_what_is_only_checked_needs_no_room() -> None:
    assert request(model(source=VOLUME)).root == ""
    assert request(model(source=VOLUME, draft={"source": {"url": URL}})).root == "/models"


@pytest.mark.parametrize(("quota", "limit"), [("10Gi", 10 * 2**30), (500, 500), ("1k", 1000), (None, 0)])
def test_the_quota_is_in_bytes(quota: Any, limit: int) -> None:
    cache = {"claimName": "cache"} | ({"quota": quota} if quota else {})
    assert request(model(storage={"cache": cache})).quota == limit


def test_the_stager_can_read_its_argument() -> None:
    made = model(source={"url": {"url": "http://a/$(HOME)/$$m.gguf"}}, **CACHE)
    [argument] = container(made, "image")["args"]
    assert "$$(HOME)/$$$$m" in argument
    assert msgspec.json.decode(argument.replace("$$", "$"), type=api.Request) == request(made)


def test_no_secret_is_named_in_the_argument() -> None:
    hub = {**HUB, "tokenSecretRef": {"name": "name-of-the-secret", "key": "key"}}
    made = container(model(source={"huggingFace": hub}), "image")
    assert "name-of" not in json.dumps(made)
    assert "env" not in made


def test_progress_is_told_on_the_port_of_the_request() -> None:
    made = model()
    assert container(made, "image")["ports"] == [
        {"name": "progress", "containerPort": request(made).port, "protocol": "TCP"}
    ]


@pytest.mark.parametrize(
    ("path", "allowed", "good"),
    [
        ("/var/models", ("/var/models",), True),
        ("/var/models", ("/srv", "/var/models"), True),
        ("/var/models/team-a", ("/srv", "/var/models"), False),
        ("/var/models-of-others", ("/var/models",), False),
        ("/var", ("/var/models",), False),
        ("/var/models", (), False),
    ],
)
def test_folders_of_nodes_are_the_platforms_to_give(path: str, allowed: tuple[str, ...], good: bool) -> None:
    config = msgspec.structs.replace(CONFIG, node_paths=allowed)
    made = model(storage={"cache": {"nodePath": path}})
    if good:
        assert build(made, config)
        return
    with pytest.raises(SpecError, match="to nodePaths in the chart") as caught:
        build(made, config)
    assert caught.value.field == "spec.storage.cache.nodePath"

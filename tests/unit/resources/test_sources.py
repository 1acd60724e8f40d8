"""A model that is built with the sources that it has, while those of its spec are being staged."""

from __future__ import annotations

from typing import Any

import pytest

from llama_operator.resources import sources
from tests.unit.resources.models import model

FILES: dict[str, Any] = {
    "source": {"huggingFace": {"repo": "a/b", "file": "m.gguf", "tokenSecretRef": {"name": "s", "key": "k"}}},
    "projector": {"source": {"s3": {"uri": "s3://abc/p", "credentialsSecretRef": {"name": "c"}}}},
    "adapters": [{"name": "a", "source": {"oci": {"image": "a:1", "path": "a"}}, "scale": "0.5"}],
    "draft": {"source": {"volume": {"claimName": "c", "path": "d"}}},
    "storage": {"cache": {"claimName": "cache", "quota": "1Gi"}},
}


def test_old_files_and_new_settings() -> None:
    before = model(**FILES, engine={"slots": 1})
    after = model(source={"url": {"url": "http://b/m.gguf"}}, storage=FILES["storage"], engine={"slots": 2})
    told = sources.read(sources.written(sources.of(before)))
    assert told is not None
    assert sources.put(after, told) == model(**FILES, engine={"slots": 2})


def test_what_was_not_there_is_taken_away() -> None:
    assert sources.put(model(**FILES), sources.of(model())) == model()


def test_the_volume_keeps_its_new_size() -> None:
    """The claim is already that large: the Deployment is built with old sources, and not with an old claim."""
    small, large = ({"claim": {"size": size}} for size in ("1Gi", "2Gi"))
    kept = sources.put(model(storage=large), sources.of(model(**FILES | {"storage": small})))
    assert kept == model(**FILES | {"storage": large})


def test_the_same_is_written_the_same() -> None:
    assert sources.written(sources.of(model(**FILES))) == sources.written(sources.of(model(**FILES, replicas=3)))


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"source":1}', "{"])
def test_what_somebody_else_wrote_is_nothing(text: str) -> None:
    assert sources.read(text) is None


SAME: list[Any] = [
    {"adapters": [{**FILES["adapters"][0], "scale": "1"}]},
    {"storage": {"cache": {"claimName": "cache", "quota": "2Gi", "whenUnused": "Delete"}}},
    {"replicas": 0, "engine": {"slots": 2}},
]
OTHER: list[Any] = [
    {"source": {"huggingFace": {"repo": "a/b", "file": "n.gguf"}}},
    {"projector": {"source": {"url": {"url": "http://a/p"}}}},
    {"draft": {"source": {"url": {"url": "http://a/d"}}}},
    {"adapters": []},
    {"storage": {"cache": {"claimName": "other"}}},
    {"storage": {"cache": {"nodePath": "/cache"}}},
    {"storage": {"claim": {"size": "1Gi"}}},
]


@pytest.mark.parametrize("change", SAME, ids=str)
def test_what_needs_no_staging(change: Any) -> None:
    assert sources.of(model(**FILES | change)).same(sources.of(model(**FILES)))


@pytest.mark.parametrize("change", OTHER, ids=str)
def test_what_needs_staging(change: Any) -> None:
    assert not sources.of(model(**FILES | change)).same(sources.of(model(**FILES)))

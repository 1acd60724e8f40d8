"""A model that is built with what it is served with, while what its spec asks for is being staged."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from llama_operator.resources.served import served, with_served
from llama_operator.resources.staging import fingerprint
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
    held = with_served(after, served(before))
    assert held == model(**FILES, engine={"slots": 2})
    assert fingerprint(held) == fingerprint(before) != fingerprint(after)


def test_what_was_not_there_is_taken_away() -> None:
    assert with_served(model(**FILES), served(model())) == model()


def test_the_same_is_written_the_same() -> None:
    assert served(model(**FILES)) == served(model(**FILES, replicas=3))


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"source":1}'])
def test_what_somebody_else_wrote_is_an_error(text: str) -> None:
    with pytest.raises(msgspec.DecodeError):
        with_served(model(), text)

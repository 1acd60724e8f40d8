"""Which files a model needs, and what their links are called."""

from __future__ import annotations

from typing import Any

import pytest

from llama_operator.resources.files import downloads, files
from llama_operator.resources.staging import links
from tests.unit.resources.models import model

URL = {"url": {"url": "http://a/m.gguf"}}
HUB: dict[str, Any] = {"repo": "a/b", "file": "m.gguf"}
VOLUME = {"volume": {"claimName": "library", "path": "a/m.gguf"}}
IMAGE = {"oci": {"image": "models:1", "path": "a/m.gguf"}}
TOKEN = {"tokenSecretRef": {"name": "hf", "key": "token"}}


def link(source: Any) -> str:
    return links(model(source=source))


def test_all_files_with_their_roles() -> None:
    adapters = [{"name": name, "source": VOLUME} for name in ("b", "a")]
    made = files(model(source=URL, projector={"source": IMAGE}, adapters=adapters, draft={"source": VOLUME}))
    assert [(file.role, file.field) for file in made] == [
        ("model", "spec.source"),
        ("projector", "spec.projector.source"),
        ("adapter/b", "spec.adapters[0].source"),
        ("adapter/a", "spec.adapters[1].source"),
        ("draft", "spec.draft.source"),
    ]
    assert [file.path for file in made[1:]] == [
        "/images/projector/a/m.gguf",
        "/volumes/adapter/b/a/m.gguf",
        "/volumes/adapter/a/a/m.gguf",
        "/volumes/draft/a/m.gguf",
    ]
    assert made[0].path == f"/models/{made[0].links[0]}"


def test_another_source_has_another_link() -> None:
    """Two versions share a volume while one replaces the other: neither may see the other's file."""
    sources = [
        URL,
        {"url": {"url": "http://b/m.gguf"}},
        {"url": {"url": "http://a/m.gguf", "sha256": "0" * 64}},
        {"s3": {"uri": "s3://abc/m.gguf"}},
        {"s3": {"uri": "s3://abc/m.gguf", "endpoint": "http://minio"}},
        {"huggingFace": HUB},
        {"huggingFace": {**HUB, "revision": "v2"}},
        {"huggingFace": {"repo": "a/b", "quantization": "Q8_0"}},
    ]
    assert len({link(source) for source in sources}) == len(sources)


def test_another_secret_is_no_other_file() -> None:
    other = {"tokenSecretRef": {"name": "other", "key": "t"}}
    assert link({"huggingFace": HUB | TOKEN}) == link({"huggingFace": HUB | other}) == link({"huggingFace": HUB})


@pytest.mark.parametrize(
    "source",
    [
        {"url": {"url": "http://a/m-00001-of-00003.gguf"}},
        {"url": {"url": "http://a/m-00001-of-00003.gguf?signature=b/c#d"}},
        {"huggingFace": {"repo": "a/b", "file": "q4/m-00001-of-00003.gguf"}},
        {"s3": {"uri": "s3://abc/m-00001-of-00003.gguf"}},
    ],
    ids=str,
)
def test_each_part_of_a_split_model_has_a_link(source: Any) -> None:
    [file] = files(model(source=source))
    stem = file.links[0].removesuffix("-00001-of-00003.gguf")
    assert file.links == tuple(f"{stem}-0000{part}-of-00003.gguf" for part in (1, 2, 3))
    assert file.path == f"/models/{stem}-00001-of-00003.gguf"


@pytest.mark.parametrize("name", ["m-00001-of-00003.gguf.bak", "m-00001-of-3.gguf", "x?y=-00001-of-00003.gguf"])
def test_what_only_looks_split_is_one_file(name: str) -> None:
    [file] = files(model(source={"url": {"url": f"http://a/{name}"}}))
    assert file.links == (file.path.removeprefix("/models/"),)


def test_what_is_served_in_place_has_no_link() -> None:
    made = model(source=VOLUME, projector={"source": IMAGE}, draft={"source": URL})
    assert [file.role for file in downloads(made)] == ["draft"]
    assert links(model(source=VOLUME)) == ""


def test_all_links_are_named_once() -> None:
    split = {"url": {"url": "http://a/m-00001-of-00002.gguf"}}
    made = model(source=URL, draft={"source": URL}, projector={"source": split}, adapters=[])
    assert links(made).split() == sorted({link for file in files(made) for link in file.links})
    assert len(links(made).split()) == 3

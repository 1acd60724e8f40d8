"""The llama-server container: what each field of the spec becomes on its command line."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_operator.api.types import SpecError
from llama_operator.config import Config
from llama_operator.resources import build, server, staging
from llama_operator.resources.arguments import arguments
from tests.unit.resources.models import CONFIG, expand, model


def flags(**spec: Any) -> dict[str, str]:
    words = arguments(model(**spec))
    return {word: words[i + 1] for i, word in enumerate(words) if word.startswith("--") and i + 1 < len(words)}


@given(st.text(alphabet="$()AB{} ", max_size=30))
def test_the_kubelet_leaves_literals_as_they_were(text: str) -> None:
    assert expand(staging.literal(text), {"A": "secret", "AB": "x", "": "y"}) == text


def test_dollars_in_args_and_addresses_are_literal() -> None:
    tiny = model(source={"url": {"url": "http://files/$(HF_TOKEN)"}}, engine={"args": ["$(LLAMA_API_KEY)", "$5"]})
    assert server.container(tiny, "image")["args"][-2:] == ["$$(LLAMA_API_KEY)", "$$5"]
    assert "http://files/$$(HF_TOKEN)" in staging.container(tiny, "image")["args"][0]


def test_context_is_for_one_request() -> None:
    words = flags(engine={"contextSize": 8192, "slots": 4})
    assert (words["--ctx-size"], words["--parallel"]) == ("32768", "4")


@pytest.mark.parametrize(
    ("engine", "resources", "threads"),
    [
        ({}, {"limits": {"cpu": "2"}}, "2"),
        ({}, {"limits": {"cpu": 3}}, "3"),
        ({}, {"limits": {"cpu": "2500m"}}, "2"),
        ({}, {"limits": {"cpu": "500m"}}, "1"),
        ({}, {"limits": {"cpu": "4"}, "requests": {"cpu": "1"}}, "4"),
        ({}, {"requests": {"cpu": "1500m"}}, "1"),
        ({}, {"limits": {"cpu": "0"}, "requests": {"cpu": "2"}}, "2"),
        ({}, {"limits": {"cpu": 0}}, None),
        ({}, {"limits": {"cpu": "1k"}}, "512"),
        ({}, {"limits": {"memory": "8Gi"}}, None),
        ({}, {}, None),
        ({"threads": 6}, {"limits": {"cpu": "2"}}, "6"),
    ],
)
def test_threads_follow_the_cpu_limit(engine: Any, resources: Any, threads: str | None) -> None:
    assert flags(engine=engine, resources=resources).get("--threads") == threads


@pytest.mark.parametrize(
    ("limits", "mib"),
    [({}, "512"), ({"memory": "8Gi"}, "1024"), ({"memory": "1G"}, "119"), ({"memory": 0}, "512"), ({"cpu": 1}, "512")],
)
def test_the_prompt_cache_is_a_part_of_the_memory_limit(limits: Any, mib: str) -> None:
    assert flags(resources={"limits": limits})["--cache-ram"] == mib


@pytest.mark.parametrize(("asked", "mib"), [("1Gi", "1024"), (0, "0"), ("0", "0"), ("1G", "953"), (2**21, "2")])
def test_the_prompt_cache_is_as_large_as_asked(asked: Any, mib: str) -> None:
    assert flags(engine={"promptCache": asked}, resources={"limits": {"memory": "8Gi"}})["--cache-ram"] == mib


def test_what_the_user_gives_comes_last() -> None:
    """llama-server takes the last of a repeated flag."""
    words = arguments(model(engine={"webUI": False, "args": ["--sse-ping-interval", "9"]}))
    assert words[-2:] == ["--sse-ping-interval", "9"]


FILES: dict[str, Any] = {
    "source": {"url": {"url": "http://files/m-00001-of-00002.gguf"}},
    "projector": {"source": {"oci": {"image": "projectors", "path": "p.gguf"}}},
    "adapters": [
        {"name": "b", "source": {"volume": {"claimName": "library", "path": "b.gguf"}}, "scale": "-0.5"},
        {"name": "a", "source": {"volume": {"claimName": "library", "path": "a b.gguf"}}},
    ],
    "draft": {"source": {"volume": {"claimName": "library", "path": "d.gguf"}}},
}


def test_each_file_has_its_flag() -> None:
    words = flags(**FILES)
    assert words["--model"].endswith("-00001-of-00002.gguf")
    assert words["--mmproj"] == "/images/projector/p.gguf"
    # One list: of a repeated flag llama-server takes the last. Their order is what clients count by (/lora-adapters).
    assert words["--lora-scaled"] == "/volumes/adapter/b/b.gguf:-0.5,/volumes/adapter/a/a b.gguf:1.0"
    assert words["--model-draft"] == "/volumes/draft/d.gguf"
    assert not flags().keys() & {"--mmproj", "--lora-scaled", "--model-draft", "--spec-type"}


def test_a_draft_model_is_used() -> None:
    """llama-server loads it, and does not draft, without a type; the user may know a better one."""
    assert flags(**FILES)["--spec-type"] == "draft-simple"
    assert flags(**FILES, engine={"args": ["--spec-type", "draft-eagle3"]})["--spec-type"] == "draft-eagle3"
    assert "--spec-type" not in flags(**FILES, engine={"args": ["--spec_type", "draft-eagle3"]}), "these add up"
    by_variable = {"env": [{"name": "LLAMA_ARG_SPEC_TYPE", "value": "draft-eagle3"}]}
    assert "--spec-type" not in flags(**FILES, engine=by_variable)


@pytest.mark.parametrize("path", ["", "/m/x"])
def test_the_prefix_is_the_path(path: str) -> None:
    spec = {"ingress": {"host": "a", "path": path}} if path else {}
    assert flags(**spec).get("--api-prefix", "") == path


@pytest.mark.parametrize(
    ("accelerator", "limits"),
    [
        ({"type": "cuda"}, {"cpu": "1", "nvidia.com/gpu": "1"}),
        ({"type": "cuda", "count": 2}, {"cpu": "1", "nvidia.com/gpu": "2"}),
        ({"type": "cuda", "resourceName": "nvidia.com/mig-1g.5gb"}, {"cpu": "1", "nvidia.com/mig-1g.5gb": "1"}),
        ({"type": "cpu"}, {"cpu": "1"}),
    ],
)
def test_accelerators_are_limits(accelerator: Any, limits: Any) -> None:
    container = server.container(model(accelerator=accelerator, resources={"limits": {"cpu": "1"}}), "image")
    assert container["resources"] == {"limits": limits}


def test_it_listens_where_pods_have_their_addresses() -> None:
    for host, listens in (("10.96.0.1", "0.0.0.0"), ("fd00::1", "::")):
        config = msgspec.structs.replace(CONFIG, kubernetes_service_host=host)
        deployment = next(child for child in build(model(), config) if child["kind"] == "Deployment")
        args = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
        assert args[args.index("--host") + 1] == listens


def image(config: Config, **spec: Any) -> str:
    deployment = next(child for child in build(model(**spec), config) if child["kind"] == "Deployment")
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])


def test_the_accelerator_chooses_the_image() -> None:
    assert image(CONFIG) == "localhost/llama-server:0.1.0"
    assert image(CONFIG, accelerator={"type": "cuda"}) == "localhost/llama-server:0.1.0-cuda"
    assert image(CONFIG, accelerator={"type": "cuda"}, image="mine:1") == "mine:1"


def test_an_accelerator_without_an_image_is_told() -> None:
    config = Config(stage_image="stage", server_images={"cpu": "server"})
    with pytest.raises(SpecError, match="cuda") as caught:
        build(model(accelerator={"type": "cuda"}), config)
    assert caught.value.field == "spec.image"

"""A memory limit that cannot hold the model is refused: before the download where that is possible, else after it."""

from __future__ import annotations

from pathlib import Path

import pytest

from llama_operator.api.staging import Engine, InPlace, Url
from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.transfer import remote
from llama_operator.stage.transfer.peek import peek
from llama_operator.stage.transfer.remote import Remote
from tests.gguf_files import entry, gguf_file, gguf_parts
from tests.unit.stage.support import MIB, Fault, Server, Stager, model

SHAPE = (
    entry("llama.block_count", 16), entry("llama.embedding_length", 2048), entry("llama.attention.head_count", 32),
    entry("llama.attention.head_count_kv", 8), entry("llama.feed_forward_length", 8192),
)  # fmt: skip
MODEL = gguf_file(MIB, extra=SHAPE)
"""4 MiB of weights; 128 MiB of keys and values for 4096 tokens, 72 for a batch, 24 for the program."""
NEED = 4 + 128 + 72 + 24


def engine(limit_mib: int) -> Engine:
    return Engine(4096, limit=limit_mib * MIB)


def refused(stager: Stager, source: Url | InPlace, path: Path | None = None) -> str:
    with pytest.raises(Failure) as caught:
        stager.run(model(str(path or stager.link), source))
    assert caught.value.reason is Reason.MEMORY_TOO_SMALL
    return caught.value.message


def test_a_small_limit_is_refused_by_the_header_alone(stager: Stager, server: Server) -> None:
    server.add("/m.gguf", MODEL, always=Fault(hold=2 * MIB))  # the rest comes never
    stager.engine = engine(200)
    message = refused(stager, Url(server.url("/m.gguf")))
    server.release.set()
    assert message == (
        "spec.resources.limits.memory: the model needs 228.0 MiB (weights 4.0 MiB, cache for 4096 tokens 128.0 MiB, "
        "compute 72.0 MiB, process 24.0 MiB), and the limit is 200.0 MiB; raise the limit to 228Mi or more, or lower "
        "spec.engine.contextSize or spec.engine.slots"
    )
    assert stager.parts() == stager.published() == []


def test_where_the_weights_alone_are_too_much_no_context_is_small_enough(stager: Stager, server: Server) -> None:
    server.add("/m.gguf", MODEL)
    stager.engine = engine(20)
    assert refused(stager, Url(server.url("/m.gguf"))).endswith("or use a smaller model or quantization")


@pytest.mark.parametrize("limit", [0, NEED, NEED * 96 // 100])
def test_a_limit_that_holds_it_is_none_in_the_way(stager: Stager, server: Server, limit: int) -> None:
    """5 % less is not refused: the prediction may be wrong by as much."""
    server.add("/m.gguf", MODEL)
    stager.engine = engine(limit)
    report = stager.run(model(str(stager.link), Url(server.url("/m.gguf"))))
    assert report.memory is not None
    assert report.memory.total == NEED * MIB
    assert not report.memory.partial
    assert len(server.gets()) == (2 if limit else 1)  # the header is worth a request only where there is a limit


def test_nothing_is_told_without_settings(stager: Stager, server: Server) -> None:
    server.add("/m.gguf", MODEL)
    assert stager.run(model(str(stager.link), Url(server.url("/m.gguf")))).memory is None


@pytest.mark.parametrize("source", ["no length", "compressed", "refused"])
def test_what_cannot_be_known_beforehand_is_judged_afterwards(stager: Stager, server: Server, source: str) -> None:
    served = server.add("/m.gguf", MODEL, length=source != "no length")
    if source == "compressed":
        served.faults.append(Fault(headers={"Content-Encoding": "gzip"}))
    if source == "refused":
        served.faults.append(Fault(status=503))
    stager.engine = engine(200)
    refused(stager, Url(server.url("/m.gguf")))
    assert len(stager.published()) == 1
    asked = len(server.requests)
    refused(stager, Url(server.url("/m.gguf")))  # by the file that is here
    assert len(server.requests) == asked


def test_a_slow_source_is_not_waited_for(stager: Stager, server: Server) -> None:
    """A header that takes longer than its file is worth."""
    server.add("/m.gguf", gguf_file(extra=[entry("general.description", "x" * 4 * MIB)]))
    ticks = iter(range(0, 1_000_000, 61))
    stager.monotonic = lambda: float(next(ticks))
    context = stager.context()
    with remote.client(context.policy) as http:
        assert peek(http, Remote(server.url("/m.gguf")), context) is None
        stager.monotonic = lambda: 0.0
        assert peek(http, Remote(server.url("/m.gguf")), stager.context()) is not None


def test_a_header_of_several_pieces_is_put_together(stager: Stager, server: Server) -> None:
    large = gguf_file(MIB, extra=[entry("general.description", "x" * 3 * MIB), *SHAPE])
    server.add("/m.gguf", large, always=Fault(hold=5 * MIB))  # the rest comes never
    stager.engine = engine(200)
    refused(stager, Url(server.url("/m.gguf")))
    server.release.set()
    assert stager.published() == []


def test_a_file_in_place_is_judged_where_it_is(stager: Stager) -> None:
    path = stager.root / "volume.gguf"
    path.write_bytes(MODEL)
    stager.engine = engine(200)
    assert "needs 228.0 MiB" in refused(stager, InPlace(), path)


def test_all_files_count(stager: Stager, server: Server) -> None:
    """The model alone would fit."""
    server.add("/m.gguf", MODEL)
    server.add("/d.gguf", MODEL)
    stager.engine = engine(300)
    files = [model(str(stager.root / f"{role}.gguf"), Url(server.url(f"/{role[0]}.gguf")), role=role)
             for role in ("model", "draft")]  # fmt: skip
    with pytest.raises(Failure, match=r"needs 432\.0 MiB"):
        stager.run(*files)
    assert stager.published() == []


def test_a_split_model_is_the_sum_of_its_parts(stager: Stager, server: Server) -> None:
    for number, part in enumerate(gguf_parts(3, 10 * MIB // 4), 1):
        server.add(f"/m-{number:05}-of-00003.gguf", part)
    stager.engine = engine(40)
    path = stager.root / "m-00001-of-00003.gguf"
    message = refused(stager, Url(server.url("/m-00001-of-00003.gguf")), path)
    assert "at least 58.0 MiB (weights 30.0 MiB, compute 4.0 MiB, process 24.0 MiB)" in message  # no shape, no cache


RECURRENT = gguf_file(MIB, architecture="mamba2", extra=(
    entry("mamba2.block_count", 8), entry("mamba2.embedding_length", 2048), entry("mamba2.ssm.inner_size", 8192),
    entry("mamba2.ssm.state_size", 128),
))  # fmt: skip
"""4 MiB of weights; 32 MiB of states for each slot and for each checkpoint, 128 for a batch, 24 for the program."""


def test_checkpoints_count(stager: Stager, server: Server) -> None:
    server.add("/m.gguf", RECURRENT)
    stager.engine = Engine(4096, checkpoints=4, limit=320 * MIB)
    report = stager.run(model(str(stager.link), Url(server.url("/m.gguf"))))
    assert report.memory is not None
    assert (report.memory.checkpoints, report.memory.total) == (128 * MIB, 320 * MIB)


@pytest.mark.parametrize(
    ("limit", "advice"),
    [
        (290, "context checkpoints 128.0 MiB, process 24.0 MiB), and the limit is 290.0 MiB; raise the limit to 320Mi "
         "or more, or lower spec.engine.contextCheckpoints"),
        (220, "320Mi or more, or lower spec.engine.contextSize or spec.engine.slots"),
    ],
)  # fmt: skip
def test_fewer_checkpoints_are_advised_where_one_fits(stager: Stager, server: Server, limit: int, advice: str) -> None:
    """With one for each slot it is 224 MiB."""
    server.add("/m.gguf", RECURRENT)
    stager.engine = Engine(4096, checkpoints=4, limit=limit * MIB)
    assert refused(stager, Url(server.url("/m.gguf"))).endswith(advice)


def test_a_prompt_cache_counts_if_it_was_asked_for(stager: Stager, server: Server) -> None:
    server.add("/m.gguf", MODEL)
    stager.engine = Engine(4096, limit=250 * MIB, prompt_cache=100 * MIB, spare=True)
    report = stager.run(model(str(stager.link), Url(server.url("/m.gguf"))))
    assert report.memory is not None
    assert report.memory.total == (NEED + 100) * MIB
    stager.engine = Engine(4096, limit=250 * MIB, prompt_cache=100 * MIB)
    assert "prompt cache 100.0 MiB" in refused(stager, Url(server.url("/m.gguf")))

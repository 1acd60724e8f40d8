"""The test model: the same bytes every time, and a lookup table that spells the reply."""

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from models.tiny_gguf import ASSISTANT, END, SPACE, main, write

CONFIG_MAP_LIMIT = 700_000
"""Bytes that still fit in a ConfigMap's binaryData: base64 of them must stay below 1 MiB with room for the rest."""


def made(path: Path, **options: Any) -> gguf.GGUFReader:
    write(path, **options)
    return gguf.GGUFReader(path)


def field(model: gguf.GGUFReader, key: str) -> Any:
    found = model.get_field(key)
    assert found is not None, f"{key} is missing"
    return found.contents()


def spoken(model: gguf.GGUFReader, prompt_end: int = ASSISTANT, limit: int = 100) -> tuple[str, bool]:
    """What greedy decoding says after a token, and whether it ended its turn: the network without its dead branches."""
    tokens = field(model, "tokenizer.ggml.tokens")
    tensors = {tensor.name: np.asarray(tensor.data, dtype=np.float32) for tensor in model.tensors}
    said: list[str] = []
    token = prompt_end
    while len(said) < limit:
        token = int((tensors["output.weight"] @ tensors["token_embd.weight"][token]).argmax())
        if token == END:
            return "".join(said).replace(SPACE, " "), True
        said.append(tokens[token])
    return "".join(said).replace(SPACE, " "), False


def test_same_arguments_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / name, reply="Good morning to you.", seed=7)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    "other", [{"seed": 2}, {"reply": "Something else."}, {"name": "another"}, {"endless": True}, {"size": "small"}]
)
def test_any_other_argument_other_bytes(tmp_path: Path, other: dict[str, Any]) -> None:
    write(tmp_path / "a")
    write(tmp_path / "b", **other)
    assert (tmp_path / "a").read_bytes() != (tmp_path / "b").read_bytes()


def test_fits_in_a_config_map(tmp_path: Path) -> None:
    write(tmp_path / "model")
    assert (tmp_path / "model").stat().st_size < CONFIG_MAP_LIMIT


def test_carries_its_name_and_what_llama_cpp_asks_for(tmp_path: Path) -> None:
    model = made(tmp_path / "model", name="ada")
    assert field(model, "general.name") == "ada"
    assert field(model, "general.architecture") == "llama"
    assert "hand-made" in field(model, "general.description")
    assert "<|assistant|>" in field(model, "tokenizer.chat_template")


@pytest.mark.parametrize(
    "reply",
    [
        "Hello! I am a test model.",
        "the cat and the dog and the the bird",
        "two  blanks\nand a new line",
        "Grüße, 世界",
        " ".join(map(str, range(100, 180))),
    ],
)
def test_says_the_reply_whatever_came_before(tmp_path: Path, reply: str) -> None:
    model = made(tmp_path / "model", reply=reply)
    tokens = field(model, "tokenizer.ggml.tokens")
    assert spoken(model) == (reply, True)
    assert spoken(model, prompt_end=tokens.index("x")) == (reply, True)


def test_goes_on_from_a_word_of_the_reply(tmp_path: Path) -> None:
    model = made(tmp_path / "model", reply="one two three")
    tokens = field(model, "tokenizer.ggml.tokens")
    assert spoken(model, prompt_end=tokens.index(f"{SPACE}two")) == (" three", True)


def test_an_endless_model_never_ends_its_turn(tmp_path: Path) -> None:
    said, ended = spoken(made(tmp_path / "model", reply="on and off", endless=True), limit=7)
    assert (said, ended) == ("on and offon and offon", False)


def test_dead_branches_are_dead(tmp_path: Path) -> None:
    tensors = {tensor.name: tensor.data for tensor in made(tmp_path / "model").tensors}
    assert not tensors["blk.0.attn_output.weight"].any()
    assert not tensors["blk.0.ffn_down.weight"].any()
    assert tensors["blk.0.attn_q.weight"].any()


@pytest.mark.parametrize("reply", ["", "a", "<s>"])
def test_refuses_a_reply_it_could_not_tell_from_a_prompt(
    tmp_path: Path, reply: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([str(tmp_path / "model"), "--reply", reply])
    assert exit_.value.code == 2
    assert "cannot be told from" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


def test_command_line_prints_the_digest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(tmp_path / "model")])
    first = capsys.readouterr().out
    main([str(tmp_path / "model"), "--seed", "2"])
    digest, path = capsys.readouterr().out.split()
    assert path == str(tmp_path / "model")
    assert len(digest) == 64
    assert digest not in first

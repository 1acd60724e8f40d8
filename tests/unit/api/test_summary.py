"""Models in a few words."""

from __future__ import annotations

import pytest

from llama_operator.api.staging import Staged
from llama_operator.api.summary import summary


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        (0, "llama Q8_0"),
        (812, "llama 812 Q8_0"),
        (15_200, "llama 15K Q8_0"),
        (494_032_768, "llama 494M Q8_0"),
        (7_248_023_552, "llama 7.2B Q8_0"),
        (8_000_000_000, "llama 8B Q8_0"),
        (70_553_706_496, "llama 70B Q8_0"),
        (1_026_000_000_000, "llama 1T Q8_0"),
    ],
)
def test_parameters(parameters: int, text: str) -> None:
    assert summary(Staged("model", 1, "llama", parameters=parameters, quantization="Q8_0")) == text


def test_what_the_file_does_not_tell() -> None:
    assert summary(Staged("model", 1)) == ""
    assert summary(Staged("model", 1, quantization="F16")) == "F16"

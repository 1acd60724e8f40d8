"""A staged model in a few words, for `status.model.summary`: what kubectl shows in a column."""

from __future__ import annotations

from llama_operator.api.staging import Staged

_UNITS = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K"))


def summary(file: Staged) -> str:
    """Like `llama 7.2B Q4_K_M`; what the file does not tell is left out."""
    return " ".join(word for word in (file.architecture, _parameters(file.parameters), file.quantization) if word)


def _parameters(count: int) -> str:
    """As model makers write it: one digit behind the point up to ten, none beyond."""
    for unit, letter in _UNITS:
        if count >= unit:
            return (
                f"{count / unit:.1f}".removesuffix(".0") + letter if count < 10 * unit else f"{count // unit}{letter}"
            )
    return str(count) if count else ""

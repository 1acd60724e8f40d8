"""Kubernetes quantities; the examples are those of its reference documentation."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_operator.resources import quantity


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (2, "2"),
        ("2", "2"),
        ("500m", "0.5"),
        ("1.5", "1.5"),
        (".5", "0.5"),
        ("1.", "1"),
        ("+3", "3"),
        ("1k", "1000"),
        ("1Ki", "1024"),
        ("8Gi", "8589934592"),
        ("1.5Gi", "1610612736"),
        ("129M", "129000000"),
        ("129e6", "129000000"),
        ("1E3", "1000"),
        ("1E", "1000000000000000000"),
        ("123Mi", "128974848"),
        ("12e-1", "1.2"),
        ("100n", "1e-7"),
        ("1u", "1e-6"),
    ],
)
def test_values(text: str | int, value: str) -> None:
    assert quantity.parse(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "two", "8GB", "1KI", "1 Gi", "--1", "1e", "0x10", "Gi", "1_000", "\u0661"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        quantity.parse(text)


@given(st.integers(0, 10**15), st.sampled_from(["", "k", "Ki", "M", "Mi", "G", "Gi", "m", "e3"]))
def test_suffixes_multiply(number: int, suffix: str) -> None:
    assert quantity.parse(f"{number}{suffix}") == number * quantity.parse(f"1{suffix}")


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", "1"), ("1500m", "1.5"), ("1.0005", "1.001"), ("1e-9", "0.001"), ("0.0001Ki", "0.103"), ("0", "0")],
)
def test_the_api_server_rounds_up_to_thousandths(text: str, value: str) -> None:
    """As kube-apiserver answered for a container's limits; `1.0005` comes back as `1001m`."""
    assert quantity.stored(text) == Decimal(value)

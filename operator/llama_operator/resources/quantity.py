"""Kubernetes quantities as numbers.

Grammar: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/. Digits with an optional
fraction, then a binary suffix, a decimal suffix, or an exponent.
"""

from __future__ import annotations

import re
from decimal import Decimal
from math import ceil

_FORM = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([KMGTPE]i|[numkMGTPE])|[eE]([+-]?\d+))?", re.ASCII)
_BINARY = {f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", start=1)}
_DECIMAL = {s: Decimal(10) ** e for s, e in zip("numkMGTPE", (-9, -6, -3, 3, 6, 9, 12, 15, 18), strict=True)}
_SUFFIXES = _BINARY | _DECIMAL


def parse(text: str | int) -> Decimal:
    """The value in base units (cores, bytes). Raises `ValueError` for what is no quantity."""
    match = _FORM.fullmatch(str(text))
    if match is None:
        raise ValueError(f"{text!r} is not a quantity")
    number, suffix, exponent = match.groups()
    if exponent is not None:
        return Decimal(number).scaleb(int(exponent))
    return Decimal(number) * _SUFFIXES.get(suffix, Decimal(1))


def stored(text: str | int) -> Decimal:
    """The value that the API server keeps for a container's resources: rounded up to thousandths.

    https://github.com/kubernetes/kubernetes/blob/v1.30.0/pkg/apis/core/v1/defaults.go, SetDefaults_ResourceList. Raises
    `ValueError` as `parse` does.
    """
    return Decimal(ceil(parse(text) * 1000)) / 1000

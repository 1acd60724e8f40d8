"""Which bytes of a file are here, and who brings which of the others. Pure; callers hold a lock.

A file is a row of chunks, and each is filled from its beginning, so one number per chunk tells all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    """Bytes `start` to `stop` (exclusive), within one chunk, are one worker's to bring."""

    start: int
    stop: int


class Chunks:
    """`size`: of a chunk, in bytes; `total`: of the file, None while nobody knows; `here`: bytes of each chunk."""

    def __init__(self, size: int, total: int | None = None, here: Iterable[int] = ()) -> None:
        self._size, self._total = size, total
        self.here = list(here)
        self._taken: dict[int, Claim] = {}
        self.present = sum(self.here)
        self.prefix = 0
        """Bytes that are here without a gap, from the beginning."""
        self._advance()

    @property
    def end(self) -> int:
        """Behind the last byte that is here."""
        return max((at * self._size + count for at, count in enumerate(self.here) if count), default=0)

    def add(self, offset: int, count: int) -> int:
        """`count` bytes came to `offset`, within one chunk; returns its number."""
        number = offset // self._size
        self.here += [0] * (number + 1 - len(self.here))
        if offset != number * self._size + self.here[number]:
            raise ValueError(f"a gap before {offset}")
        self.here[number] += count
        self.present += count
        self._advance()
        return number

    def claim(self) -> Claim | None:
        """The first bytes that are missing and that nobody brings, up to the end of their chunk."""
        number = self.prefix // self._size
        while self._exists(number):
            if number not in self._taken and self._here(number) < self._length(number):
                return self._take(number)
            number += 1
        return None

    def go_on(self, claim: Claim) -> Claim | None:
        """The chunk that follows a claim, if it is empty and nobody's: for whoever has an answer that goes on."""
        number = self._number(claim) + 1
        if not self._exists(number) or number in self._taken or self._here(number):
            return None
        return self._take(number)

    def release(self, claim: Claim) -> None:
        """A claim that is not held any more is somebody else's by now, perhaps, and stays so."""
        if self._taken.get(self._number(claim)) is claim:
            del self._taken[self._number(claim)]

    def stretch(self, claim: Claim) -> int | None:
        """Where the bytes end that are missing and nobody's, from this claim on; None: with the file."""
        number = self._number(claim) + 1
        while self._exists(number) and number not in self._taken and not self._here(number):
            if self._total is None and number >= len(self.here):
                return None
            number += 1
        return number * self._size if self._exists(number) else None

    def _take(self, number: int) -> Claim:
        start = number * self._size + self._here(number)
        claim = Claim(start, number * self._size + self._length(number))
        self._taken[number] = claim
        return claim

    def _number(self, claim: Claim) -> int:
        return claim.start // self._size

    def _exists(self, number: int) -> bool:
        return self._total is None or number * self._size < self._total

    def _here(self, number: int) -> int:
        return self.here[number] if number < len(self.here) else 0

    def _length(self, number: int) -> int:
        return self._size if self._total is None else min(self._size, self._total - number * self._size)

    def _advance(self) -> None:
        number = self.prefix // self._size
        while number < len(self.here):
            self.prefix = number * self._size + self.here[number]
            if self.here[number] < self._size:
                return
            number += 1

"""Which bytes are here, and whose the others are."""

from __future__ import annotations

import random

import pytest

from llama_operator.stage.transfer.chunks import Chunks, Claim

SIZE = 10


def test_claims_are_taken_in_order_and_never_twice() -> None:
    chunks = Chunks(SIZE, 25)
    assert [chunks.claim() for _ in range(4)] == [Claim(0, 10), Claim(10, 20), Claim(20, 25), None]


def test_a_claim_that_was_given_back_begins_behind_what_it_brought() -> None:
    chunks = Chunks(SIZE, 25)
    claim = chunks.claim()
    assert claim is not None
    chunks.add(0, 4)
    chunks.release(claim)
    assert chunks.claim() == Claim(4, 10)


def test_a_late_release_takes_nothing_from_the_next_holder() -> None:
    chunks = Chunks(SIZE, 20)
    first = chunks.claim()
    assert first is not None
    chunks.release(first)
    second = chunks.claim()
    chunks.release(first)
    assert second == Claim(0, 10)
    assert chunks.claim() == Claim(10, 20)


def test_a_long_answer_goes_on_until_bytes_that_are_here_or_somebodys() -> None:
    chunks = Chunks(SIZE, 45, [0, 0, 3])
    claim = chunks.claim()
    assert claim is not None
    assert chunks.stretch(claim) == 20
    following = chunks.go_on(claim)
    assert following == Claim(10, 20)
    assert chunks.go_on(following) is None
    chunks.release(following)
    assert chunks.claim() == Claim(10, 20)
    assert chunks.stretch(Claim(23, 30)) is None


def test_without_a_length_there_is_always_more() -> None:
    chunks = Chunks(SIZE)
    claim = chunks.claim()
    assert claim == Claim(0, 10)
    assert chunks.stretch(claim) is None
    assert chunks.go_on(claim) == Claim(10, 20)


def test_gaps_within_a_chunk_are_refused() -> None:
    with pytest.raises(ValueError, match="a gap"):
        Chunks(SIZE, 20).add(13, 1)


def test_the_beginning_grows_as_gaps_close() -> None:
    """Whatever the order, the numbers are those of a plain set of bytes."""
    for seed in range(50):
        order = random.Random(seed)
        total = order.randrange(1, 60)
        chunks, here, held = Chunks(SIZE, total), set[int](), list[Claim]()
        while len(here) < total:
            if not held or order.random() < 0.3:
                claim = chunks.claim()
                held += [claim] if claim else []
            claim = held.pop(order.randrange(len(held)))
            count = order.randint(0, claim.stop - claim.start)
            if count:
                chunks.add(claim.start, count)
            here |= set(range(claim.start, claim.start + count))
            chunks.release(claim)
            assert chunks.present == len(here)
            assert chunks.prefix == next(at for at in range(total + 1) if at not in here)
            assert chunks.end == max(here, default=-1) + 1
        assert chunks.claim() is None

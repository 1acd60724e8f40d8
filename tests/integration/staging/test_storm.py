"""Everything goes wrong at random, on several connections at once: in the end the right file is there, and never
another one on the way."""

from __future__ import annotations

import hashlib
import itertools
import random

import pytest

from tests.gguf_files import gguf_file
from tests.integration.staging import faults
from tests.integration.staging.origin import Exchange, Fault, Origin
from tests.integration.staging.process import Stager

DATA = gguf_file(1 << 22)
"""16 MiB: enough that further connections are opened."""
DIGEST = hashlib.sha256(DATA).hexdigest()
BAD_WEATHER = 40
"""Of so many requests the first tenth meets faults, and then every other; after that the server is well."""
MANY = {"chunk_bytes": 512 << 10, "connections": 4, "rate_window": 0.02, "read_timeout": 0.3, "connect_timeout": 1.0}
ONE = {"connections": 1, "read_timeout": 0.3, "connect_timeout": 1.0}
EXPECTED = {"Truncated", "SourceUnreachable", "SourceError", "DigestMismatch", "NotGGUF"}


def weather(rng: random.Random) -> Fault:
    """One fault of those that a line or a proxy may cause. What they do to a part is up to the length asked for."""
    at = rng.choice((rng.randrange(512 << 10), rng.randrange(len(DATA))))
    return rng.choice(
        (
            faults.cut(at),
            faults.cut(0),
            faults.reset(at),
            faults.flip(at),
            faults.html(),
            faults.status(503),
            faults.busy(seconds=0),
            faults.stall(at),
            faults.chunked(at),
            faults.old_http(at),
            faults.range_ignored,
            faults.wrong_range(rng.choice((-7, 7, 4096))),
            faults.noise,
        )
    )


@pytest.mark.parametrize("policy", [ONE, MANY], ids=["one", "many"])
@pytest.mark.parametrize("seed", range(6))
def test_the_right_file_in_the_end(seed: int, policy: dict[str, float], origin: Origin, stager: Stager) -> None:
    rng, asked = random.Random(seed), itertools.count()

    def storm(exchange: Exchange) -> None:
        place = next(asked)
        if place < BAD_WEATHER // 10 or (place < BAD_WEATHER and rng.random() < 0.5):
            weather(rng)(exchange)
        else:
            # Each connection has its pace: several are faster than one.
            faults.trickle(128 << 10, 0.005)(exchange)

    origin.serve("/m.gguf", DATA)
    origin.always("/m.gguf", storm)
    stager.policy = dict(policy)
    # Each stager makes at least one request, so that the weather ends.
    for _ in range(BAD_WEATHER + 2):
        done = stager.url(origin.url("/m.gguf"), DIGEST)
        assert done.reason in EXPECTED | {""}, done.log
        assert "Traceback" not in done.log
        assert done.bytes == (None if done.reason else DATA)
        if not done.reason:
            return
        assert stager.published() == []
    pytest.fail(f"the server is well, the stager is not: {done.log}")

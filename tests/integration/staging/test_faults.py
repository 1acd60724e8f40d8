"""The fault matrix: what goes wrong on the way, what the stager says of it, and that nothing wrong is ever served.

Each case runs real stagers. Unless a fault is said to last, a second stager on the same volume meets a well server:
where something can be resumed, it must not fetch everything again.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass

import pytest

from tests.gguf_files import gguf_file
from tests.integration.staging import faults
from tests.integration.staging.origin import Fault, Origin
from tests.integration.staging.process import Stager

DATA = gguf_file(1 << 18)
"""A MiB and a header."""
OTHER = gguf_file(1 << 18, name="other model")
HALF = len(DATA) // 2
IMPATIENT = {"read_timeout": 0.3, "connect_timeout": 0.3, "attempts": 3}


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class Case:
    """`once` meets the first request, `always` every one. `reason` is of the first stager, empty if it succeeds.

    `resumed` says that after a lasting fault a later stager needs less than the whole file.
    """

    name: str
    once: tuple[Fault, ...] = ()
    always: Fault | None = None
    reason: str = ""
    known: bool = True
    """The spec has the digest."""
    resumed: bool = False
    etag: str = '"v1"'


CASES = [
    Case("well"),
    Case("well without a digest", known=False),
    Case("cut once", (faults.cut(HALF),)),
    Case("cut once, no digest", (faults.cut(HALF),), known=False),
    Case("cut once, neither digest nor validator", (faults.cut(HALF),), known=False, etag=""),
    Case("cut always at the same place", always=faults.cut(0), reason="Truncated"),
    Case("cut for good", (faults.cut(HALF),), always=faults.cut(0), reason="Truncated", resumed=True),
    Case("reset once", (faults.reset(HALF),)),
    Case("reset for good", (faults.reset(HALF),), always=faults.reset(0), reason="SourceUnreachable", resumed=True),
    Case("one bit, once", (faults.flip(HALF),), reason="DigestMismatch"),
    Case("one bit, always", always=faults.flip(HALF), reason="DigestMismatch"),
    Case("one bit of the header, no digest", always=faults.flip(0), reason="NotGGUF", known=False),
    Case("a page instead", always=faults.html(), reason="NotGGUF"),
    Case("a page instead, no digest", always=faults.html(), reason="NotGGUF", known=False),
    Case("a page once, then well", (faults.html(503),)),
    Case("more promised than sent", always=faults.wrong_length(100), reason="Truncated", known=False),
    Case("less promised than sent", always=faults.wrong_length(-100), reason="Truncated", known=False),
    Case("chunks", always=faults.chunked()),
    Case("chunks without a digest", always=faults.chunked(), known=False),
    Case("chunks, cut once", (faults.chunked(HALF),)),
    Case("HTTP/1.0", always=faults.old_http()),
    Case("HTTP/1.0, cut, no digest", always=faults.old_http(HALF), reason="Truncated", known=False),
    Case("changed in the middle", (faults.cut(HALF), faults.changed(OTHER, '"v2"')), reason="DigestMismatch"),
    Case("silent before the answer, once", (faults.stall(),)),
    Case("silent in the middle, once", (faults.stall(HALF),)),
    Case("silent before the answer, always", always=faults.stall(), reason="SourceUnreachable"),
    Case("silent in the middle, for good", (faults.stall(HALF),), always=faults.stall(0), reason="SourceUnreachable",
         resumed=True),
    Case("no HTTP", always=faults.noise, reason="SourceError"),
    *(Case(f"{code}", always=faults.status(code), reason=reason) for code, reason in {
        401: "Unauthorized", 403: "Unauthorized", 404: "NotFound", 410: "NotFound", 400: "SourceError",
        429: "SourceError", 500: "SourceError", 503: "SourceError",
    }.items()),
    *(Case(f"{code} twice", (faults.status(code),) * 2) for code in (429, 500, 502, 503, 504)),
    Case("416 to the whole", always=faults.status(416), reason="SourceError"),
    Case("416 once, to a part", (faults.cut(HALF), faults.status(416))),
    Case("busy for a second", (faults.busy(seconds=1),)),
    Case("busy until a date", (faults.busy(until=time.time() + 1),)),
    Case("busy for a year", (faults.busy(503, seconds=31_536_000),)),
    Case("a loop of redirects", always=faults.redirect("/m.gguf"), reason="SourceError"),
    Case("a redirect to nowhere", always=faults.redirect("ftp://127.0.0.1/m.gguf"), reason="SourceError"),
    Case("a redirect to itself, once", (faults.redirect("./m.gguf", 307),)),
    Case("ranges ignored", (faults.cut(HALF),), always=faults.range_ignored),
    Case("a range that was not asked for", (faults.cut(HALF), faults.wrong_range(7))),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_nothing_wrong_is_served(case: Case, origin: Origin, stager: Stager) -> None:
    origin.serve("/m.gguf", DATA, etag=case.etag)
    origin.script("/m.gguf", *case.once)
    if case.always:
        origin.always("/m.gguf", case.always)
    stager.policy = dict(IMPATIENT)
    expected = digest(DATA) if case.known else ""

    first = stager.url(origin.url("/m.gguf"), expected)

    assert first.reason == case.reason, first.log
    assert first.bytes == (None if case.reason else DATA)
    assert first.code == (1 if case.reason else 0)
    if case.reason:
        assert stager.published() == []
        recovers(origin, stager, resumed=case.resumed)


def recovers(origin: Origin, stager: Stager, *, resumed: bool) -> None:
    """The next stager of the same volume, when all is well again (under a new ETag: the bad file was replaced)."""
    etag = '"v1"' if resumed else '"v3"'
    origin.serve("/m.gguf", DATA, etag=etag)
    origin.always("/m.gguf", lambda exchange: exchange.answer())
    before = origin.sent
    again = stager.url(origin.url("/m.gguf"), digest(DATA))
    assert again.reason == "", again.log
    assert again.bytes == DATA
    assert (origin.sent - before < len(DATA)) == resumed

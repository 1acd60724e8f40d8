"""What servers do wrong, and what becomes of it: a verified file, or a reason that says what to do."""

from __future__ import annotations

import pytest

from llama_operator.stage.context import Policy
from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.transfer import rejection
from tests.gguf_files import gguf_file
from tests.unit.stage.support import MIB, Fault, Server, Stager, sha256

MODEL = gguf_file(MIB)
OTHER = gguf_file(MIB, name="other")
assert len(MODEL) == len(OTHER)


def refused(stager: Stager, server: Server, digest: str | None = None, path: str = "/m.gguf") -> Failure:
    """Run into a failure, and check that nothing was published by it."""
    with pytest.raises(Failure) as caught:
        stager.url(server.url(path), digest)
    assert stager.published() == []
    assert not stager.link.is_symlink()
    return caught.value


def test_a_file_is_published_under_its_digest_and_linked(stager: Stager, server: Server) -> None:
    server.add("/dir/My Model.gguf", MODEL)
    result = stager.url(server.url("/dir/My%20Model.gguf?download=true"), sha256(MODEL))
    assert (result.sha256, result.bytes, result.architecture) == (sha256(MODEL), len(MODEL), "llama")
    assert [str(p.relative_to(stager.root)) for p in stager.published()] == [f"sha256/{sha256(MODEL)}/My_Model.gguf"]
    assert str(stager.link.readlink()) == f"sha256/{sha256(MODEL)}/My_Model.gguf"
    assert stager.link.read_bytes() == MODEL
    assert stager.parts() == []


def test_without_a_digest_the_one_found_is_told(stager: Stager, server: Server) -> None:
    server.add("/m.gguf", MODEL)
    assert stager.url(server.url("/m.gguf")).sha256 == sha256(MODEL)


def test_a_cut_connection_is_resumed_with_if_range(stager: Stager, server: Server) -> None:
    server.add("/m.gguf", MODEL).faults.append(Fault(cut=3 * MIB))
    assert stager.url(server.url("/m.gguf")).sha256 == sha256(MODEL)
    assert server.sent == len(MODEL)
    first, second = server.gets()
    assert "Range" not in first.headers
    assert (second.headers["Range"], second.headers["If-Range"]) == (f"bytes={3 * MIB}-", '"v1"')


def test_a_server_without_ranges_starts_over(stager: Stager, server: Server) -> None:
    server.add("/m.gguf", MODEL, ranges=False).faults.append(Fault(cut=3 * MIB))
    assert stager.url(server.url("/m.gguf")).sha256 == sha256(MODEL)
    assert server.sent == 3 * MIB + len(MODEL)


def test_a_file_that_changes_in_between_is_not_mixed(stager: Stager, server: Server) -> None:
    """Without a digest only the validator tells; the second answer is the whole of the other file."""
    served = server.add("/m.gguf", MODEL)
    served.faults.append(Fault(cut=3 * MIB))

    def change(_: float) -> None:
        served.data, served.etag = OTHER, '"v2"'

    stager.sleep = change
    assert stager.url(server.url("/m.gguf")).sha256 == sha256(OTHER)


def test_a_cache_that_ignores_if_range_is_not_believed(stager: Stager, server: Server) -> None:
    served = server.add("/m.gguf", MODEL)
    served.faults.append(Fault(cut=3 * MIB))
    served.faults.append(
        Fault(
            status=206,
            headers={"ETag": '"v2"', "Content-Range": f"bytes {3 * MIB}-{len(OTHER) - 1}/{len(OTHER)}"},
            body=OTHER[3 * MIB :],
        )
    )
    assert stager.url(server.url("/m.gguf")).sha256 == sha256(MODEL)


@pytest.mark.parametrize("etag", ["", 'W/"v1"'])
def test_without_a_strong_validator_and_digest_nothing_is_resumed(stager: Stager, server: Server, etag: str) -> None:
    server.add("/m.gguf", MODEL, etag=etag).faults.append(Fault(cut=3 * MIB))
    assert stager.url(server.url("/m.gguf")).sha256 == sha256(MODEL)
    assert "Range" not in server.gets()[1].headers


def test_with_a_digest_a_weak_server_is_resumed_and_a_wrong_seam_is_repaired(stager: Stager, server: Server) -> None:
    served = server.add("/m.gguf", MODEL, etag="")
    served.faults.append(Fault(cut=3 * MIB))
    rest = f"bytes {3 * MIB}-{len(OTHER) - 1}/{len(OTHER)}"
    served.faults.append(Fault(status=206, headers={"Content-Range": rest}, body=OTHER[3 * MIB :]))
    assert stager.url(server.url("/m.gguf"), sha256(MODEL)).sha256 == sha256(MODEL)
    assert [r.headers.get("Range") for r in server.gets()] == [None, f"bytes={3 * MIB}-", None]


def test_always_short_is_truncated(stager: Stager, server: Server) -> None:
    server.add("/m.gguf", MODEL, ranges=False).always = Fault(cut=MIB)
    failure = refused(stager, server)
    assert failure.reason is Reason.TRUNCATED
    assert f"ends after {MIB} of {len(MODEL)} bytes" in failure.message
    assert len(server.gets()) == Policy().attempts


def test_progress_keeps_a_flaky_server_going(stager: Stager, server: Server) -> None:
    """More broken connections than tries in a row, each bringing more than a MiB."""
    stager.policy = Policy(attempts=2)
    server.add("/m.gguf", MODEL).always = Fault(cut=MIB + 1)
    assert stager.url(server.url("/m.gguf")).sha256 == sha256(MODEL)


def test_whole_for_http_but_tensors_missing_is_truncated(stager: Stager, server: Server) -> None:
    server.add("/m.gguf", MODEL[:-1])
    failure = refused(stager, server)
    assert failure.reason is Reason.TRUNCATED
    assert f"its tensors end at byte {len(MODEL)}, the file at byte {len(MODEL) - 1}" in failure.message


def test_without_a_length_the_structure_decides(stager: Stager, server: Server) -> None:
    server.add("/m.gguf", MODEL, length=False)
    assert stager.url(server.url("/m.gguf")).bytes == len(MODEL)


def test_a_server_that_ignores_if_range_does_not_mix_two_files(stager: Stager, server: Server) -> None:
    """It has no ETag either; that the file is another one its time of change tells."""
    served = server.add("/m.gguf", MODEL, etag="", headers={"Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"})
    served.ignores_if_range = True
    served.faults.append(Fault(cut=3 * MIB))

    def replaced(_: float) -> None:
        served.data, served.headers = OTHER, {"Last-Modified": "Tue, 02 Jan 2024 00:00:00 GMT"}

    stager.sleep = replaced
    assert stager.url(server.url("/m.gguf")).sha256 == sha256(OTHER)


@pytest.mark.parametrize("etag", ['"v1"', ""])
def test_a_wrong_file_on_a_line_that_breaks_is_brought_twice_and_no_more(
    stager: Stager, server: Server, etag: str
) -> None:
    """Both come in pieces, so neither is one piece; the verdict is the file's all the same."""
    served = server.add("/m.gguf", OTHER, etag=etag, headers={"Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"})
    served.ignores_if_range = True
    served.always = Fault(cut=3 * MIB)
    failure = refused(stager, server, sha256(MODEL))
    assert failure.reason is Reason.DIGEST_MISMATCH
    assert server.sent <= 2 * len(OTHER)


@pytest.mark.parametrize("said", ["aws-chunked", "", "identity", "aws-chunked, identity"])
def test_what_an_uploader_said_of_his_own_request_is_no_encoding(stager: Stager, server: Server, said: str) -> None:
    server.add("/m.gguf", MODEL, headers={"Content-Encoding": said})
    assert stager.url(server.url("/m.gguf")).sha256 == sha256(MODEL)


def test_a_cut_that_nothing_but_the_structure_shows_is_truncated(stager: Stager, server: Server) -> None:
    server.add("/m.gguf", MODEL, length=False).always = Fault(cut=2 * MIB)
    assert refused(stager, server).reason is Reason.TRUNCATED


def test_a_wrong_digest_names_both_and_leaves_nothing(stager: Stager, server: Server) -> None:
    server.add("/m.gguf", OTHER)
    failure = refused(stager, server, sha256(MODEL))
    assert failure.reason is Reason.DIGEST_MISMATCH
    assert sha256(MODEL) in failure.message
    assert sha256(OTHER) in failure.message
    assert stager.parts() == []


def test_the_next_version_judges_anew(stager: Stager, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """What this one cannot read, the next one may."""
    server.add("/m.gguf", OTHER)
    for _ in range(3):
        refused(stager, server, sha256(MODEL))
    monkeypatch.setattr(rejection, "__version__", "next")
    assert "downloaded twice" not in refused(stager, server, sha256(MODEL)).message


def test_a_wrong_file_is_downloaded_twice_and_then_no_more(stager: Stager, server: Server) -> None:
    """Twice the same wrong bytes: the source has them. Then only the headers are looked at, until they change."""
    served = server.add("/m.gguf", OTHER)
    refused(stager, server, sha256(MODEL))
    again = refused(stager, server, sha256(MODEL))
    assert "downloaded twice" not in again.message
    known = refused(stager, server, sha256(MODEL))
    assert known.reason is Reason.DIGEST_MISMATCH
    assert "downloaded twice" in known.message
    assert stager.parts()[0].stat().st_size == 0
    served.data, served.etag = MODEL, '"v2"'
    assert stager.url(server.url("/m.gguf"), sha256(MODEL)).sha256 == sha256(MODEL)


def test_damage_on_the_way_is_not_held_against_the_source(stager: Stager, server: Server) -> None:
    served = server.add("/m.gguf", MODEL)
    for bit in (1, 2):
        served.data = MODEL[:-1] + bytes([MODEL[-1] ^ bit])
        refused(stager, server, sha256(MODEL))
    served.data = MODEL
    assert stager.url(server.url("/m.gguf"), sha256(MODEL)).sha256 == sha256(MODEL)


def test_a_web_page_with_status_200_is_refused_at_its_first_bytes(stager: Stager, server: Server) -> None:
    page = b"<!DOCTYPE html>" + bytes(8 * MIB)
    server.add("/m.gguf", page, headers={"Content-Type": "text/html; charset=utf-8"})
    failure = refused(stager, server)
    assert failure.reason is Reason.NOT_GGUF
    assert "text/html" in failure.message
    assert "DOCTYPE" not in failure.message
    assert stager.parts()[0].stat().st_size == 0


@pytest.mark.parametrize(
    ("status", "reason", "tries"),
    [
        (404, Reason.NOT_FOUND, 1),
        (410, Reason.NOT_FOUND, 1),
        (401, Reason.UNAUTHORIZED, 1),
        (403, Reason.UNAUTHORIZED, 1),
        (400, Reason.SOURCE_ERROR, 1),
        (304, Reason.SOURCE_ERROR, 1),
        (429, Reason.SOURCE_ERROR, 6),
        (500, Reason.SOURCE_ERROR, 6),
        (503, Reason.SOURCE_ERROR, 6),
    ],
)
def test_statuses(stager: Stager, server: Server, status: int, reason: Reason, tries: int) -> None:
    server.add("/m.gguf", MODEL).always = Fault(status=status)
    failure = refused(stager, server)
    assert failure.reason is reason
    assert str(status) in failure.message
    assert len(server.gets()) == tries
    assert len(stager.pauses) == tries - 1


def test_pauses_double_and_end(stager: Stager, server: Server) -> None:
    stager.policy = Policy(attempts=9)
    server.add("/m.gguf", MODEL).always = Fault(status=500)
    refused(stager, server)
    for pause, most in zip(stager.pauses, [1, 2, 4, 8, 16, 30, 30, 30], strict=True):
        assert most / 2 <= pause <= most


@pytest.mark.parametrize(
    ("said", "pause"),
    [("7", 7.0), ("99999", 120.0), ("Mon, 12 Jan 1970 13:46:45 GMT", 5.0), ("Mon, 12 Jan 1970 13:00:00 GMT", 0.0)],
)
def test_retry_after_is_obeyed(stager: Stager, server: Server, said: str, pause: float) -> None:
    """The clock of the test stands at 1,000,000 s, which is 13:46:40 of that day."""
    server.add("/m.gguf", MODEL).faults.append(Fault(status=429, headers={"Retry-After": said}))
    assert stager.url(server.url("/m.gguf")).sha256 == sha256(MODEL)
    assert stager.pauses == [pause]


def test_a_closed_port_is_unreachable(stager: Stager, server: Server) -> None:
    with pytest.raises(Failure) as caught:
        stager.url("http://127.0.0.1:1/m.gguf?signature=hidden")
    assert caught.value.reason is Reason.SOURCE_UNREACHABLE
    assert "http://127.0.0.1:1/m.gguf" in caught.value.message
    assert "hidden" not in caught.value.message + "".join(stager.log)
    assert len(stager.pauses) == Policy().attempts - 1


def test_silence_is_unreachable(stager: Stager, server: Server) -> None:
    stager.policy = Policy(attempts=2, read_timeout=0.1)
    server.add("/m.gguf", MODEL, ranges=False).always = Fault(hold=MIB)
    assert refused(stager, server).reason is Reason.SOURCE_UNREACHABLE


def test_a_crawling_connection_is_dropped_and_opened_again(stager: Stager, server: Server) -> None:
    """The clock jumps beyond the window at every look, so each chunk alone is judged."""
    stager.policy = Policy(attempts=3, slow_bytes=1 << 40)
    server.add("/m.gguf", MODEL)
    ticks = iter(range(0, 10**9, 100))
    stager.monotonic = lambda: float(next(ticks))
    with pytest.raises(Failure) as caught:
        stager.url(server.url("/m.gguf"))
    assert caught.value.reason is Reason.SOURCE_UNREACHABLE
    assert "stalls" in caught.value.message


def test_a_compressed_answer_is_refused(stager: Stager, server: Server) -> None:
    server.add("/m.gguf", MODEL, headers={"Content-Encoding": "gzip"})
    assert refused(stager, server).reason is Reason.SOURCE_ERROR
    assert server.gets()[0].headers["Accept-Encoding"] == "identity"


def test_an_empty_file_is_no_gguf(stager: Stager, server: Server) -> None:
    server.add("/m.gguf", b"")
    assert refused(stager, server).reason is Reason.NOT_GGUF

"""Requests of several files: in place or fetched, split or whole, of one commit, and missing ones told first."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llama_operator.api.staging import HuggingFace, InPlace, Progress, Url
from llama_operator.stage.failures import Failure, Reason
from tests.gguf_files import EYES, LORA, entry, gguf_file, gguf_parts
from tests.unit.stage.support import MIB, Fault, Server, Stager, model, sha256

MODEL = gguf_file(MIB // 4)
PROJECTOR = gguf_file(1000, name="eyes", architecture="clip", extra=EYES)
ADAPTER = gguf_file(500, name="style", extra=LORA)
PARTS = gguf_parts(3)
COMMIT, LATER = "0123456789" * 4, "f" * 40


def split_name(number: int, stem: str = "m") -> str:
    return f"{stem}-{number:05d}-of-00003.gguf"


def failure(stager: Stager, *files: object) -> Failure:
    with pytest.raises(Failure) as caught:
        stager.run(*files)  # type: ignore[arg-type]
    return caught.value


def test_all_files_are_staged_in_order(stager: Stager, server: Server) -> None:
    server.add("/m.gguf", MODEL)
    server.add("/mmproj.gguf", PROJECTOR)
    adapter = stager.root / "volume.gguf"
    adapter.write_bytes(ADAPTER)
    files = (
        model(str(stager.link), Url(server.url("/m.gguf"))),
        model(str(stager.root / "p.gguf"), Url(server.url("/mmproj.gguf")), sha256(PROJECTOR), "projector"),
        model(str(adapter), InPlace(), role="adapter/style"),
    )
    report = stager.run(*files)
    assert [(file.role, file.bytes, file.sha256) for file in report.files] == [
        ("model", len(MODEL), sha256(MODEL)),
        ("projector", len(PROJECTOR), sha256(PROJECTOR)),
        ("adapter/style", len(ADAPTER), ""),
    ]
    assert [file.parameters for file in report.files] == [MIB // 4, 1000, 500]
    assert {file.quantization for file in report.files} == {"F32"}
    assert (stager.root / "p.gguf").read_bytes() == PROJECTOR
    asked = len(server.requests)
    assert stager.run(*files) == report
    assert len(server.requests) == asked


def test_progress_tells_which_file(stager: Stager, server: Server) -> None:
    seen: list[Progress] = []
    server.add("/m.gguf", MODEL)
    server.add("/a.gguf", ADAPTER)
    begin = stager.gauge.begin

    def watched(*arguments: object, **options: object) -> None:
        begin(*arguments, **options)  # type: ignore[arg-type]
        seen.append(stager.gauge.now)

    stager.gauge.begin = watched  # type: ignore[method-assign]
    stager.run(
        model(str(stager.link), Url(server.url("/m.gguf"))),
        model(str(stager.root / "a.gguf"), Url(server.url("/a.gguf")), role="adapter/a"),
    )
    downloads = [(one.role, one.total) for one in seen if one.phase == "downloading" and one.total]
    assert [one.role for one in seen if one.phase == "asking"] == ["model", "adapter/a"] * 2
    assert downloads == [("model", len(MODEL)), ("adapter/a", len(ADAPTER))]


def test_what_is_missing_is_told_before_anything_is_fetched(stager: Stager, server: Server) -> None:
    """A hub that has no such adapter, and a volume that has none: not after the model's gigabytes."""
    server.add("/m.gguf", MODEL)
    first = model(str(stager.link), Url(server.url("/m.gguf")))
    gone = HuggingFace(server.url(""), "org/repo", "main", file="a.gguf")
    for source, named in ((gone, "404"), (InPlace(), "is not there")):
        found = failure(stager, first, model(str(stager.root / "a.gguf"), source, role="adapter/a"))
        assert found.reason is Reason.NOT_FOUND
        assert found.message.startswith("spec.adapters[a].source: ")
        assert named in found.message
    assert server.gets() == []


def test_trouble_with_the_volume_names_the_file_too(stager: Stager, server: Server) -> None:
    server.add("/m.gguf", MODEL)
    (stager.root / "sha256").write_text("in the way")
    found = failure(stager, model(str(stager.link), Url(server.url("/m.gguf")), role="draft"))
    assert found.reason is Reason.STAGING_FAILED
    assert found.message.startswith("spec.draft.source: the volume refuses")


def test_files_of_one_repository_are_of_one_commit(stager: Stager, server: Server) -> None:
    """A push between the two questions: the second is asked about the commit of the first."""
    facts = {"X-Repo-Commit": COMMIT}
    server.add("/org/repo/resolve/main/m.gguf", MODEL, headers=facts)
    for name, data in (("m", MODEL), ("p", PROJECTOR)):
        server.add(f"/org/repo/resolve/{COMMIT}/{name}.gguf", data, headers=facts)
    server.add("/org/repo/resolve/main/p.gguf", MODEL, headers={"X-Repo-Commit": LATER})
    report = stager.run(
        model(str(stager.link), HuggingFace(server.url(""), "org/repo", "main", file="m.gguf")),
        model(
            str(stager.root / "p.gguf"),
            HuggingFace(server.url(""), "org/repo", "main", file="p.gguf"),
            role="projector",
        ),
    )
    assert [file.revision for file in report.files] == [COMMIT, COMMIT]
    assert (stager.root / "p.gguf").read_bytes() == PROJECTOR


def test_all_parts_of_a_split_model_are_staged_and_linked(stager: Stager, server: Server) -> None:
    for number, data in enumerate(PARTS, 1):
        server.add(f"/dir/{split_name(number)}", data)
    file = model(str(stager.root / split_name(1, "link")), Url(server.url(f"/dir/{split_name(1)}?download=true")))
    (found,) = stager.run(file).files
    assert (found.parts, found.bytes, found.parameters) == (3, sum(map(len, PARTS)), 3 * 1024)
    assert (found.sha256, found.name) == ("", "part 0")
    for number, data in enumerate(PARTS, 1):
        assert (stager.root / split_name(number, "link")).read_bytes() == data
    assert [r.path for r in server.gets()] == [f"/dir/{split_name(n)}?download=true" for n in (1, 2, 3)]
    assert stager.run(file).files == (found,)
    assert len(server.requests) == 3


def test_parts_that_are_missing_come_from_the_commit_of_the_others(stager: Stager, server: Server) -> None:
    for number, data in enumerate(PARTS, 1):
        facts = {"X-Repo-Commit": COMMIT, "X-Linked-Etag": f'"{sha256(data)}"'}
        for revision in ("main", COMMIT) if number == 1 else (COMMIT,):
            server.add(f"/org/repo/resolve/{revision}/{split_name(number)}", data, headers=facts)
    last = f"/org/repo/resolve/{COMMIT}/{split_name(3)}"
    server.files[last].always = Fault(status=404)
    with pytest.raises(Failure):
        stager.hub(server.url(""), file=split_name(1))
    assert server.gets() == []
    server.files[last].always = None
    server.files[last].faults.extend([Fault(), Fault(status=410)])
    with pytest.raises(Failure):
        stager.hub(server.url(""), file=split_name(1))
    server.add(f"/org/repo/resolve/main/{split_name(3)}", MODEL, headers={"X-Repo-Commit": LATER})
    found = stager.hub(server.url(""), file=split_name(1))
    assert (found.parts, found.revision) == (3, COMMIT)
    assert (stager.root / split_name(3)).read_bytes() == PARTS[2]


@pytest.mark.parametrize("order", [(0, 2, 1), (0, 0, 0), (1, 0, 2)])
def test_parts_under_each_others_names_are_refused(
    stager: Stager, server: Server, tmp_path: Path, order: tuple[int, ...]
) -> None:
    for number, index in enumerate(order, 1):
        server.add(f"/{split_name(number)}", PARTS[index])
        (tmp_path / split_name(number, "volume")).write_bytes(PARTS[index])
    for file in (
        model(str(stager.root / split_name(1)), Url(server.url(f"/{split_name(1)}"))),
        model(str(tmp_path / split_name(1, "volume")), InPlace()),
    ):
        found = failure(stager, file)
        assert found.reason is Reason.INVALID_SOURCE
        assert "by its name" in found.message


def test_a_part_under_another_name_says_which_name_it_needs(stager: Stager, server: Server) -> None:
    server.add("/m.gguf", PARTS[0])
    (stager.root / "volume.gguf").write_bytes(PARTS[0])
    for _ in range(2):
        found = failure(stager, model(str(stager.link), Url(server.url("/m.gguf"))))
        assert found.reason is Reason.INVALID_SOURCE
        assert "-00001-of-00003.gguf" in found.message
    assert len(server.gets()) == 1
    assert "-00001-of-00003.gguf" in failure(stager, model(str(stager.root / "volume.gguf"), InPlace())).message


def test_a_whole_model_named_like_a_part_is_refused(stager: Stager, server: Server) -> None:
    for number in (1, 2, 3):
        server.add(f"/{split_name(number)}", MODEL)
    found = failure(stager, model(str(stager.root / split_name(1)), Url(server.url(f"/{split_name(1)}"))))
    assert found.reason is Reason.INVALID_SOURCE
    assert len(server.gets()) == 1


def test_a_split_model_on_a_volume_needs_all_its_parts(stager: Stager) -> None:
    for number, data in enumerate(PARTS, 1):
        (stager.root / split_name(number)).write_bytes(data)
    file = model(str(stager.root / split_name(1)), InPlace())
    assert stager.run(file).files[0].parts == 3
    (stager.root / split_name(3)).unlink()
    found = failure(stager, file)
    assert (found.reason, split_name(3) in found.message) == (Reason.NOT_FOUND, True)


def test_a_good_file_of_the_wrong_kind_is_refused(stager: Stager) -> None:
    (stager.root / "adapter.gguf").write_bytes(ADAPTER)
    found = failure(stager, model(str(stager.root / "adapter.gguf"), InPlace()))
    assert found.reason == Reason.INVALID_SOURCE
    assert found.message == "spec.source: holds a LoRA adapter, not a model; put it under spec.adapters"


def test_one_file_in_two_roles_is_fetched_once(stager: Stager, server: Server) -> None:
    """A model that drafts for itself: what is staged is named after its source."""
    server.add("/m.gguf", MODEL)
    source = Url(server.url("/m.gguf"))
    report = stager.run(model(str(stager.link), source), model(str(stager.link), source, role="draft"))
    assert [file.role for file in report.files] == ["model", "draft"]
    assert len(server.gets()) == 1


def test_parts_that_are_not_of_one_model_are_refused(stager: Stager) -> None:
    total = [entry("split.tensors.count", 7)]
    for number in range(2):
        extra = [entry("split.count", 2), entry("split.no", number), *total]
        (stager.root / f"m-{number + 1:05d}-of-00002.gguf").write_bytes(gguf_file(extra=extra))
    found = failure(stager, model(str(stager.root / "m-00001-of-00002.gguf"), InPlace()))
    assert (found.reason, "7" in found.message) == (Reason.INVALID_SOURCE, True), found.message


def test_an_unknown_file_type_is_not_told(stager: Stager) -> None:
    (stager.root / "m.gguf").write_bytes(
        gguf_file().replace(entry("general.file_type", 0), entry("general.file_type", 9999))
    )
    assert stager.run(model(str(stager.root / "m.gguf"), InPlace())).files[0].quantization == ""


def test_a_file_on_a_volume_is_checked_where_it_is(stager: Stager) -> None:
    path = stager.root / "m.gguf"
    path.write_bytes(MODEL)
    path.chmod(0o444)
    assert stager.run(model(str(path), InPlace())).files[0].sha256 == ""
    assert stager.run(model(str(path), InPlace(), sha256(MODEL))).files[0].sha256 == sha256(MODEL)
    assert [p.name for p in stager.root.iterdir()] == ["m.gguf"]


def test_files_on_a_volume_that_cannot_be_served(stager: Stager) -> None:
    root = stager.root
    (root / "short.gguf").write_bytes(MODEL[:-1])
    (root / "page.gguf").write_bytes(b"<html>")
    (root / "m.gguf").write_bytes(MODEL)
    (root / "folder.gguf").mkdir()
    os.mkfifo(root / "pipe.gguf")
    expected = {
        "short.gguf": Reason.TRUNCATED,
        "page.gguf": Reason.NOT_GGUF,
        "m.gguf": Reason.DIGEST_MISMATCH,
        "none.gguf": Reason.NOT_FOUND,
        "m.gguf/below": Reason.NOT_FOUND,
        "folder.gguf": Reason.INVALID_SOURCE,
        "pipe.gguf": Reason.INVALID_SOURCE,
    }
    for name, reason in expected.items():
        found = failure(stager, model(f"{root}/{name}", InPlace(), "0" * 64, "draft"))
        assert found.reason is reason, name
        assert found.message.startswith("spec.draft.source: ")

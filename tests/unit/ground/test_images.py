"""Names of images, and what buildah is told; building itself is tested by building."""

import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from ground import binaries, buildah, images, paths, shell
from ground.images import Recipe


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository and a cache of their own, and a builder that notes what it was asked for."""
    root = tmp_path / "repo"
    (root / "app").mkdir(parents=True)
    (root / "app/Dockerfile").write_text("FROM scratch\n")
    (root / "app/file").write_text("one")
    monkeypatch.setattr(paths, "REPO", root)
    monkeypatch.setattr(paths, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(paths, "LOGS", tmp_path / "logs")
    monkeypatch.setattr(images, "RECIPES", {"app": Recipe("localhost/app", "app/Dockerfile", "app")})
    monkeypatch.setattr(images, "_docker_has_base", lambda: False)
    return root


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    asked: list[str] = []

    def build(ref: str, context: Path, dockerfile: Path, words: Sequence[str], archive: Path, log: Path) -> None:
        asked.append(" ".join([ref, *words]))
        archive.write_text(ref)

    monkeypatch.setattr(buildah, "build", build)
    return asked


def test_an_image_is_built_once_for_one_content(repository: Path, builds: list[str]) -> None:
    first = images.build("app")
    assert images.build("app") == first
    assert builds == [first[0]]
    assert first[1].read_text() == first[0]
    assert first[0].startswith("localhost/app:dev-")
    assert len(first[0].rpartition("-")[2]) == 12


@pytest.mark.parametrize("changed", ["app/file", "app/Dockerfile"])
def test_another_content_is_another_tag(repository: Path, builds: list[str], changed: str) -> None:
    before, _ = images.build("app")
    (repository / changed).write_text("FROM two\n")
    after, _ = images.build("app")
    assert before != after
    assert builds == [before, after]


def test_an_argument_is_given_to_the_build_and_names_another_image(repository: Path, builds: list[str]) -> None:
    plain, _ = images.build("app")
    given, _ = images.build("app", ["CPU=any"])
    assert plain != given
    assert builds == [plain, f"{given} --build-arg=CPU=any"]


def test_layers_get_the_time_that_the_dockerfile_names() -> None:
    assert buildah.timestamp("ARG BASE=debian\nARG SOURCE_DATE_EPOCH=1790820708\nFROM ${BASE}\n") == [
        "--timestamp=1790820708"
    ]
    assert buildah.timestamp("FROM scratch\nARG SOURCE_DATE_EPOCH\n") == []


def test_what_the_rules_leave_out_does_not_count(repository: Path, builds: list[str]) -> None:
    (repository / "app/Dockerfile.dockerignore").write_text("notes\nDockerfile.dockerignore\n")
    before, _ = images.build("app")
    (repository / "app/notes").write_text("more")
    assert images.build("app")[0] == before


def test_a_failed_build_leaves_no_archive(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(ref: str, context: Path, dockerfile: Path, words: Sequence[str], archive: Path, log: Path) -> None:
        archive.write_text("half")
        raise shell.GroundError("no")

    monkeypatch.setattr(buildah, "build", fail)
    with pytest.raises(shell.GroundError):
        images.build("app")
    assert not list((paths.CACHE).rglob("*.tar"))


def test_an_unknown_image_is_named_with_those_there_are() -> None:
    with pytest.raises(shell.GroundError, match=r"no image 'nginx'; there are operator, llama-server"):
        images.build("nginx")


def test_an_archive_holds_one_program_and_is_the_same_each_time(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "pause" / "key" / "pause"
    program.parent.mkdir(parents=True)
    program.write_bytes(b"\x7fELF")
    monkeypatch.setattr(binaries, "target", lambda name: program)
    monkeypatch.setattr(binaries, "ensure", lambda name: {name: program})
    first = images.archive("pause")
    content = first.read_bytes()
    first.unlink()
    assert images.archive("pause").read_bytes() == content
    with tarfile.open(first) as archive:
        assert "manifest.json" in archive.getnames()


def test_the_base_lends_variables_without_reading_them() -> None:
    text = buildah.base_dockerfile("base.tar", {"PIP_INDEX_URL": 'https://h/"$x"'})
    assert text.splitlines() == [
        "FROM scratch",
        "ADD base.tar /",
        f"ENV {buildah.PATH_VARIABLE}",
        'ENV PIP_INDEX_URL="https://h/\\"\\$x\\""',
        'CMD ["bash"]',
    ]


def test_only_other_builds_of_the_same_image_are_forgotten() -> None:
    known = [
        "localhost/app:dev-1",
        "localhost/app:dev-2",
        "localhost/apple:dev-1",
        "docker.io/library/debian:trixie-slim",
    ]
    assert buildah.earlier(known, "localhost/app:dev-2") == ["localhost/app:dev-1"]

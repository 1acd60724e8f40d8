"""Docker where it works as it is, Debian packages where not."""

from dataclasses import replace

import pytest

from ground import choose, doctor, shell
from ground.choose import Facts, Way

NOTHING = Facts(forced=None, docker=False, registry=False, own_node_image=False, root=True)


@pytest.mark.parametrize(
    ("seen", "way", "why"),
    [
        (NOTHING, Way.PACKAGES, "no Docker engine answers"),
        (replace(NOTHING, docker=True), Way.PACKAGES, "registry does not answer"),
        (replace(NOTHING, docker=True, registry=True), Way.DOCKER, "registry answer"),
        (replace(NOTHING, docker=True, own_node_image=True), Way.DOCKER, "LLAMA_GROUND_NODE_IMAGE"),
        (replace(NOTHING, forced="packages", docker=True, registry=True), Way.PACKAGES, "LLAMA_GROUND_WAY"),
    ],
)
def test_the_way_and_its_reason(seen: Facts, way: Way, why: str) -> None:
    choice = choose.choose(seen)
    assert choice.way is way
    assert why in choice.why
    assert choice.obstacle is None


@pytest.mark.parametrize(
    ("seen", "obstacle"),
    [
        (replace(NOTHING, root=False), "only root"),
        (replace(NOTHING, root=False, docker=True), "registry does not answer"),
        (replace(NOTHING, forced="docker"), "no Docker engine"),
        (replace(NOTHING, forced="packages", root=False), "only root"),
    ],
)
def test_what_cannot_work_is_said(seen: Facts, obstacle: str) -> None:
    choice = choose.choose(seen)
    assert choice.obstacle is not None
    assert obstacle in choice.obstacle
    assert choice.obstacle in doctor.problems(choice, free_gib=100, memory_gib=16)


def test_an_unknown_way_is_refused() -> None:
    with pytest.raises(shell.GroundError, match="docker and packages"):
        choose.choose(replace(NOTHING, forced="podman"))


def test_the_doctor_sees_a_small_machine() -> None:
    found = doctor.problems(choose.choose(NOTHING), free_gib=3, memory_gib=1)
    assert any("disk" in problem for problem in found)
    assert any("memory" in problem for problem in found)

"""In which words a pod is told of: the same for the same trouble, and those that say what it is."""

from __future__ import annotations

import pytest

from llama_operator.reconcile import containers, pods
from tests.unit.reconcile.objects import (
    Object,
    running,
    terminated,
    waiting,
)
from tests.unit.reconcile.test_pods import BACK_OFF, CRASH, OOM, PULL, START, server


@pytest.mark.parametrize(
    ("one", "another"),
    [
        (  # kubelet 1.34 between two attempts, and while it waits
            server(waiting("ErrImagePull", PULL)),
            server(
                waiting(
                    "ImagePullBackOff", f'Back-off pulling image "localhost/llama-server:0.1.0": ErrImagePull: {PULL}'
                )
            ),
        ),
        (  # a program that does not start: first the error, then the back-off, with the same words in lastState
            server(waiting("RunContainerError", START)),
            server(BACK_OFF, terminated(128, START, reason="StartError"), restarts=1),
        ),
        (
            server(BACK_OFF, terminated(1, CRASH), restarts=3),
            server(running(), terminated(1, CRASH), restarts=4),
        ),
        (server(BACK_OFF, OOM, restarts=3), server(running(), OOM, restarts=4)),
    ],
    ids=["image", "start", "crash", "memory"],
)
def test_what_is_tried_again_and_again_is_told_in_the_same_words(one: Object, another: Object) -> None:
    assert pods.serving(one, [], {}) == pods.serving(another, [], {})


def test_last_words_are_one_line_without_what_each_log_has() -> None:
    """kubectl shows but the first of several lines in a column."""
    log = (
        "[WARN  tini (7)] Tini is not running as PID 1 and isn't registered as a child subreaper.\n"
        "warn: LLAMA_ARG_HOST environment variable is set, but will be overwritten by command line argument --host\n"
        'error while handling argument "--temp": stof\n'
    )
    assert containers.last_words({"message": log}) == ': error while handling argument "--temp": stof'
    assert containers.last_words({"message": f"{'x' * 450}\nE cannot map\n\nE failed to load: {'y' * 40}"}) == (
        f": E cannot map | E failed to load: {'y' * 40}"
    )
    assert containers.last_words({"message": "z" * 900}) == f": {'z' * 500}"
    assert containers.last_words({}) == ""


def test_what_a_flag_takes_is_not_told_instead_of_the_complaint() -> None:
    complaint, usage = 'error while handling argument "--x": no such file', "y" * 900
    words = containers.last_words({"message": f"{complaint}\n\nusage:\n{usage}\n\nto show complete usage, run with -h"})
    assert words == f": {complaint}"

"""One question at a time."""

from __future__ import annotations

import threading

from llama_operator.sidecar.question import Question
from tests.polling import eventually


def test_an_answer_that_comes_late_is_taken_at_the_next_look_and_not_asked_for_twice() -> None:
    asked, answer = [], threading.Event()

    def ask() -> str:
        asked.append(1)
        answer.wait()
        return "late"

    question = Question(ask)
    assert question.answer(0) is None
    assert question.answer(0.01) is None
    answer.set()
    assert question.answer(5) == "late"
    assert len(asked) == 1
    assert question.answer(5) == "late"
    assert len(asked) == 2


def test_one_that_fails_is_asked_again() -> None:
    failed = threading.Event()

    def ask() -> str:
        if failed.is_set():
            return "well"
        failed.set()
        raise ValueError

    hook, threading.excepthook = threading.excepthook, lambda _: None
    try:
        question = Question(ask)
        assert question.answer(5) is None

        def well() -> None:
            assert question.answer(0.1) == "well"

        eventually(well)
    finally:
        threading.excepthook = hook

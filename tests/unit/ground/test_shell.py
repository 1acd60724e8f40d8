"""Programs are run so that a failure shows what it said."""

from pathlib import Path

import pytest

from ground import shell


def test_a_failure_shows_the_last_lines_of_this_run_only(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "it.log"
    shell.run(["echo", "of an earlier run"], log=log)
    with pytest.raises(shell.CommandError) as caught:
        shell.run(["sh", "-c", "for i in $(seq 50); do echo line $i; done; exit 7"], log=log)
    assert caught.value.status == 7
    lines = caught.value.tail.splitlines()
    assert lines == [f"line {number}" for number in range(21, 51)]
    assert "of an earlier run" in log.read_text()
    assert str(log) in str(caught.value)


def test_a_step_says_how_it_ended(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="no"), shell.step("try"):
        raise ValueError("no")
    with shell.step("succeed"):
        pass
    captured = capsys.readouterr()
    assert captured.out == ""
    first, second = captured.err.splitlines()
    assert first.split() == [first.split()[0], "s", "failed", "try"]
    assert second.split()[1:] == ["s", "ok", "succeed"]


def test_a_program_that_takes_too_long_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(shell.CommandError, match=r"not finished after 0\.1 s"):
        shell.run(["sleep", "60"], log=tmp_path / "log", timeout=0.1)


def test_output_is_what_goes_to_stdout() -> None:
    assert shell.output(["sh", "-c", "echo out; echo err >&2"]) == "out\n"
    with pytest.raises(shell.CommandError, match="broken"):
        shell.output(["sh", "-c", "echo broken >&2; exit 1"])


def test_the_environment_is_added_to() -> None:
    assert shell.output(["sh", "-c", 'echo "$ADDED${HOME:+ home}"'], env={"ADDED": "here"}) == "here home\n"


def test_input_reaches_the_program(tmp_path: Path) -> None:
    log = tmp_path / "log"
    shell.run(["cat"], log=log, stdin="given")
    assert log.read_text().endswith("given")


@pytest.mark.parametrize(("command", "answer"), [(["true"], True), (["false"], False), (["no-such-program"], False)])
def test_a_question_has_an_answer(command: list[str], answer: bool) -> None:
    assert shell.succeeds(command) is answer

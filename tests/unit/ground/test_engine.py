"""Which process is the engine: told by the folder of its state, which checkouts may share."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ground import engine, paths


@pytest.mark.parametrize(("state", "known"), [(paths.STATE, True), (Path("/another/.ground"), False)])
def test_the_engine_is_the_one_of_this_state(
    state: Path, known: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = "echo begun; cat; :"  # what follows keeps the shell from becoming cat
    command = ["sh", "-c", script, "/other/checkout/ground/engine-init.sh", str(tmp_path), str(state)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as outer:
        assert outer.stdin is not None
        assert outer.stdout is not None
        outer.stdin.write(b"and cat\n")
        outer.stdin.flush()
        assert [outer.stdout.readline(), outer.stdout.readline()] == [b"begun\n", b"and cat\n"]
        (tmp_path / "pid").write_text(str(outer.pid))
        monkeypatch.setattr(engine, "PID_FILE", tmp_path / "pid")
        found = engine.pid()
        outer.stdin.close()
    assert (found is not None) == known

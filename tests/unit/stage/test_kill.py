"""kill -9, a hundred times over one download, at any byte: what was on the disk is never fetched again."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import pytest

from tests.gguf_files import gguf_file
from tests.unit.stage.killed import Executioner, start
from tests.unit.stage.ranges import serving
from tests.unit.stage.support import MIB, sha256

KILLS = 100
CHUNK = 4 * MIB
STEP = 1 << 13


@pytest.mark.parametrize("connections", [1, 2])
def test_a_hundred_kills_cost_what_was_under_way(tmp_path: Path, connections: int) -> None:
    """The server knows what is under way: one step for each connection. Two more may be on their way to a chunk that
    turns out to be another connection's, when a long answer is given up."""
    data = gguf_file(8 * MIB)
    moments = sorted(random.Random(connections).sample(range(1, len(data)), KILLS))
    with serving(data) as server:
        server.step = STEP
        executioner = Executioner(server, tmp_path, CHUNK)
        lost = 0
        for moment in moments:
            process = start(tmp_path, server.url(), CHUNK, connections)
            executioner.aim(process, moment + lost)
            process.join()
            assert process.exitcode == -signal.SIGKILL
            refetched = server.sent - sum(executioner.present()) - lost
            assert 0 <= refetched <= min(CHUNK, (connections + 2) * STEP)
            lost += refetched
        process = start(tmp_path, server.url(), CHUNK, connections)
        executioner.spare(process)
        process.join()
        assert process.exitcode == 0
        assert server.sent <= 1.05 * len(data)
    assert sha256((tmp_path / "model.gguf").read_bytes()) == sha256(data)

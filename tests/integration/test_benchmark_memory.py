"""The memory benchmark reads what llama-server tells, and its page has what was measured. A stand-in is the server."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.memory import checkpoints, shapes
from benchmarks.memory.server import read
from benchmarks.memory.suite import Case, measure, page

STAND_IN = f"""#!{sys.executable}
import sys, http.server
if "--version" in sys.argv:
    print("version: 1 (stand-in)")
    raise SystemExit
print("load_tensors: loading model tensors, to see whether they fit")
print("load_tensors: CPU_Mapped model buffer size = 999.00 MiB")
print("load_tensors: loading model tensors, this can take a while...")
print("load_tensors: CPU_Mapped model buffer size = 1186.00 MiB")
print("load_tensors: CPU_Mapped model buffer size = 0.25 MiB")
print("load_tensors: CPU_REPACK model buffer size = 3.00 MiB")
print("llama_kv_cache: CPU KV buffer size = 48.00 MiB")
print("llama_memory_recurrent: CPU RS buffer size = 0.16 MiB")
print("sched_reserve: CPU compute buffer size = 72.02 MiB", flush=True)
kept = []
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def do_POST(self):
        if sys.argv[sys.argv.index("--ctx-checkpoints") + 1] != "0":
            kept.append(b"x" * (5 << 20))
            print("created context checkpoint 1 of 4 (pos_min = 0, n_tokens = 9, size = 5.000 MiB)", flush=True)
        self.do_GET()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Ready).serve_forever()
"""


@pytest.fixture
def server(tmp_path: Path) -> Path:
    path = tmp_path / "llama-server"
    path.write_text(STAND_IN)
    path.chmod(0o755)
    return path


def test_what_the_server_tells_is_read(server: Path, tmp_path: Path) -> None:
    [row] = measure(server, tmp_path, [Case(shapes.LFM2)])
    found = row.measured
    assert (found.weights, found.mapped, found.cache, found.compute) == (1189.25, 1186.25, 48.16, 72.02)
    assert 1 < found.resident < 100
    assert found.total == pytest.approx(found.resident + 1186.25 + 72.02)
    assert "| LFM2 1.2B | 4096 x 1 | f16 | 1186 / 1189 | 48 / 48 | 72 / 72 | " in page(server, [row], [])
    assert [path.name for path in tmp_path.iterdir()] == ["llama-server"]


def test_a_mapping_told_as_a_whole_counts_without_what_was_repacked() -> None:
    log = "".join(
        f"load_tensors: {line}\n"
        for line in (
            "loading model tensors",
            "CPU_Mapped model buffer size = 90.00 MiB",
            "CPU_REPACK model buffer size = 80.00 MiB",
        )
    )
    found = read(log, resident=85.0, file=100.0)
    assert (found.weights, found.mapped, found.total) == (100.0, 20.0, 105.0)
    assert read(log.replace("80.00", "5.00"), resident=10.0, file=100.0).mapped == 90.0


def test_checkpoints_are_what_is_resident_more(server: Path, tmp_path: Path) -> None:
    """Two requests in each of two slots."""
    [row] = checkpoints.measure(server, tmp_path, [checkpoints.Case(checkpoints.GEMMA3_1B, slots=2)])
    assert (row.made, row.largest) == (4, 5.0)
    assert row.measured == pytest.approx(4 * 5, abs=2)
    assert checkpoints.table([row])[-1].startswith("| Gemma 3 1B | 4096 x 2 | 11.00 / 5.00 | 88 / ")


def test_one_that_does_not_start_says_why(server: Path, tmp_path: Path) -> None:
    server.write_text("#!/bin/sh\necho no such model; exit 1\n")
    with pytest.raises(RuntimeError, match="no such model"):
        measure(server, tmp_path, [Case(shapes.LFM2)])

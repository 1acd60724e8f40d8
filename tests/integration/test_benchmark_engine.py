"""The engine's benchmark measures what it says, with a stand-in for llama-server; times are not judged here."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from benchmarks.engine import client, quota, sizes, speed, trees
from benchmarks.engine.report import page
from benchmarks.engine.routes import DIRECT, INGRESS, SERVICE, Taken
from benchmarks.engine.server import running, version
from benchmarks.engine.speed import DEFAULT, OPERATORS, Speed, Work
from benchmarks.engine.start import STEPS, Start, reached
from benchmarks.engine.suite import BY_HAND, CACHED, IN_PLACE, QUICK, Results
from benchmarks.engine.trees import DEBIANS, OURS, Engine
from ground.node import layers

STAND_IN = """#!{python}
import http.server, json, sys
if "--version" in sys.argv:
    print("version: {name}")
    sys.exit()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()
        tokens = asked["n_predict"]
        if asked.get("stream"):
            for number in range(tokens + 1):
                self.wfile.write(b"data: " + json.dumps({{"stop": number == tokens}}).encode() + b"\\n\\n")
        else:
            told = {{"prompt_per_second": {speed} * len(asked["prompt"]), "predicted_per_second": {speed} * tokens}}
            self.wfile.write(json.dumps({{"timings": told}}).encode())
    def log_message(self, *words):
        pass
port = int(sys.argv[sys.argv.index("--port") + 1])
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="another root, and control groups, are root's")


def stand_in(folder: Path, name: str, speed: int) -> Engine:
    """An engine that tells a speed; it sees this machine's own files."""
    program = folder / f"llama-server-{speed}"
    program.write_text(STAND_IN.format(python="/usr/bin/env python3", name=name, speed=speed))
    program.chmod(0o755)
    return Engine(name, Path("/"), str(program), ())


@needs_root
def test_engines_take_turns_and_are_asked_the_same(tmp_path: Path) -> None:
    sides = [stand_in(tmp_path, "fast", 20), stand_in(tmp_path, "slow", 10)]
    found = speed.engines(sides, Work(prompt=4, tokens=3), rounds=2)
    assert found == {"fast": [Speed(80, 60)] * 2, "slow": [Speed(40, 30)] * 2}
    assert version(sides[0]) == "version: fast"


@needs_root
def test_a_server_that_ends_is_told_with_its_log(tmp_path: Path) -> None:
    broken = tmp_path / "llama-server"
    broken.write_text("#!/bin/sh\necho no such model >&2\nexit 1\n")
    broken.chmod(0o755)
    with pytest.raises(RuntimeError, match="no such model"), running(Engine("broken", Path("/"), str(broken), ())):
        pass


@needs_root
def test_a_quota_holds_the_process_that_joins() -> None:
    with quota.cores(0.5) as group:
        joined = subprocess.Popen(["sh", "-c", 'echo 0 >"$0" && echo joined && exec cat', group],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
        assert joined.stdout is not None
        assert joined.stdout.readline() == b"joined\n"
        assert group.read_text().split() == [str(joined.pid)]
        told = [group.with_name(name) for name in ("cpu.max", "cpu.cfs_quota_us")]
        assert [path.read_text().split()[0] for path in told if path.exists()] == ["50000"]
        joined.communicate()
    assert not group.parent.exists()


def test_the_operators_threads_are_those_of_its_deployments() -> None:
    assert [speed.threads(cores) for cores in (0.5, 1, 2.5)] == ["1", "1", "2"]


@needs_root
def test_a_client_counts_tokens_and_no_end(tmp_path: Path) -> None:
    with running(stand_in(tmp_path, "any", 1)) as server:
        assert server.begun < server.answered
        tokens = list(client._tokens(server.url, client.completion(1, 5)))
        assert len(tokens) == 5
        taken = client.stream(server.url, client.completion(1, 5))
    assert taken["first"] > 0
    assert taken["rate"] > 0


def pod(**status: Any) -> dict[str, Any]:
    return {"status": status}


def test_a_pod_tells_which_steps_are_behind_it() -> None:
    scheduled = {"type": "PodScheduled", "status": "True"}
    ready = {"type": "Ready", "status": "True"}
    running: dict[str, Any] = {"state": {"running": {}}}
    stager, server, other = {"name": "stage"}, {"name": "llama-server"}, {"name": "other", **running}
    done = [other, {**stager, "state": {"terminated": {"exitCode": 0}}}]
    assert reached(pod()) == {"pod is there"}
    assert reached(pod(conditions=[scheduled, {**ready, "status": "False"}])) == set(STEPS[:2])
    assert reached(pod(conditions=[scheduled], initContainerStatuses=[{**stager, **running}])) == set(STEPS[:3])
    waiting = [other, {**server, "state": {"waiting": {}}}]
    assert reached(pod(conditions=[scheduled], initContainerStatuses=done, containerStatuses=waiting)) == set(STEPS[:4])
    served = pod(conditions=[scheduled, ready], initContainerStatuses=done, containerStatuses=[{**server, **running}])
    assert reached(served) == set(STEPS[:-1])


def test_an_image_is_as_large_as_its_layers(tmp_path: Path) -> None:
    layer, archive = tmp_path / "layer", tmp_path / "image.tar"
    layers.write_layer(layers.Layer(texts={"/zeros": "0" * 100_000}), layer)
    layers.write_images([layers.Image("localhost/x:y", ["only"])], {"only": layer}, archive)
    (found,) = trees.layers(archive, tmp_path / "unpacked")
    assert found.read_bytes() == layer.read_bytes()
    size = sizes.of([found])
    assert size.plain == layer.stat().st_size
    assert 0 < size.compressed < 2000


def test_the_page_has_ratios_of_each_round_and_judges_the_start() -> None:
    start = Start({step: number + 1.0 for number, step in enumerate(STEPS)})  # seven seconds
    steps = {step: when for step, when in start.steps.items() if not step.startswith("stager")}
    by_hand = Start({**steps, "server runs": 3.0, "ready": 4.0, STEPS[-1]: 4.5})
    slow, fast = [Speed(10, 4), Speed(100, 8)], [Speed(20, 4), Speed(300, 24)]
    text = page(
        Results(
            QUICK,
            versions={OURS: "1", DEBIANS: "2"},
            engines={OURS: fast, DEBIANS: slow},
            quotas={0.5: {OPERATORS: fast, DEFAULT: slow}},
            routes={way: [Taken(0.1 + more, 50)] for way, more in ((DIRECT, 0.0), (SERVICE, 0.001), (INGRESS, 0.02))},
            bare=[5.5],
            starts={IN_PLACE: [start], CACHED: [Start({**start.steps, STEPS[-1]: 7.6})], BY_HAND: [by_hand]},
            sizes={"image": sizes.Size(3 << 20, 1 << 20)},
        )
    )
    assert "| **ours / Debian's** | 2.50 (2.00 to 3.00) | 2.00 (1.00 to 3.00) |" in text
    assert "1.50 (1.50 to 1.50), met | 2.10 (2.10 to 2.10), **missed** | -1.00 (-1.00 to -1.00) |" in text
    assert "| **more than the Deployment by hand** | 2.50 (2.50 to 2.50) | 3.10 (3.10 to 3.10) |  |" in text
    assert (
        "| stager has ended → server runs | 1.00 (1.00 to 1.00) | 1.00 (1.00 to 1.00) | 1.00 (1.00 to 1.00) |" in text
    )
    assert "| through the Ingress | 120.0 (120.0 to 120.0) | 20.0 (20.0 to 20.0) |" in text
    assert "| image | 3.0 | 1.0 |" in text

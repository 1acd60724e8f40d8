"""A sidecar as a process, beside servers that hang, that are busy, that load for long, and that answer nonsense."""

from __future__ import annotations

import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from llama_operator.api.sidecar import Facts
from tests.integration.sidecar.conftest import LOOK_SECONDS, Pod, eventually

QUICK = 5 * LOOK_SECONDS
"""Patience that is over soon."""
LONG = 3600.0
DIGEST = "ab" * 32
OWN_DEV = (
    *("unshare", "--user", "--map-root-user", "--mount", "sh", "-ec"),
    *('mount -t tmpfs none /dev; : >/dev/nvidia0; : >/dev/nvidiactl; exec "$@"', "sh"),
)


def is_ended(process: subprocess.Popen[bytes]) -> None:
    assert process.wait(30) == -signal.SIGKILL


@pytest.mark.parametrize("spins", [False, True])
def test_an_engine_that_hangs_is_ended_though_health_says_ok(pod: Pod, spins: bool) -> None:
    """It answers all questions, and its one request does not get on; it waits, or waits in a loop."""
    server = pod.serve(busy=1, spins=spins)
    pod.watch(waiting=LONG if spins else QUICK, computing=QUICK if spins else LONG)
    is_ended(server)
    eventually(lambda: _told(pod, "did not get on" if spins else "neither got on nor used CPU time"))
    assert not pod.started()


def _told(pod: Pod, words: str) -> None:
    assert words in pod.facts().ended


def test_a_process_that_was_stopped_is_ended(pod: Pod) -> None:
    server = pod.serve()
    pod.watch(waiting=QUICK)
    pod.is_started()
    server.send_signal(signal.SIGSTOP)
    is_ended(server)


def test_the_next_process_is_another(pod: Pod) -> None:
    server = pod.serve()
    pod.watch(waiting=QUICK)
    pod.is_started()
    server.send_signal(signal.SIGSTOP)
    is_ended(server)
    assert not pod.started()
    again = pod.serve()
    pod.is_started()
    assert pod.asked().count("/completion") == 1
    _told(pod, "CPU time")
    pod.lives(again, 5 * QUICK)


@pytest.mark.parametrize(
    "state",
    [
        {"busy": 1, "spins": True},
        {"busy": 1, "moves": True},
        {"busy": 0},
        {"health": 503, "busy": 1},
        {"rubbish": True},
    ],
    ids=["computes", "gets on", "idle", "loads", "answers nonsense"],
)
def test_who_does_not_hang_is_left_alone(pod: Pod, state: dict[str, Any]) -> None:
    patience = 4 * QUICK if state.get("spins") else QUICK  # a busy machine gives it little CPU time in a moment
    server = pod.serve(**state)
    watcher = pod.watch(waiting=patience)
    pod.lives(server, 4 * patience)
    assert watcher.poll() is None


def test_a_long_load_is_waited_for_and_then_a_first_answer(pod: Pod) -> None:
    pod.serve(health=503, completion=500)
    pod.watch(waiting=QUICK)
    assert not pod.started()
    assert "/completion" not in pod.asked()
    pod.be(health=200)

    def refused() -> None:
        assert pod.facts().problem == "a first chat request was answered with HTTP 500"

    eventually(refused)
    assert not pod.started()
    pod.be(completion=200)
    pod.is_started()
    facts = pod.facts()
    assert (facts.answered, facts.problem) == (True, "")
    assert (facts.build, facts.slots, facts.context_size, facts.quantization) == ("b1", 2, 512, "Q4_0")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A link to a file, as the stager leaves them."""
    file, link = tmp_path / "sha256" / DIGEST / "a.gguf", tmp_path / "link.gguf"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"GGUF")
    link.symlink_to(file.relative_to(tmp_path))
    return link


def told(pod: Pod) -> Facts:
    """What is told of the server, once it has been asked what it is."""
    eventually(lambda: _of_a_build(pod))
    return pod.facts()


def _of_a_build(pod: Pod) -> None:
    assert pod.facts().build


def test_the_file_and_the_devices_are_those_that_the_process_has(pod: Pod, model: Path) -> None:
    """In a mount namespace of its own with a folder /dev of its own, as llama-server's container has them."""
    if subprocess.run([*OWN_DEV, "true"], check=False).returncode:
        pytest.skip("this machine lets nobody make namespaces")
    pod.serve(wrapper=OWN_DEV, model=str(model), open=["/dev/nvidia0", "/dev/nvidiactl"])
    pod.watch()
    facts = told(pod)
    assert (facts.model, facts.sha256, facts.devices) == (str(model), DIGEST, ("/dev/nvidia0",))


def test_a_server_without_a_device_and_without_a_file(pod: Pod) -> None:
    pod.serve()
    pod.watch()
    facts = told(pod)
    assert (facts.sha256, facts.devices) == ("", ())


def test_of_a_server_that_sleeps_no_digest_is_told(pod: Pod, model: Path) -> None:
    """When it wakes it opens the path again, where another file may be by then."""
    pod.serve(model=str(model), flags=["--sleep-idle-seconds", "60"])
    pod.watch()
    facts = told(pod)
    assert (facts.model, facts.sha256) == (str(model), "")


def test_one_first_request_only(pod: Pod) -> None:
    pod.serve()
    pod.watch()
    pod.is_started()
    before = len(pod.asked())

    def looked() -> None:
        assert len(pod.asked()) > before + 10

    eventually(looked)
    assert pod.asked().count("/completion") == 1


def test_a_sidecar_that_was_started_again_believes_the_counters(pod: Pod) -> None:
    """It asks nothing that would queue behind the long requests of a busy server, or wake one that sleeps."""
    pod.serve()
    first = pod.watch()
    pod.is_started()
    pod.be(busy=1, moves=True, counted=7, completion=500)
    first.kill()
    pod.watch()
    pod.is_started()
    assert pod.asked().count("/completion") == 1


def test_a_drain_waits_for_what_is_in_flight_and_changes_nothing(pod: Pod) -> None:
    pod.serve(moves=True)
    pod.watch()
    pod.is_started()
    pod.be(busy=1)
    with ThreadPoolExecutor(1) as pool:
        drained = pool.submit(pod.drain)
        asked = pod.asked().count("/metrics")

        def drains() -> None:
            assert pod.asked().count("/metrics") > asked + 1

        eventually(drains)
        assert not drained.done()
        assert pod.started()
        pod.be(busy=0)
        assert drained.result(30) == "nothing is in flight"
    assert pod.started()


def test_a_server_that_is_not_there_is_not_drained(pod: Pod) -> None:
    pod.watch()
    assert pod.drain() == "the server does not serve"


def test_with_an_api_key(pod: Pod, tmp_path: Path) -> None:
    pod.serve(key="secret", busy=1)
    (tmp_path / "keys").write_text("secret\n")
    watcher = pod.watch(key_file=str(tmp_path / "keys"), waiting=LONG)
    pod.is_started()
    assert pod.facts().slots == 2
    assert watcher.poll() is None


def test_a_key_that_is_not_known_stops_nobody(pod: Pod) -> None:
    """The activity cannot be told, so /health is all there is."""
    server = pod.serve(key="secret", busy=1)
    pod.watch(waiting=QUICK)
    pod.is_started()
    pod.lives(server, 5 * QUICK)


def test_it_ends_at_once_when_it_is_told_to_and_there_is_no_server(pod: Pod) -> None:
    watcher = pod.watch()
    watcher.terminate()
    assert watcher.wait(10) == 0


def test_it_ends_after_the_server_and_goes_on_until_then(pod: Pod) -> None:
    """Both are told to end at once when the pod is deleted, and the server still has something to do."""
    server = pod.serve(busy=1, moves=True)
    watcher = pod.watch(drain=LONG)
    pod.is_started()
    with ThreadPoolExecutor(1) as pool:
        drained = pool.submit(pod.drain)
        watcher.terminate()
        pod.lives(watcher, 5 * QUICK)
        assert pod.facts().answered
        pod.be(busy=0)
        assert drained.result() == "nothing is in flight"
    assert watcher.poll() is None
    server.terminate()
    assert watcher.wait(10) == 0


def test_a_server_that_hangs_while_both_end_is_ended(pod: Pod) -> None:
    server = pod.serve()
    watcher = pod.watch(waiting=QUICK)
    pod.is_started()
    watcher.terminate()
    server.send_signal(signal.SIGSTOP)
    is_ended(server)
    assert watcher.wait(10) == 0

"""The startup probe's question is held until the answer is yes, or for as long as the probe's period."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx

from llama_operator import listening
from llama_operator.api.sidecar import START_PATH
from tests.integration.sidecar.conftest import LOOK_SECONDS, Pod, eventually

LONG = 300.0
"""A wait that no test sits out."""


@contextmanager
def asking(pod: Pod, times: int = 1) -> Iterator[list[Future[int]]]:
    """So many at once ask whether the server has started; the statuses that they get."""

    def ask() -> int:
        return httpx.get(pod.address + START_PATH, trust_env=False, timeout=60).status_code

    with ThreadPoolExecutor(times) as pool:
        yield [pool.submit(ask) for _ in range(times)]


def is_watched(pod: Pod) -> None:
    """Looked at again: who has asked before is waiting by now."""
    before = len(pod.asked())

    def looked() -> None:
        assert len(pod.asked()) > before + 2

    eventually(looked)


def test_whoever_waits_is_told_when_the_first_request_is_answered(pod: Pod) -> None:
    pod.serve(health=503)
    pod.watch(wait=LONG)
    with asking(pod, listening.CONNECTIONS) as answers:
        is_watched(pod)
        assert not any(answer.done() for answer in answers)
        pod.be(health=200)
        assert [answer.result() for answer in answers] == [200] * listening.CONNECTIONS
    assert pod.asked().count("/completion") == 1


def test_a_no_is_held_for_as_long_as_the_period_and_no_longer(pod: Pod) -> None:
    pod.serve(completion=500)
    pod.watch(wait=1.0)
    begun = time.monotonic()
    assert httpx.get(pod.address + START_PATH, trust_env=False, timeout=60).status_code == 503
    assert time.monotonic() - begun >= 1.0


def test_after_a_restart_the_answer_is_about_the_new_process(pod: Pod) -> None:
    """The kubelet has started it before the sidecar has looked again, which the question makes it do."""
    first = pod.serve()
    pod.watch(wait=LONG, look=LONG)
    pod.is_started()
    first.kill()
    first.wait()
    with asking(pod) as (answer,):
        pod.serve(health=503)
        is_watched(pod)
        assert not answer.done()
        pod.be(health=200)
        assert answer.result() == 200
    assert pod.asked().count("/completion") == 1


def test_a_server_that_is_replaced_while_somebody_waits(pod: Pod) -> None:
    first = pod.serve(completion=500)
    pod.watch(wait=LONG)
    with asking(pod) as (answer,):
        is_watched(pod)
        first.kill()
        first.wait()
        pod.serve()
        assert answer.result() == 200
    assert pod.asked().count("/completion") == 1


def test_clients_that_hang_up_are_forgotten_after_the_wait(pod: Pod) -> None:
    pod.serve(health=503)
    pod.watch(wait=10 * LOOK_SECONDS)
    address = urlsplit(pod.address)
    for _ in range(listening.CONNECTIONS):
        with socket.create_connection((address.hostname, address.port)) as connection:
            connection.sendall(f"GET {START_PATH} HTTP/1.1\r\n\r\n".encode())
    pod.be(health=200)
    pod.is_started()


def test_a_sidecar_that_is_told_to_end_leaves_whoever_waits(pod: Pod) -> None:
    server = pod.serve(health=503)
    watcher = pod.watch(wait=LONG)
    with asking(pod) as (answer,):
        is_watched(pod)
        watcher.terminate()
        server.kill()
        server.wait()
        assert watcher.wait(10) == 0
        assert isinstance(answer.exception(), httpx.TransportError)

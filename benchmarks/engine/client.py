"""Stream completions and take the times. Runs beside the server, or in a pod: the standard library only.

In a pod it is `python -c`, with `{"routes": …}` or `{"first": …}` on stdin; the answer is JSON on stdout.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

PAUSE_SECONDS = 0.01
"""Between two tries while nobody answers."""


def completion(prompt: int, tokens: int) -> dict[str, Any]:
    """A request with a prompt of so many tokens, and an answer of exactly so many. Nothing of it is cached."""
    letters = [264 + number % 90 for number in range(prompt)]  # of the vocabulary of models.tiny_gguf
    return {"prompt": letters, "n_predict": tokens, "ignore_eos": True, "cache_prompt": False, "temperature": 0}


def ask(url: str, body: dict[str, Any], host: str = "") -> dict[str, float]:
    """llama-server's own `timings` of a completion. Raises OSError for any answer but 200."""
    with _posted(url, body, host) as answer:
        found: dict[str, float] = json.load(answer)["timings"]
        return found


def stream(url: str, body: dict[str, Any], host: str = "") -> dict[str, float]:
    """Seconds until the first token, and tokens per second after it, as the client sees them."""
    begun = time.perf_counter()
    times = list(_tokens(url, body, host))
    return {"first": times[0] - begun, "rate": (len(times) - 1) / (times[-1] - times[0])}


def first_token(url: str, body: dict[str, Any], seconds: float) -> float:
    """The time (`time.time`) of the first token that anybody sends. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            next(_tokens(url, body))
        except (OSError, http.client.HTTPException):
            time.sleep(PAUSE_SECONDS)
        else:
            return time.time()
    raise TimeoutError(f"no token from {url} within {seconds:.0f} s")


def _tokens(url: str, body: dict[str, Any], host: str = "") -> Iterator[float]:
    """When each token arrived."""
    with _posted(url, {**body, "stream": True}, host) as answer:
        for line in answer:
            if line.startswith(b"data: ") and not json.loads(line[6:])["stop"]:
                yield time.perf_counter()


def _posted(url: str, body: dict[str, Any], host: str) -> http.client.HTTPResponse:
    """A connection of its own for each request, as most clients make it."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120)
    headers = {"Content-Type": "application/json", "Connection": "close"} | ({"Host": host} if host else {})
    connection.request("POST", f"{parts.path}/completion", json.dumps(body), headers)
    answer = connection.getresponse()
    if answer.status != http.client.OK:
        answer.close()
        raise ConnectionError(f"{url}: status {answer.status}")
    return answer


def _rounds(routes: dict[str, tuple[str, str]], body: dict[str, Any], rounds: int) -> dict[str, list[dict[str, float]]]:
    """All routes (address, Host) in turn, again and again; the first round warms up and does not count."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in routes}
    for number in range(rounds + 1):
        for name, (url, host) in routes.items():
            measured = stream(url, body, host)
            if number:
                found[name].append(measured)
    return found


def main() -> None:
    asked = json.load(sys.stdin)
    if "routes" in asked:
        json.dump(_rounds(asked["routes"], asked["body"], asked["rounds"]), sys.stdout)
    else:
        json.dump(first_token(asked["first"], asked["body"], asked["seconds"]), sys.stdout)


if __name__ == "__main__":
    main()

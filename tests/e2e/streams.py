"""Runs anywhere with Python alone: clients that stream answers, one after the other, until stdin is closed.

    streams.py URL HOST CLIENTS

Each answer has a connection of its own. Prints a JSON line when every client has had its first answer, and in the end
one that counts them: `whole`, `broken` (begun, and cut off) and `failed` (refused, or not 200), with what was said
about the last two.
"""

import http.client
import json
import sys
import threading
import urllib.parse
from collections import Counter

TOKENS = 400
"""Of each answer. The test model does not stop by itself when it is told not to."""
QUESTION = {
    "messages": [{"role": "user", "content": "Hi"}],
    "stream": True,
    "max_tokens": TOKENS,
    "ignore_eos": True,
}
SILENCE_SECONDS = 120


class Clients:
    def __init__(self, url: str, host: str, number: int) -> None:
        self.url = urllib.parse.urlsplit(url)
        self.host = host
        self.over = threading.Event()
        self.counts: Counter[str] = Counter()
        self.troubles: list[str] = []
        self.begun = threading.Barrier(number + 1)
        self.threads = [threading.Thread(target=self._run) for _ in range(number)]

    def _run(self) -> None:
        first = True
        while not self.over.is_set():
            kind, said = self._ask()
            self.counts[kind] += 1
            if kind != "whole":
                self.troubles.append(f"{kind}: {said}")
                self.over.wait(0.5)  # a server that refuses is not to be asked a thousand times
            if first:
                first = False
                self.begun.wait()

    def _ask(self) -> tuple[str, str]:
        connection = http.client.HTTPConnection(self.url.hostname or "", self.url.port, timeout=SILENCE_SECONDS)
        begun = False
        try:
            headers = {"Content-Type": "application/json", "Connection": "close"}
            headers |= {"Host": self.host} if self.host else {}
            path = f"{self.url.path}/v1/chat/completions"
            connection.request("POST", path, json.dumps(QUESTION), headers)
            answer = connection.getresponse()
            if answer.status != 200:
                return "failed", f"{answer.status}: {answer.read(300)!r}"
            last = b""
            for line in answer:
                begun = True
                if line.startswith(b"data: "):
                    last = line.strip()
            return ("whole", "") if last == b"data: [DONE]" else ("broken", f"ends with {last[-200:]!r}")
        except (OSError, http.client.HTTPException) as error:
            return ("broken" if begun else "failed"), f"{type(error).__name__}: {error}"
        finally:
            connection.close()

    def run(self) -> None:
        for thread in self.threads:
            thread.start()
        self.begun.wait()
        _say({"begun": len(self.threads)})
        sys.stdin.read()
        self.over.set()
        for thread in self.threads:
            thread.join()
        counts = {name: self.counts[name] for name in ("whole", "broken", "failed")}
        _say({**counts, "troubles": self.troubles[:20]})


def _say(line: dict[str, object]) -> None:
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    Clients(sys.argv[1], sys.argv[2], int(sys.argv[3])).run()

#!/usr/bin/env python3
"""Ask a running llama-server everything that its clients ask, and say for each step whether the answer is right.

    python3 check_server.py http://localhost:8000

A step is one line: `ok`, `skipped` with the reason, or `FAILED` with what was got, what that means and what to do
next. The last line counts; the exit code is 0 when no step failed, else 1. Only the shape of answers is looked at,
so any model will do. Python 3.9 and its standard library are enough. It is one file, because it may come through
stdin: `kubectl exec -i POD -- python - URL <check_server.py`. Proxies of the environment are not used.
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import io
import json
import re
import socket
import ssl
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

TEXT = "Grüße, 世界 🦙"
CHAT = {"messages": [{"role": "user", "content": "Who are you?"}], "max_tokens": 32}
PROMPT = {"prompt": "Once upon a time", "max_tokens": 16}
CONNECT_SECONDS = 10.0
POLL_SECONDS = 0.5
TROUBLES: tuple[tuple[type[Exception], str], ...] = (
    (ssl.SSLCertVerificationError, "not trusted under this name; --ca FILE names the authority to trust"),
    (ssl.SSLError, "no TLS is spoken there; is it http:// instead?"),
    (socket.gaierror, "this name has no address; --connect-to IP:PORT goes there and keeps the name"),
    (ConnectionRefusedError, "nothing listens there; is it started, is its port published (docker run -p)?"),
    (socket.timeout, "no answer in time; a slow model (--timeout SECONDS), or http:// and https:// mixed up"),
    (Exception, "no HTTP is spoken there; it still starts, listens on its own loopback only, or wants https://"),
)
"""What the errors of a connection mean; the first that fits."""


class Problem(Exception):
    """A step failed: what was got, and what it means. `final`: no later step can do better."""

    def __init__(self, got: object, meaning: str, final: bool = False) -> None:
        super().__init__(f"{got}: {meaning}")
        self.final = final


class Skipped(Exception):
    """The server is not started for this step; the text says why."""


class Answer(NamedTuple):
    """What came back for one request, uncompressed."""

    status: int
    type: str
    location: str
    text: str

    def __str__(self) -> str:
        shown = " ".join(self.text.split())
        return f"status {self.status}, {self.type or 'no content type'}, {shown[:120]!r}{'…' * (len(shown) > 120)}"

    def good(self) -> Answer:
        """Itself, if its status is 200. Raises Problem or Skipped with what another status means here."""
        ours = self.text if self.type.startswith("application/json") else ""  # what llama-server says, not a proxy
        if self.status == 200:
            return self
        if "not_supported_error" in ours:
            raise Skipped(json.loads(ours)["error"]["message"])
        if self.status in (401, 403):
            raise Problem(self, "the server wants its API key; --api-key-file FILE has it read from a file", True)
        if self.location:
            raise Problem(self, f"redirected to {self.location}; give that address", True)
        if "Loading model" in ours:
            raise Problem(self, "the model is still being loaded; --wait SECONDS waits for it", True)
        if self.status in (502, 503, 504):
            raise Problem(self, "a proxy has no server behind it; is the container or pod up and ready?", True)
        if "not_found_error" in ours:
            raise Problem(self, "llama-server has no such path; does the address end in its --api-prefix, if any?")
        if self.status == 404:
            raise Problem(self, "no llama-server behind this name and path; is it the Ingress's? (--header 'Host: …')")
        raise Problem(self, "the server refused; its log says more")


class Server:
    """The server at one address. Every request has a connection of its own; `last` is the last answer."""

    def __init__(self, given: argparse.Namespace) -> None:
        url = urlsplit(given.url if "://" in given.url else f"http://{given.url}")
        secure = url.scheme == "https"
        self.name, self.port = url.hostname or "", url.port or (443 if secure else 80)
        self.prefix = url.path.rstrip("/")
        self.address = given.connect_to or (self.name, self.port)
        self.timeout, self.patience = given.timeout, given.wait
        self.trust = ssl.create_default_context(cafile=given.ca) if secure else None
        self.headers = {"Host": url.netloc.rpartition("@")[2], "Connection": "close", **dict(given.header)}
        if given.api_key_file:
            first, _, _ = given.api_key_file.read_text().strip().partition("\n")  # as llama-server's: one a line
            self.headers["Authorization"] = f"Bearer {first}"
        self.last = Answer(0, "", "", "")

    def ask(self, path: str, body: object = None, accept: str = "identity") -> Answer:
        """GET, or POST if there is a body, of a path below the prefix. Raises Problem when nothing comes back."""
        try:
            self.last = self._exchange(self.prefix + path, body, accept)
        except (OSError, http.client.HTTPException) as error:
            meaning = next(meaning for kind, meaning in TROUBLES if isinstance(error, kind))
            where = "{}:{}".format(*self.address)
            raise Problem(f"{where}: {str(error) or type(error).__name__}", meaning, True) from error
        return self.last

    def _exchange(self, path: str, body: object, accept: str) -> Answer:
        link = http.client.HTTPConnection(self.name, self.port)
        link.sock = socket.create_connection(self.address, CONNECT_SECONDS)
        try:
            if self.trust:
                link.sock = self.trust.wrap_socket(link.sock, server_hostname=self.name)
            link.sock.settimeout(self.timeout)
            data = None if body is None else json.dumps(body).encode()
            headers = {"Content-Type": "application/json", "Accept-Encoding": accept, **self.headers}
            link.request("GET" if data is None else "POST", path, data, headers)
            reply = link.getresponse()
            content = reply.read()
        finally:
            link.close()
        if reply.getheader("Content-Encoding") == "gzip":
            content = gzip.decompress(content)
        return Answer(
            reply.status,
            reply.getheader("Content-Type", ""),
            reply.getheader("Location", ""),
            content.decode(errors="replace"),
        )

    def api(self, path: str, body: object = None) -> Any:
        """The JSON of a good answer. Raises Problem for any other, Skipped where the server is in another mode."""
        answer = self.ask(path, body).good()
        if not answer.type.startswith("application/json"):
            raise Problem(answer, "not JSON: a proxy's page, or something else than llama-server is there", True)
        return json.loads(answer.text)

    def events(self, path: str, body: dict[str, Any]) -> list[str]:
        """The data of all server-sent events of a good answer."""
        answer = self.ask(path, {**body, "stream": True}).good()
        need(answer.type.startswith("text/event-stream"), answer, "a stream of text/event-stream was asked for")
        return [line[5:].strip() for line in answer.text.splitlines() if line.startswith("data:")]

    def stream(self, path: str, body: dict[str, Any]) -> list[Any]:
        """All choices of a stream of OpenAI's protocol, in order."""
        *data, end = self.events(path, body) or [""]
        need(end == "[DONE]", end, "the stream has to end with [DONE]; something cut it")
        choices = [choice for part in data for choice in json.loads(part)["choices"]]
        early = [choice for choice in choices[:-1] if choice["finish_reason"]]
        need(not early, early, "only the last piece may have a finish_reason")
        return choices


def need(condition: object, got: object, meaning: str) -> None:
    """Raise Problem unless the condition holds."""
    if not condition:
        raise Problem(got, meaning)


def spoken(message: Any) -> str:
    """What is said or thought in a message, or in a part of one."""
    return message.get("content") or message.get("reasoning_content") or ""


def finished(choice: Any, *texts: str) -> str:
    """Describe what a model has written, in one piece or many."""
    reason, length = choice["finish_reason"], len("".join(texts))
    need(reason in ("stop", "length"), reason, "finish_reason has to be stop or length")
    need(length, texts, "the model wrote nothing")
    return f"{length} characters{f' in {sum(map(bool, texts))} pieces' * (len(texts) > 1)}, finish_reason {reason}"


class Steps:
    """What is asked, one method each. All return a few words, or raise Problem or Skipped."""

    def __init__(self, server: Server) -> None:
        self.server, self.api = server, server.api
        self.reranks = False

    def health(self) -> str:
        deadline = time.monotonic() + self.server.patience
        while True:
            try:
                need(self.api("/health") == {"status": "ok"}, self.server.last, "not the answer of a llama-server")
                return "status ok"
            except Problem as problem:
                problem.final = True
                if time.monotonic() >= deadline:
                    raise
            time.sleep(POLL_SECONDS)  # between two tries; the deadline is above

    def models(self) -> str:
        told = self.api("/v1/models")
        names = [entry["id"] for entry in told["data"]]
        need(told["object"] == "list" and names, told, "a list with at least one model was expected")
        return f"serves {', '.join(names)}"

    def chat(self) -> str:
        choice = self.api("/v1/chat/completions", CHAT)["choices"][0]
        need(choice["message"]["role"] == "assistant", choice, "the answer has to be the assistant's")
        return finished(choice, spoken(choice["message"]))

    def chat_stream(self) -> str:
        choices = self.server.stream("/v1/chat/completions", CHAT)
        return finished(choices[-1], *[spoken(choice["delta"]) for choice in choices])

    def completion(self) -> str:
        choice = self.api("/v1/completions", PROMPT)["choices"][0]
        return finished(choice, choice["text"])

    def completion_stream(self) -> str:
        choices = self.server.stream("/v1/completions", PROMPT)
        return finished(choices[-1], *[choice["text"] for choice in choices])

    def props(self) -> str:
        told = self.api("/props")
        context, slots = told["default_generation_settings"]["n_ctx"], told["total_slots"]
        need(context > 0 and slots > 0, (context, slots), "context and slots have to be greater than 0")
        return f"{slots} slots of {context} tokens, build {told['build_info']}"

    def tokens(self) -> str:
        ids = self.api("/tokenize", {"content": TEXT})["tokens"]
        back = self.api("/detokenize", {"tokens": ids})["content"]
        if back.lstrip(" ") == TEXT:  # many vocabularies put a blank in front
            return f"{len(ids)} tokens and back to {TEXT!r}"
        again = self.api("/tokenize", {"content": back})["tokens"]  # a vocabulary that normalises does so only once
        need(ids and again == ids, back, f"{TEXT!r} did not survive; what changes it, a proxy on the way?")
        return f"{len(ids)} tokens; this vocabulary normalises {TEXT!r} to {back!r}"

    def web_ui(self) -> str:
        answer = self.server.ask("/", accept="gzip")
        if answer.status == 404 and self.api("/props").get("ui") is False:
            raise Skipped("the server was started without its web UI")
        page = answer.good()
        need(page.type.startswith("text/html") and "<!doctype html>" in page.text.lower(), page, "that is no page")
        names = sorted(set(re.findall(r"""(?:href=|src=|import\()["']([^"']+\.(?:js|css))["']""", page.text)))
        need(any(name.endswith(".js") for name in names), page, "it loads no program; a page that is not the UI's?")
        loaded = ", ".join(map(self.asset, names))
        return f"page with {loaded}{'; a browser needs the / behind the prefix' * bool(self.server.prefix)}"

    def asset(self, name: str) -> str:
        """Load what the page names, from where a browser would; its name."""
        base = f"{self.server.prefix}/"
        path = urljoin(base, name)
        need(path.startswith(base), name, f"lies outside of {base}; behind a proxy no browser will find it")
        got = self.server.ask(path[len(base) - 1 :], accept="gzip").good()
        kind = "javascript" if name.endswith(".js") else "text/css"
        need(kind in got.type and len(got.text) > 1000, f"{name}: {got}", f"{kind} of some length was expected")
        return name.rpartition("/")[2]

    def messages(self) -> str:
        told = self.api("/v1/messages", CHAT)
        kinds = {block["type"] for block in told["content"]}
        need(told["role"] == "assistant" and kinds & {"text", "thinking"}, told, "no message of the assistant")
        return f"{told['usage']['output_tokens']} tokens, stop_reason {told['stop_reason']}"

    def messages_stream(self) -> str:
        kinds = [json.loads(data)["type"] for data in self.server.events("/v1/messages", CHAT)]
        need(kinds[0] == "message_start" and kinds[-1] == "message_stop", kinds, "something cut the stream")
        return f"{kinds.count('content_block_delta')} pieces"

    def rerank(self) -> str:
        told = self.api("/v1/rerank", {"query": "What is a llama?", "documents": ["An animal.", "A city."]})
        scores = {entry["index"]: float(entry["relevance_score"]) for entry in told["results"]}
        need(set(scores) == {0, 1}, told, "a score for each of the two documents was expected")
        self.reranks = True
        return "2 scores"

    def embeddings(self) -> str:
        if self.reranks:
            raise Skipped("this server reranks, so its vectors mean nothing")
        vectors = [entry["embedding"] for entry in self.api("/v1/embeddings", {"input": ["one", "two"]})["data"]]
        sizes = [sum(isinstance(value, (int, float)) for value in vector) for vector in vectors]
        need(len(sizes) == 2 and sizes[0] == sizes[1] > 0, sizes, "two vectors of the same length were expected")
        return f"2 vectors of {sizes[0]} dimensions"


STEPS = {
    "/health": Steps.health,
    "/v1/models": Steps.models,
    "/v1/chat/completions": Steps.chat,
    "/v1/chat/completions, streaming": Steps.chat_stream,
    "/v1/completions": Steps.completion,
    "/v1/completions, streaming": Steps.completion_stream,
    "/props": Steps.props,
    "/tokenize, /detokenize": Steps.tokens,
    "web UI": Steps.web_ui,
    "/v1/messages": Steps.messages,
    "/v1/messages, streaming": Steps.messages_stream,
    "/v1/rerank": Steps.rerank,
    "/v1/embeddings": Steps.embeddings,
}


def check(server: Server) -> bool:
    """Do the steps, one line each, until none can pass any more; whether all went well."""
    said = {"ok": 0, "FAILED": 0, "skipped": 0}
    steps, final = Steps(server), False
    for name, step in STEPS.items():
        try:
            result, detail = "ok", step(steps)
        except Problem as problem:
            result, detail, final = "FAILED", str(problem), problem.final
        except Skipped as reason:
            result, detail = "skipped", str(reason)
        except (AttributeError, LookupError, TypeError, ValueError) as error:  # a field is missing or different
            result, detail = "FAILED", f"{server.last}: not what clients of this protocol expect ({error!r})"
        said[result] += 1
        print(f"{result:<8}{name:<34}{detail}", flush=True)
        if final:
            break
    left = len(STEPS) - sum(said.values())
    if left:
        print(f"skipped the other {left} steps: that failure comes first")
    print(f"{said['ok']} passed, {said['FAILED']} failed, {said['skipped'] + left} skipped")
    return not said["FAILED"]


def header(text: str) -> tuple[str, str]:
    name, value = text.split(":", 1)
    return name.strip(), value.strip()


def endpoint(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def main() -> int:
    parser = argparse.ArgumentParser(description="Check a running llama-server, one line for each step.")
    parser.add_argument("url", help="http://localhost:8000, say; with the path prefix, if there is one")
    parser.add_argument("--api-key-file", type=Path, metavar="FILE", help="file whose first line is an API key")
    parser.add_argument("--ca", metavar="FILE", help="certificates (PEM) to trust instead of the system's")
    parser.add_argument("--header", type=header, action="append", default=[], metavar="'NAME: VALUE'")
    parser.add_argument("--connect-to", type=endpoint, metavar="HOST:PORT", help="go there; keep the name of the URL")
    parser.add_argument("--timeout", type=float, default=120, metavar="SECONDS", help="for one answer (120)")
    parser.add_argument("--wait", type=float, default=0, metavar="SECONDS", help="until the server is healthy (0)")
    given = parser.parse_args()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may not know all that a model says
    return 0 if check(Server(given)) else 1


if __name__ == "__main__":
    sys.exit(main())

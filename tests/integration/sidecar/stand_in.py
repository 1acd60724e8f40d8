"""Run as a process: stands in for llama-server, and is whatever a test wants it to be (POST /be).

Its main thread computes or waits, as llama-server's does, and its HTTP threads answer meanwhile.
"""

from __future__ import annotations

import json
import mmap
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

state: dict[str, Any] = {
    "health": 200,
    "busy": 0,
    "counted": 0,
    "moves": False,  # the counters, with each question
    "spins": False,
    "completion": 200,
    "rubbish": False,
    "key": "",
    "model": "",  # path of a file that it maps
    "open": [],  # paths of other files
    "asked": [],
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path
        if path == "/asked":
            return self.say(200, state["asked"])
        state["asked"].append(path)
        if state["rubbish"]:
            return self.say(200, {"rubbish": [path]})
        if path == "/health":
            return self.say(state["health"], {"status": "ok"})
        if state["key"] and self.headers["Authorization"] != f"Bearer {state['key']}":
            return self.say(401, {})
        state["counted"] += state["moves"]
        if path == "/slots":
            tokens = [{"n_decoded": state["counted"]}]
            return self.say(200, [{"is_processing": bool(state["busy"]), "id_task": 1, "next_token": tokens}])
        if path == "/metrics":
            values = {"n_decode_total": state["counted"], "requests_processing": state["busy"], "requests_deferred": 0}
            return self.say(200, "".join(f"llamacpp:{name} {value}\n" for name, value in values.items()))
        if path == "/props":
            settings = {"default_generation_settings": {"n_ctx": 512}, "total_slots": 2}
            return self.say(200, {"build_info": "b1", "model_path": state["model"], **settings})
        if path == "/v1/models":
            return self.say(200, {"data": [{"meta": {"ftype": "Q4_0"}}]})
        return self.say(404, {})

    def do_POST(self) -> None:
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/be":
            state.update(said)
            return self.say(200, {})
        state["asked"].append(self.path)
        return self.say(state["completion"], {"content": "x"})

    def say(self, status: int, content: object) -> None:
        body = (content if isinstance(content, str) else json.dumps(content)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def main() -> None:
    state.update(json.loads(sys.argv[1]))
    for path in state["open"]:
        os.open(path, os.O_RDONLY)
    mapped = None
    if state["model"]:
        with open(state["model"], "rb") as model:
            mapped = mmap.mmap(model.fileno(), 0, access=mmap.ACCESS_READ)
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    while mapped is None or not mapped.closed:
        if not state["spins"]:
            time.sleep(0.5)


if __name__ == "__main__":
    main()

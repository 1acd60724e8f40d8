"""Runs in the cluster: serves model files, and stands in for the Hugging Face hub's download addresses.

/files/NAME                     the file
/big/NAME                       the file with zeros behind it, BIG bytes in all: GGUF does not mind
/held/KEY/NAME                  the same, but nothing of its second half before somebody has asked for /release/KEY
/slow/KEY/NAME                  the same, but its second half in small pieces, with a pause before each, until then
/short/NAME                     announces the whole length and closes after half of it
/secret/NAME                    redirects to the other host below; 401 without the header
/api/models/ORG/REPO/revision/REV  the names in LISTED, and the commit
/ORG/REPO/resolve/REV/FILE      redirects to the other host below, with the hub's headers; 401 for org `private`
                                without the token, 404 for a file that is not there
/cdn/NAME                       the file; 400 when the hub's token or the header was sent to this host

Each request is one line of JSON on stdout, and another one says how many bytes of a file were sent. Standard library
only: it runs in the operator's image.
"""

import hashlib
import json
import re
import signal
import sys
import threading
from collections import defaultdict
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

FOLDER = Path("/files")
PORT = 8080
TOKEN = "hf_end_to_end"
HEADER, KEY = "X-Files-Key", "open-sesame-for-files"
LISTED = {"tiny-F16.gguf": "tiny.gguf", "tiny-Q8_0.gguf": "other.gguf"}
"""Names at the hub, by which a quantization is found, and whose content that is."""
BIG = 32 << 20
PIECE = 1 << 18
PAUSE_SECONDS = 1.5
COMMIT = "0123456789abcdef0123456789abcdef01234567"
RANGE = re.compile(r"bytes=(?P<first>\d+)-(?P<last>\d*)")
LISTING = re.compile(r"/api/models/(?P<org>[^/]+)/[^/]+/revision/[^/]+")
RESOLVE = re.compile(r"/(?P<org>[^/]+)/[^/]+/resolve/[^/]+/(?P<file>[^/]+)")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cdn = ""
    released: ClassVar[defaultdict[str, threading.Event]] = defaultdict(threading.Event)

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = self.path.partition("?")[0]
        kind, _, name = path.strip("/").partition("/")
        hub, listing = RESOLVE.fullmatch(path), LISTING.fullmatch(path)
        if hub:
            self._hub(hub["org"], LISTED.get(hub["file"], hub["file"]))
        elif listing:
            self._list(listing["org"])
        elif kind == "secret" and (FOLDER / name).is_file():
            self._secret(name)
        elif kind == "cdn" and (self.headers.get("Authorization") or self.headers.get(HEADER)):
            self._say(400, "a token was sent to a host that it is not for")
        elif kind == "release":
            self.released[name].set()
            self._say(200, "released")
        elif kind in ("held", "slow") and (FOLDER / name.partition("/")[2]).is_file():
            key, _, name = name.partition("/")
            self._file(_big(name), until=self.released[key], pause=PAUSE_SECONDS if kind == "slow" else None)
        elif kind in ("files", "big", "short", "cdn") and (FOLDER / name).is_file():
            content = _big(name) if kind == "big" else (FOLDER / name).read_bytes()
            self._file(content, cut=kind == "short")
        else:
            self._say(404, "no such file")

    def _hub(self, org: str, name: str) -> None:
        if not self._may_read(org):
            self._say(401, "Invalid username or password.")
        elif not (FOLDER / name).is_file():
            self._say(404, "Entry not found")
        else:
            content = (FOLDER / name).read_bytes()
            linked = {"X-Linked-Etag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Linked-Size": str(len(content))}
            self._redirect(name, {"X-Repo-Commit": COMMIT, **linked})

    def _list(self, org: str) -> None:
        if self._may_read(org):
            self._say(200, json.dumps({"sha": COMMIT, "siblings": [{"rfilename": name} for name in LISTED]}))
        else:
            self._say(401, "Invalid username or password.")

    def _may_read(self, org: str) -> bool:
        return org != "private" or self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _secret(self, name: str) -> None:
        if self.headers.get(HEADER) == KEY:
            self._redirect(name, {})
        else:
            self._say(401, "not without the key")

    def _redirect(self, name: str, headers: Mapping[str, str]) -> None:
        self.send_response(302)
        for header, value in {"Location": f"{self.cdn}/cdn/{name}", "Content-Length": "0", **headers}.items():
            self.send_header(header, value)
        self.end_headers()

    def _file(
        self, content: bytes, cut: bool = False, until: threading.Event | None = None, pause: float | None = None
    ) -> None:
        """`cut`: half of it, and then the end. `until`: nothing of the second half before that, or with a `pause`, in
        seconds, before each piece of it."""
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        asked = RANGE.fullmatch(self.headers.get("Range", ""))
        if asked and self.headers.get("If-Range", etag) == etag:
            first, last = int(asked["first"]), min(int(asked["last"] or len(content)), len(content) - 1)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        else:
            first, last = 0, len(content) - 1
            self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(last + 1 - first))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", etag)
        self.end_headers()
        if self.command == "GET":
            self._body(content, first, last + 1 if not cut else len(content) // 2, until, pause)
        self.close_connection = cut

    def _body(self, content: bytes, at: int, end: int, until: threading.Event | None, pause: float | None) -> None:
        begin = at
        try:
            while at < end:
                if until and at >= len(content) // 2:
                    if begin < at:
                        # Now: a client whose pod is gone is noticed only after minutes.
                        _say({"path": self.path, "sent": at - begin})
                        begin = at
                    until.wait(pause)
                piece = content[at : min(at + PIECE, end)]
                self.wfile.write(piece)
                at += len(piece)
        except ConnectionError:
            self.close_connection = True
        finally:
            _say({"path": self.path, "sent": at - begin})

    def _say(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        line = {"method": self.command, "path": self.path, "host": self.headers.get("Host"), "status": int(str(code))}
        _say(line)

    def log_message(self, *_: object) -> None:
        """Nothing else in the log: the lines above are read by the tests."""


def _say(line: Mapping[str, object]) -> None:
    # In one write: requests are answered at the same time, and print() writes the end of the line separately.
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _big(name: str) -> bytes:
    return (FOLDER / name).read_bytes().ljust(BIG, b"\0")


def main() -> None:
    Handler.cdn = sys.argv[1]
    # As process 1 of the container it would otherwise not hear SIGTERM.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ThreadingHTTPServer(("", PORT), Handler).serve_forever()


if __name__ == "__main__":
    main()

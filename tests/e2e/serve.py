"""Runs in the cluster: serves model files, and stands in for the Hugging Face hub's download addresses.

/files/NAME                     the file
/short/NAME                     announces the whole length and closes after half of it
/ORG/REPO/resolve/REV/FILE      redirects to the other host below, with the hub's headers; 401 for org `private`
                                without the token, 404 for a file that is not there
/cdn/NAME                       the file; 400 when the hub's token was sent to this host

Each request is one line of JSON on stdout. Standard library only: it runs in the operator's image.
"""

import hashlib
import json
import re
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FOLDER = Path("/files")
PORT = 8080
TOKEN = "hf_end_to_end"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
RESOLVE = re.compile(r"/(?P<org>[^/]+)/[^/]+/resolve/[^/]+/(?P<file>[^/]+)")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cdn = ""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = self.path.partition("?")[0]
        kind, _, name = path.strip("/").partition("/")
        hub = RESOLVE.fullmatch(path)
        if hub:
            self._hub(hub["org"], hub["file"])
        elif kind == "cdn" and self.headers.get("Authorization"):
            self._refuse(400, "a token was sent to a host that it is not for")
        elif kind in ("files", "short", "cdn") and (FOLDER / name).is_file():
            self._file(name, cut=kind == "short")
        else:
            self._refuse(404, "no such file")

    def _hub(self, org: str, name: str) -> None:
        if org == "private" and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._refuse(401, "Invalid username or password.")
        elif not (FOLDER / name).is_file():
            self._refuse(404, "Entry not found")
        else:
            content = (FOLDER / name).read_bytes()
            self.send_response(302)
            self.send_header("Location", f"{self.cdn}/cdn/{name}")
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("X-Linked-Etag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Linked-Size", str(len(content)))
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _file(self, name: str, cut: bool) -> None:
        content = (FOLDER / name).read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content[: len(content) // 2] if cut else content)
        self.close_connection = cut

    def _refuse(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        line = {"method": self.command, "path": self.path, "host": self.headers.get("Host"), "status": int(str(code))}
        # In one write: requests are answered at the same time, and print() writes the end of the line separately.
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()

    def log_message(self, *_: object) -> None:
        """Nothing else in the log: the lines above are read by the tests."""


def main() -> None:
    Handler.cdn = sys.argv[1]
    # As process 1 of the container it would otherwise not hear SIGTERM.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ThreadingHTTPServer(("", PORT), Handler).serve_forever()


if __name__ == "__main__":
    main()

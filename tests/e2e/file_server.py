"""The file server in the cluster (`serve`), as the tests see it: what to download from it, and what it was asked."""

from __future__ import annotations

import json
from dataclasses import dataclass

from demo import files
from tests.e2e import model_files, serve
from tests.e2e.routes import ThroughService
from tests.e2e.witness import Object, Witness

SERVER = "files"


@dataclass(frozen=True)
class FileServer:
    """The file server in the cluster, and what it serves."""

    witness: Witness
    namespace: str
    content: dict[str, bytes]

    @property
    def address(self) -> str:
        return f"http://{SERVER}.{self.namespace}.svc:{files.PORT}"

    def source(self, name: str = "tiny.gguf", sha256: str | None = "") -> Object:
        """`spec.source` for a file; with its true digest unless another, or None, is given."""
        digest = model_files.sha256(self.content[name]) if sha256 == "" else sha256
        url = {"url": f"{self.address}/files/{name}"}
        return {"url": url | ({"sha256": digest} if digest else {})}

    def pod(self) -> str:
        pods = self.witness.all("Pod", self.namespace, f"app={SERVER}")
        return next(str(pod["metadata"]["name"]) for pod in pods if "deletionTimestamp" not in pod["metadata"])

    def big(self, name: str = "tiny.gguf", held: str = "", slow: str = "") -> Object:
        """`spec.source` for the file made big, with its digest; by this key `held` in the middle, or `slow` from it."""
        kind = f"held/{held}" if held else f"slow/{slow}" if slow else "big"
        digest = model_files.sha256(self.content[name].ljust(serve.BIG, b"\0"))
        return {"url": {"url": f"{self.address}/{kind}/{name}", "sha256": digest}}

    def release(self, key: str) -> None:
        ThroughService(self.address, self.namespace, self.pod())(f"/release/{key}")

    def requests(self, path: str, method: str = "GET") -> int:
        """How often a path was asked for."""
        return sum(line["path"] == path and line.get("method") == method for line in self._log())

    def sent(self, path: str) -> int:
        """Bytes of this path that have gone out in all answers which have ended."""
        return sum(line.get("sent", 0) for line in self._log() if line["path"] == path)

    def _log(self) -> list[Object]:
        log = self.witness.log(self.pod(), self.namespace).splitlines()
        # Between the requests stands what Python's server says of clients that hung up.
        return [json.loads(line) for line in log if line.startswith("{")]

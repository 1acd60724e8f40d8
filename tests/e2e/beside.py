"""Code that runs in the sidecar of a pod: it shares the process namespace with llama-server, and has Python."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from demo.cluster import StepError, kubectl
from llama_operator.api.sidecar import FACTS_PATH, PORT, Facts
from tests.e2e.witness import Model, Object, Witness

SIGNAL = """
import os, signal, time
from llama_operator.sidecar import process
os.kill(process.find(8000).process.pid, signal.{name})
print(int(time.time()))
"""
SIDECAR = """
from contextlib import suppress
from pathlib import Path
found = []
for path in Path("/proc").glob("[0-9]*/cmdline"):
    with suppress(OSError):  # the process has ended since it was listed
        if b"\\0-m\\0llama_operator.sidecar\\0" in path.read_bytes():
            found.append(path.parent.name)
(pid,) = found
"""
KILL = f"{SIDECAR}\nimport os\nos.kill(int(pid), 9)"
USES = f"""{SIDECAR}
import os
fields = Path(f"/proc/{{pid}}/stat").read_text().rpartition(")")[2].split()
resident = int(Path(f"/proc/{{pid}}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
ticks, hertz = int(fields[11]) + int(fields[12]), os.sysconf("SC_CLK_TCK")
print(resident, ticks / hertz, float(Path("/proc/uptime").read_text().split()[0]) - int(fields[19]) / hertz)
"""
ASK = f"import urllib.request as r; print(r.urlopen('http://127.0.0.1:{PORT}{FACTS_PATH}').read().decode())"


@dataclass(frozen=True)
class Pod:
    """A pod of a model, by name."""

    witness: Witness
    namespace: str
    name: str

    def read(self) -> Object:
        found = self.witness.get("Pod", self.name, self.namespace)
        assert found is not None, f"pod {self.name} does not exist"
        return found

    def run(self, code: str) -> str:
        """In the sidecar."""
        return kubectl("exec", "-n", self.namespace, self.name, "-c", "sidecar", "--", "python", "-c", code, timeout=60)

    def signal(self, name: str) -> int:
        """Send llama-server a signal; the time by the node's clock, in seconds."""
        return int(self.run(SIGNAL.format(name=name)))

    def facts(self) -> Facts:
        """What the sidecar tells now. AssertionError while it does not answer, as in its first second."""
        try:
            said = self.run(ASK)
        except StepError as error:
            raise AssertionError(f"the sidecar does not answer: {error}") from error
        return msgspec.json.decode(said, type=Facts)

    def container(self, name: str) -> Object:
        """Its status. AssertionError while the kubelet has written none."""
        status = self.read()["status"]
        every = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
        found = [dict(each) for each in every if each["name"] == name]
        assert found, f"pod {self.name} has no status of {name} yet"
        return found[0]


def pod_of(model: Model) -> Pod:
    """The model's only pod."""
    (found,) = model.pods()
    return Pod(model.witness, model.namespace, found["metadata"]["name"])

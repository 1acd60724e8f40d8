"""A look into a volume, by a pod that stays beside the models: what is on it, and how old it is."""

from __future__ import annotations

import json
from dataclasses import dataclass

from demo.cluster import kubectl
from tests.e2e.conftest import SERVER, FileServer
from tests.e2e.witness import Object, eventually

_LIST = """
import json, pathlib
root = pathlib.Path("/target")
print(json.dumps({
    "files": sorted(p.parent.name for p in root.glob("sha256/*/[!.]*")),
    "links": sorted(p.name for p in root.iterdir() if p.is_symlink()),
}))
"""
_AGE = """
import os, pathlib, time
for path in [*pathlib.Path("/target").rglob("*")]:
    if path.name != "lock" and not path.is_dir():
        os.utime(path, (time.time() - 7200,) * 2, follow_symlinks=False)
"""


@dataclass(frozen=True)
class Volume:
    """A claim that exists, and the pod that looks into it."""

    server: FileServer
    claim: str

    def mount(self) -> None:
        self.server.witness.apply(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": self.claim, "namespace": self.server.namespace},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "200Mi"}}},
            }
        )
        self.server.witness.apply(self._pod())

        def running() -> None:
            pod = self.server.witness.get("Pod", self.claim, self.server.namespace)
            assert pod is not None
            assert pod["status"]["phase"] == "Running", pod["status"]

        eventually(running, timeout=120)

    def remove(self) -> None:
        self.server.witness.delete("Pod", self.claim, self.server.namespace)
        self.server.witness.delete("PersistentVolumeClaim", self.claim, self.server.namespace)

    def files(self) -> list[str]:
        """Digests of the files that are published on it."""
        return list(self._told()["files"])

    def links(self) -> list[str]:
        return list(self._told()["links"])

    def age(self) -> None:
        """Make everything on it two hours old."""
        self._python(_AGE)

    def _told(self) -> Object:
        told: Object = json.loads(self._python(_LIST))
        return told

    def _python(self, code: str) -> str:
        return kubectl("exec", "-n", self.server.namespace, self.claim, "--", "python", "-c", code)

    def _pod(self) -> Object:
        deployment = self.server.witness.get("Deployment", SERVER, self.server.namespace)
        assert deployment is not None
        spec: Object = json.loads(json.dumps(deployment["spec"]["template"]["spec"]))
        spec["securityContext"]["fsGroup"] = 65532
        spec["volumes"].append({"name": "target", "persistentVolumeClaim": {"claimName": self.claim}})
        spec["containers"][0]["volumeMounts"].append({"name": "target", "mountPath": "/target"})
        meta = {"name": self.claim, "namespace": self.server.namespace}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}

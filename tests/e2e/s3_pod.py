"""An S3 server in the cluster, versitygw: its program is put into a pod of the operator's image.

The pod waits for it at a pipe, which is made by whoever comes first. Its bucket has the tiny model.
"""

from __future__ import annotations

import base64
import gzip
import json

from demo import cluster, files
from ground import binaries
from tests.e2e.conftest import SERVER, FileServer
from tests.e2e.witness import eventually

NAME, BUCKET, REGION = "s3", "models", "eu-test-1"
ACCESS_KEY, SECRET_KEY = "access-key-end-to-end", "secret-key-end-to-end"
_PIPE = """
import contextlib, os
with contextlib.suppress(FileExistsError):
    os.mkfifo("/data/ready")
"""
_RUN = f"""{_PIPE}
import shutil
os.makedirs("/data/buckets/{BUCKET}/llms")
os.mkdir("/data/metadata")
shutil.copyfile("{files.FOLDER}/tiny.gguf", "/data/buckets/{BUCKET}/llms/tiny.gguf")
open("/data/ready").read()
os.chdir("/data")
os.execv("/data/versitygw", [
    "versitygw", "--port=:{files.PORT}", "--access={ACCESS_KEY}", "--secret={SECRET_KEY}", "--region={REGION}",
    "posix", "--sidecar=/data/metadata", "/data/buckets",
])
"""
_PUT = f"""{_PIPE}
import base64, gzip, sys
open("/data/versitygw", "wb").write(gzip.decompress(base64.b64decode(sys.stdin.read())))
os.chmod("/data/versitygw", 0o755)
os.close(os.open("/data/ready", os.O_WRONLY))
"""


def start(server: FileServer) -> str:
    """Make pod and Service, wait until it listens, and return its address. The program is built if it has to be."""
    program = binaries.ensure("versitygw")["versitygw"].read_bytes()
    deployment = server.witness.get("Deployment", SERVER, server.namespace)
    assert deployment is not None
    spec = json.loads(json.dumps(deployment["spec"]["template"]["spec"]))
    spec["securityContext"]["fsGroup"] = files.USER
    spec["volumes"].append({"name": "data", "emptyDir": {}})
    spec["containers"][0]["command"] = ["python", "-c", _RUN]
    spec["containers"][0]["volumeMounts"].append({"name": "data", "mountPath": "/data"})
    meta = {"name": NAME, "namespace": server.namespace, "labels": {"app": NAME}}
    ports = [{"name": "http", "port": files.PORT, "targetPort": "http"}]
    cluster.apply(
        [
            {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec},
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": meta,
                "spec": {"selector": {"app": NAME}, "ports": ports},
            },
        ]
    )

    def running() -> None:
        pod = server.witness.get("Pod", NAME, server.namespace)
        assert pod is not None
        assert pod["status"].get("phase") == "Running", pod["status"]

    eventually(running, timeout=120)
    packed = base64.b64encode(gzip.compress(program, 1)).decode()
    cluster.kubectl("exec", "-i", NAME, "-n", server.namespace, "--", "python", "-c", _PUT, stdin=packed)
    cluster.kubectl("wait", f"pod/{NAME}", "--for=condition=Ready", "-n", server.namespace, "--timeout=60s")
    return f"http://{NAME}.{server.namespace}.svc:{files.PORT}"


def remove(server: FileServer) -> None:
    for kind in ("Pod", "Service"):
        server.witness.delete(kind, NAME, server.namespace)

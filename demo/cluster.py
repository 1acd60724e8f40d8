"""The project's own cluster, used the way anybody would: the ground's command line, kubectl and helm."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ground.paths import BIN, KUBECONFIG, REPO

OPERATOR_NAMESPACE = "llama-operator"
RELEASE = "llama-operator"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
"""Labels of a namespace that refuses every pod which is not hardened."""


class StepError(Exception):
    """A step went wrong; `hint` is what the person can do now."""

    def __init__(self, what: str, hint: str) -> None:
        self.hint = hint
        super().__init__(what)


def ground(*arguments: str) -> str:
    """Run `python -m ground …`: its progress goes to the terminal, what it prints on stdout is returned."""
    command = [sys.executable, "-m", "ground", *arguments]
    done = subprocess.run(command, cwd=REPO, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        said = " ".join(["python -m ground", *arguments])
        raise StepError(f"`{said}` failed; its own words are above", "`make doctor` tells what is missing here")
    return done.stdout


def build(*names: str) -> dict[str, str]:
    """Build images and return their references by name; the tag is the hash of what went into the image."""
    references = ground("build", *names).split()
    return dict(zip(names, references, strict=True))


def environment() -> dict[str, str]:
    """Environment in which kubectl and helm find each other and the cluster."""
    path = f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**os.environ, "KUBECONFIG": str(KUBECONFIG), "PATH": path}


def tool(name: str, *arguments: str, stdin: str | None = None, timeout: float = 600) -> str:
    """Run a tool of the ground (kubectl, helm) and return its stdout; `timeout` is in seconds."""
    command = [str(BIN / name), *arguments]
    try:
        done = subprocess.run(
            command,
            input=stdin or "",  # without input the tool must not wait for the terminal
            env=environment(),
            cwd=REPO,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
    except FileNotFoundError as error:
        raise StepError(f"{command[0]} does not exist", "`make cluster` puts it there") from error
    except subprocess.TimeoutExpired as error:
        raise StepError(
            f"`{name} {arguments[0]}` did not end within {timeout:.0f} s",
            "`kubectl get pods -A` shows what the cluster is busy with",
        ) from error
    if done.returncode != 0:
        raise StepError(
            f"`{' '.join([name, *arguments])}` failed:\n{done.stderr.strip()}",
            "`kubectl get pods -A` and `kubectl get events -A` show what the cluster does",
        )
    return done.stdout


def kubectl(*arguments: str, stdin: str | None = None, timeout: float = 600) -> str:
    """Run kubectl against the project's cluster. Raises StepError with what it said."""
    return tool("kubectl", *arguments, stdin=stdin, timeout=timeout)


def apply(objects: Sequence[dict[str, Any]]) -> None:
    """Create or update objects (server-side: a model file is too large for the annotation of client-side apply)."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
    kubectl("apply", "--server-side", "--force-conflicts", "--field-manager=demo", "-f", "-", stdin=text)


def namespace(name: str, labels: dict[str, str] | None = None) -> dict[str, Any]:
    """Manifest of a namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels or {}}}


def install(
    images: dict[str, str],
    chart: Path = REPO / "charts" / "llama-operator",
    values: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Install or upgrade the operator with helm, in a namespace that enforces PodSecurity `restricted`.

    `values` of the chart are as `helm --set` reads them.
    """
    apply([namespace(OPERATOR_NAMESPACE, RESTRICTED)])
    command = ["upgrade", "--install", RELEASE, str(chart), "--namespace", OPERATOR_NAMESPACE, "--wait"]
    command += ["--timeout", "5m"]
    for key, image in (("image", "operator"), ("serverImages.cpu", "llama-server")):
        repository, _, tag = images[image].rpartition(":")
        command += ["--set", f"{key}.repository={repository}", "--set", f"{key}.tag={tag}"]
    for key, value in values.items():
        command += ["--set", f"{key}={value}"]
    tool("helm", *command)

"""What goes into the operator's image, as far as files tell without building it."""

import tomllib
from pathlib import Path
from typing import Any

from ground import context

REPO = Path(__file__).resolve().parents[3]
DOCKERFILE = (REPO / "images" / "operator" / "Dockerfile").read_text()


def dependencies() -> set[str]:
    """Names of all packages that the lock installs without the groups for development."""
    lock: dict[str, Any] = tomllib.loads((REPO / "uv.lock").read_text())
    needs = {entry["name"]: entry.get("dependencies", []) for entry in lock["package"]}
    found, todo = set(), ["llama-operator"]
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += [dependency["name"] for dependency in needs[name]]
    return found


def test_no_kubernetes_client_is_installed() -> None:
    """kopf imports one wherever it finds one: tens of MiB of memory for nothing."""
    assert {"kopf", "httpx", "msgspec"} <= dependencies()
    assert not dependencies() & {"kubernetes", "kubernetes-asyncio", "pykube-ng", "lightkube", "pydantic", "pytest"}


def test_context_is_what_the_dockerfile_copies() -> None:
    sent = set(context.files(REPO, context.parse((REPO / ".dockerignore").read_text())))
    package = {path for path in sent if path.startswith("operator/llama_operator/")}
    assert {f"operator/llama_operator/{file}" for file in ("__init__.py", "flags/builds/0c1e57098.json")} <= package
    assert sent - package == {"pyproject.toml", "uv.lock"}
    assert not any("__pycache__" in path or path.endswith(".pyc") for path in sent)


def test_version_is_the_projects() -> None:
    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    assert f'org.opencontainers.image.version="{project["version"]}"' in DOCKERFILE


def test_runs_as_the_user_that_the_chart_names() -> None:
    assert "\nUSER 65532:65532\n" in DOCKERFILE

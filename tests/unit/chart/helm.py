"""helm, as the tests of the chart use it: to render, without any cluster."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]

REPO = Path(__file__).resolve().parents[3]
CHART = REPO / "charts" / "llama-operator"
NAMESPACE = "llama-operator"


class Helm:
    """Renders the chart for one version of Kubernetes, as release `llama-operator`; the same values only once."""

    def __init__(self, program: Path, scratch: Path) -> None:
        self._program = program
        self._scratch = scratch
        self._rendered: dict[str, subprocess.CompletedProcess[str]] = {}

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([self._program, *arguments], capture_output=True, text=True, timeout=60)

    def template(self, values: Object | None = None, chart: Path = CHART) -> subprocess.CompletedProcess[str]:
        """`helm template` with these values instead of the defaults."""
        key = json.dumps([str(chart), values or {}])
        if key not in self._rendered:
            file = self._scratch / "values.json"
            file.write_text(json.dumps(values or {}))
            target = ["llama-operator", str(chart), "--namespace", NAMESPACE, "--kube-version", "1.34.0"]
            self._rendered[key] = self("template", *target, "--values", str(file))
        return self._rendered[key]

    def objects(self, values: Object | None = None, chart: Path = CHART) -> list[Object]:
        """All objects of the release, `helm test`'s included."""
        done = self.template(values, chart)
        assert done.returncode == 0, done.stderr
        return [obj for obj in yaml.safe_load_all(done.stdout) if obj]

    def one(self, kind: str, values: Object | None = None, *, test: bool = False) -> Object:
        """The only object of its kind, among those of `helm test` or among the others."""
        (found,) = (obj for obj in self.objects(values) if obj["kind"] == kind and is_test(obj) == test)
        return found

    def notes(self, values: Object | None = None) -> str:
        """NOTES.txt as an installation would print it; `helm template` leaves it out, so a ConfigMap carries it."""
        copy = self._scratch / "chart"
        if not copy.exists():
            shutil.copytree(CHART, copy)
            shutil.move(copy / "templates" / "NOTES.txt", copy / "notes.txt")
            (copy / "templates" / "notes.yaml").write_text(
                '{apiVersion: v1, kind: ConfigMap, data: {notes: {{ tpl (.Files.Get "notes.txt") . | toJson }}}}'
            )
        (found,) = (obj for obj in self.objects(values, copy) if obj["kind"] == "ConfigMap")
        notes: str = found["data"]["notes"]
        return notes


def is_test(obj: Object) -> bool:
    """Whether an object exists for `helm test` alone."""
    return "helm.sh/hook" in obj["metadata"].get("annotations", {})

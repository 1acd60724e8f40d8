"""Derive the chart's files that have their truth elsewhere: the CRDs, the example in NOTES.txt, README.md's table.

`make generate` writes them; a test fails when one of them is not current.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

REPO = Path(__file__).resolve().parent.parent
CHART = REPO / "charts" / "llama-operator"
EXAMPLE = REPO / "examples" / "02-hugging-face.yaml"
BEGIN, END = "<!-- values: written by hack/chart.py -->\n", "<!-- end of values -->\n"


@dataclass(frozen=True)
class Value:
    """One value of the chart that has a comment of its own."""

    path: str
    default: str
    comment: str


def outputs() -> dict[Path, str]:
    """What each derived file has to hold."""
    files = {CHART / "files" / "crds" / crd.name: crd.read_text() for crd in sorted((REPO / "crds").glob("*.yaml"))}
    files[CHART / "files" / "example.yaml"] = EXAMPLE.read_text()
    readme = CHART / "README.md"
    files[readme] = with_table(readme.read_text(), (CHART / "values.yaml").read_text())
    return files


def with_table(readme: str, values: str) -> str:
    """The README with the table of values between its two marks. Raises ValueError when a mark is missing."""
    head, table = readme.index(BEGIN) + len(BEGIN), readme.index(END)
    return readme[:head] + "".join(_table(list(documented(values)))) + readme[table:]


def documented(values: str) -> Iterator[Value]:
    """The values in values.yaml behind a comment that begins with `# --`, in the file's order."""
    tree = yaml.safe_load(values)
    parents: list[str] = []
    comment = ""
    for line in values.splitlines():
        if said := re.match(r" *# -- (.+)", line):
            comment = said[1]
        elif key := re.match(r"( *)(\w+):", line):
            parents = [*parents[: len(key[1]) // 2], key[2]]
            if comment:
                yield Value(".".join(parents), _default(tree, parents), comment)
            comment = ""


def _default(tree: object, path: list[str]) -> str:
    for key in path:
        assert isinstance(tree, dict)
        tree = tree[key]
    return yaml.safe_dump(tree, default_flow_style=True, width=1000).removesuffix("...\n").strip()


def _table(values: list[Value]) -> Iterator[str]:
    yield "| value | default | |\n"
    yield "|---|---|---|\n"
    for value in values:
        yield f"| `{value.path}` | `{value.default}` | {value.comment} |\n"


def main() -> None:
    """Write them."""
    for path, text in outputs().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()

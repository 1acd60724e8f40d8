"""docs/api.md is current and complete."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from hack import crd_docs
from llama_operator.api.conditions import Reason, Type
from tests.unit.resources.models import EXAMPLES


def test_the_page_is_current() -> None:
    assert crd_docs.PAGE.read_text() == crd_docs.render(), "run `make generate`"


def test_every_type_and_every_reason_is_told_once() -> None:
    known = yaml.safe_load(crd_docs.REASONS.read_text())
    told = [reason for reasons in known["reasons"].values() for reason in reasons]
    assert sorted(told) == sorted(map(str, Reason))
    assert known["types"].keys() == {str(type_) for type_ in Type}
    assert known["reasons"].keys() <= known["types"].keys()
    for reasons in known["reasons"].values():
        for reason, (means, act) in reasons.items():
            assert [text[-1] for text in (means, act)] == [".", "."], reason


def test_links_lead_somewhere() -> None:
    page = crd_docs.render()
    headings = {crd_docs.anchor(heading) for heading in re.findall(r"^## (.+)$", page, re.MULTILINE)}
    links = set(re.findall(r"\]\((#[^)]*)\)", page))
    assert links
    assert links <= headings


def test_every_rule_of_the_crd_is_told() -> None:
    page = crd_docs.render()
    messages = list(rules(yaml.safe_load(crd_docs.CRD.read_text())))
    assert len(messages) > 50
    assert [message for message in messages if message not in page] == []


def rules(tree: Any) -> Iterator[str]:
    """Messages of all CEL rules below."""
    if isinstance(tree, dict):
        yield from (rule["message"] for rule in tree.get("x-kubernetes-validations", []))
    for inner in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else []:
        yield from rules(inner)


def test_what_is_the_same_in_several_places_is_told_once() -> None:
    page = crd_docs.render()
    assert re.findall(r"^## (.*\.s3)$", page, re.MULTILINE) == ["spec.source.s3"]
    assert page.count("[`source`](#specsource)") == 4


def test_every_example_is_listed() -> None:
    listed = re.findall(
        r"^\| \[(.+?)\]\((.+?)\) \|", (crd_docs.REPO / "examples" / "README.md").read_text(), re.MULTILINE
    )
    assert [name for name, link in listed if name == link] == [path.name for path in EXAMPLES]

"""The changelog tells users whether an upgrade replaces the pods of their models, and is right about it."""

from __future__ import annotations

import re
from pathlib import Path

from llama_operator.api.types import parse
from llama_operator.constants import APPLIED_HASH
from llama_operator.resources import build
from llama_operator.resources.metadata import digest
from tests.unit.resources.models import CONFIG, EXAMPLES, example

CHANGELOG = Path("CHANGELOG.md")


def test_the_newest_entry_has_the_pod_templates_fingerprint() -> None:
    """Over all examples. Who changes it replaces every pod of every user; say in the entry why that is worth it."""
    versions = [
        child["spec"]["template"]["metadata"]["annotations"][APPLIED_HASH]
        for path in EXAMPLES
        for child in build(parse(example(path)), CONFIG)
        if child["kind"] == "Deployment"
    ]
    newest = CHANGELOG.read_text().split("\n## ")[1]
    told = re.search(r"^Pod template: `(\w+)`", newest, re.MULTILINE)
    assert told, "the newest entry must have a line 'Pod template: `…`'"
    assert told[1] == digest(versions)

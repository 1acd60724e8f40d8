"""The children of each example, and the Job that stages ahead where there can be one: as text, reviewed by a person.

`UPDATE_GOLDEN=1 pytest tests/unit/resources/test_golden.py` writes them anew; read the difference before committing it.
A change here rolls every model of every user when they upgrade the operator.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from llama_operator.api.types import parse
from llama_operator.resources import build
from llama_operator.resources.job import stage_job
from tests.unit.resources.models import CONFIG, EXAMPLES, example

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_children_of_the_example(path: Path) -> None:
    model = parse(example(path))
    children = build(model, CONFIG) + ([stage_job(model, CONFIG)] if model.spec.storage else [])
    text = yaml.safe_dump_all(children, sort_keys=False, width=110, explicit_start=True)
    file = GOLDEN / path.name
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text)
        pytest.skip(f"wrote {file}")
    assert text == file.read_text()


def test_there_is_no_golden_file_without_an_example() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == {path.name for path in EXAMPLES}

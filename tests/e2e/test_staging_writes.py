"""What a long download costs the API server: its progress is told, but seldom."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e import audit
from tests.e2e.conftest import FileServer
from tests.e2e.test_staging import staging
from tests.e2e.witness import Model, Object, Witness

pytestmark = pytest.mark.e2e

WINDOW_SECONDS = 40


def _about(model: Model, call: Object) -> bool:
    target = call.get("objectRef", {})
    return (target.get("namespace"), target.get("name")) == (model.namespace, model.name)


def test_progress_is_written_at_most_every_ten_seconds(
    new_model: Callable[[str], Model], witness: Witness, files_in_cluster: FileServer
) -> None:
    server, model = files_in_cluster, new_model("slowly")
    model.apply(source=server.big(slow="slowly"))
    before, events, since = staging(model, share=45), model.events(), audit.now()
    seen = witness.watch_models(model.namespace, WINDOW_SECONDS)
    writes = audit.writes([call for call in audit.calls(since) if _about(model, call)])
    after = staging(model, share=45)
    server.release("slowly")
    assert after["bytes"] > before["bytes"], "it goes on, and that is told"
    assert after["bytes"] < after["total"], "it was under way all the time"
    assert set(writes) == {"patch llamamodels/status"}
    assert 2 <= len(writes) <= WINDOW_SECONDS // 10 + 1
    assert len(model.events()) == len(events)
    assert len([name for kind, name in seen if name == model.name]) <= len(writes)
    model.ready()

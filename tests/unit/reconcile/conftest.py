"""The small world that the reconciler's tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.reconcile.world import KEY, MODEL, World


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    world.model()
    yield world
    assert world.cache.snapshot(KEY).model is None or world.cache.snapshot(KEY).model == {
        **world.api.objects.get(MODEL, {})
    }, "the cache and the API server disagree about the model"

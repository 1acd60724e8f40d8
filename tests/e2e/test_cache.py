"""A cache that models share: one download for all, room when it is needed, nothing taken from anybody."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from models.tiny_gguf import REPLY
from tests.e2e.conftest import FileServer
from tests.e2e.routes import ThroughService
from tests.e2e.test_staging import says, sent_once
from tests.e2e.volume import Volume
from tests.e2e.witness import Model, Object, eventually

pytestmark = pytest.mark.e2e


@pytest.fixture
def volume(files_in_cluster: FileServer, request: pytest.FixtureRequest) -> Iterator[Volume]:
    made = Volume(files_in_cluster, request.param)
    made.mount()
    yield made
    made.remove()


def cache(volume: Volume, **options: object) -> Object:
    return {"cache": {"claimName": volume.claim, **options}}


def gone(model: Model) -> None:
    model.delete()

    def check() -> None:
        assert model.children("Pod") == []

    eventually(check, timeout=120)


@pytest.mark.parametrize("volume", ["cache-shared"], indirect=True)
def test_models_of_one_source_share_one_download(
    volume: Volume, new_model: Callable[[str], Model], files_in_cluster: FileServer
) -> None:
    server, models = files_in_cluster, [new_model("sharing-a"), new_model("sharing-b")]
    source = server.big()
    source["url"]["url"] += "?shared"
    for model in models:
        model.apply(source=source, storage=cache(volume))
    for model in models:
        model.ready(timeout=180)
    eventually(lambda: sent_once(source, server), timeout=10)
    assert volume.files() == [source["url"]["sha256"]]


@pytest.mark.parametrize("volume", ["cache-full"], indirect=True)
def test_a_cache_over_its_quota_frees_what_nobody_uses(
    volume: Volume, new_model: Callable[[str], Model], files_in_cluster: FileServer
) -> None:
    server, quota = files_in_cluster, "40Mi"  # one big file and some small ones
    small, unused = server.source(), server.big()
    used, leaving, coming = new_model("used"), new_model("leaving"), new_model("coming")
    used.apply(source=small, storage=cache(volume, quota=quota))
    leaving.apply(source=unused, storage=cache(volume, quota=quota))
    used.ready(timeout=120)
    leaving.ready(timeout=120)
    gone(leaving)
    assert unused["url"]["sha256"] in volume.files(), "kept as long as there is room"
    volume.age()

    wanted = server.big("other.gguf")
    coming.apply(source=wanted, storage=cache(volume, quota=quota))
    coming.ready(timeout=180)
    assert sorted(volume.files()) == sorted([small["url"]["sha256"], wanted["url"]["sha256"]])
    says(ThroughService(used.read()["status"]["url"], server.namespace, server.pod()), REPLY)


@pytest.mark.parametrize("volume", ["cache-over"], indirect=True)
def test_a_quota_that_users_fill_refuses_the_next(
    volume: Volume, new_model: Callable[[str], Model], files_in_cluster: FileServer
) -> None:
    server, first, second = files_in_cluster, new_model("first"), new_model("second")
    first.apply(source=server.big(), storage=cache(volume, quota="40Mi"))
    first.ready(timeout=120)
    volume.age()
    second.apply(source=server.big("other.gguf"), storage=cache(volume, quota="40Mi"))
    told = second.wait("Staged", "QuotaExceeded", timeout=120)
    assert "spec.storage.cache.quota" in told["message"]
    assert volume.files() == [server.big()["url"]["sha256"]]
    first.ready()


@pytest.mark.parametrize("volume", ["cache-unused"], indirect=True)
def test_the_last_user_frees_the_file(
    volume: Volume, new_model: Callable[[str], Model], files_in_cluster: FileServer
) -> None:
    server, storage = files_in_cluster, cache(volume, whenUnused="Delete")
    models = [new_model("last-but-one"), new_model("last")]
    for model in models:
        model.apply(source=server.source(), storage=storage)
    for model in models:
        model.ready(timeout=120)
    digest = server.source()["url"]["sha256"]
    gone(models[0])
    volume.age()
    assert volume.files() == [digest]
    gone(models[1])

    def freed() -> None:
        assert volume.files() == []
        assert volume.links() == []

    eventually(freed, timeout=180)

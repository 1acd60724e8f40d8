"""Servers for the stager: a hub, an S3 server, origins with and without TLS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.staging import authority, hub, s3_server
from tests.integration.staging.authority import Authority
from tests.integration.staging.hub import Hub
from tests.integration.staging.origin import Origin
from tests.integration.staging.process import Stager
from tests.integration.staging.s3_server import S3Server


@pytest.fixture
def origin() -> Iterator[Origin]:
    with Origin() as running:
        yield running


@pytest.fixture(scope="session")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority whose bundle the stagers of these tests trust."""
    return authority.create(tmp_path_factory.mktemp("tls") / "authority")


@pytest.fixture(name="hub")
def running_hub() -> Iterator[Hub]:
    with hub.running() as running:
        yield running


@pytest.fixture(scope="session", name="s3_server")
def running_s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server.running(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture
def stager(tmp_path: Path, trusted: Authority) -> Stager:
    return Stager(tmp_path, trusted.bundle)

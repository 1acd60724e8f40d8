"""A real API server for all tests of this folder, started once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from kubernetes import client, config, watch

CRD = Path("crds/llama-operator.dev_llamamodels.yaml")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.integration)


@pytest.fixture(scope="session")
def kubeconfig() -> Iterator[Path]:
    """kubeconfig of an administrator; INTEGRATION_KUBECONFIG names an API server that runs already."""
    given = os.environ.get("INTEGRATION_KUBECONFIG")
    if given:
        yield Path(given)
        return
    from ground import apiserver

    with apiserver.running() as server:
        yield server.kubeconfig


@pytest.fixture(scope="session")
def crd(kubeconfig: Path) -> Iterator[client.ApiClient]:
    """The independent witness: the official client, on an API server that serves our CRD."""
    with config.new_client_from_config(str(kubeconfig)) as api:  # type: ignore[no-untyped-call]
        extensions = client.ApiextensionsV1Api(api)
        manifest = yaml.safe_load(CRD.read_text())
        name = manifest["metadata"]["name"]
        extensions.patch_custom_resource_definition(
            name,
            manifest,
            field_manager="test",
            force=True,
            field_validation="Strict",
            _content_type="application/apply-patch+yaml",
        )
        watcher = watch.Watch()  # type: ignore[no-untyped-call]
        listed = extensions.list_custom_resource_definition
        for event in watcher.stream(  # type: ignore[no-untyped-call]
            listed, field_selector=f"metadata.name={name}", timeout_seconds=30
        ):
            conditions = event["object"].status.conditions or []
            if any(c.type == "Established" and c.status == "True" for c in conditions):
                break
        else:
            pytest.fail(f"{name} was not established")
        yield api

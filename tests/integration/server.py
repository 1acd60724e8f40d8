"""Plain requests to the API server, through the official client: the independent witness."""

from __future__ import annotations

import json
from typing import Any

import pytest
from kubernetes import client

Object = dict[str, Any]


class RefusedError(Exception):
    """An answer that is not 2xx: its status code, and the server's message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Server:
    """Plain requests: what the generated methods hide (content types, the Table form) is what is tested here.

    Fields that the API server does not know are errors, as they are for kubectl.
    """

    def __init__(self, api: client.ApiClient) -> None:
        self.api = api

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        dry_run: bool = False,
        accept: str = "application/json",
        manager: str | None = None,
    ) -> Any:
        """The decoded answer. `APPLY` is server-side apply, as the operator does it. Raises `RefusedError`.

        `manager`: the field manager, for any other method.
        """
        query = [("fieldValidation", "Strict")] if body else []
        query += [("fieldManager", manager)] if manager else []
        content = "application/merge-patch+json" if method == "PATCH" else "application/json"
        if method == "APPLY":
            method, content = "PATCH", "application/apply-patch+yaml"
            query += [("fieldManager", "llama-operator"), ("force", "true")]
        request = self.api.param_serialize(
            method,
            path,
            query_params=[*query, ("dryRun", "All")] if dry_run else query,
            header_params={"Accept": accept, "Content-Type": content},
            body=body,
            auth_settings=["BearerToken"],
        )
        answer = self.api.call_api(*request)
        decoded = json.loads(answer.read())  # type: ignore[no-untyped-call]
        if not 200 <= answer.status < 300:
            raise RefusedError(answer.status, decoded["message"])
        return decoded

    def refused(self, method: str, path: str, body: Object, *, dry_run: bool = False) -> str:
        """The server's message; fails the test if the request is accepted."""
        with pytest.raises(RefusedError) as caught:
            self(method, path, body, dry_run=dry_run)
        assert caught.value.code in (400, 422), caught.value
        return caught.value.message

    def ensure(self, path: str, body: Object) -> None:
        """Create it, unless an earlier run on the same API server did."""
        try:
            self("POST", path, body)
        except RefusedError as error:
            if error.code != 409:
                raise

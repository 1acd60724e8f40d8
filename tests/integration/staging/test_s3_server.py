"""The S3 server is one: it serves what was put, by signed addresses only."""

from __future__ import annotations

from datetime import timedelta

import httpx
import obstore
import pytest
from obstore.exceptions import BaseError
from obstore.store import S3Store

from tests.integration.staging.s3_server import ACCESS_KEY, REGION, S3Server

DATA = bytes(range(256)) * 65536  # 16 MiB


def test_a_signed_address_gives_ranges_of_an_object(s3_server: S3Server) -> None:
    s3_server.put("models", "some/m.gguf", DATA, part_size=5 << 20)
    url = obstore.sign(s3_server.store("models"), "GET", "some/m.gguf", timedelta(minutes=5))
    part = httpx.get(url, headers={"Range": "bytes=1000-1999"})
    assert part.status_code == 206
    assert part.content == DATA[1000:2000]
    assert part.headers["Content-Range"] == f"bytes 1000-1999/{len(DATA)}"
    assert part.headers["ETag"].endswith('-4"')  # of four parts: no digest of the whole
    assert httpx.get(url).content == DATA


def test_signatures_are_verified(s3_server: S3Server) -> None:
    s3_server.put("models", "m.gguf", b"x")
    url = obstore.sign(s3_server.store("models"), "GET", "m.gguf", timedelta(minutes=5))
    assert httpx.get(url.replace("m.gguf", "n.gguf")).status_code == 403
    assert httpx.get(url.partition("?")[0]).status_code == 403
    with pytest.raises(BaseError, match="SignatureDoesNotMatch"):
        obstore.get(
            S3Store(
                "models",
                endpoint=s3_server.endpoint,
                region=REGION,
                access_key_id=ACCESS_KEY,
                secret_access_key="wrong",
                client_options={"allow_http": True},
            ),
            "m.gguf",
        )

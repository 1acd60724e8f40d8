"""S3 and what speaks its protocol: obstore signs an address for each request, the same HTTP client fetches it.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html,
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html

Credentials are those of the spec, or of the environment (workload identity), or none. Those of the node (its metadata
service) are never used: they belong to the node, not to whoever wrote the spec.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import httpx

from llama_operator.api import staging
from llama_operator.stage.failures import Failure, Reason
from llama_operator.stage.source import s3_errors
from llama_operator.stage.source.secrets import Secrets
from llama_operator.stage.transfer.remote import Remote

if TYPE_CHECKING:
    from obstore.store import RetryConfig, S3Credential, S3Store

_URI = re.compile(r"s3://(?P<bucket>[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9])/(?P<key>.+)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_REGION = re.compile(r"[a-z0-9-]{1,64}")
_HOST_LABEL = re.compile(r"[a-z0-9-]{3,63}")
_EXPIRES = timedelta(hours=1)
"""An address is used at once. It only has to bear a clock that is a little off, and redirects."""
RETRY: RetryConfig = {"max_retries": 1, "retry_timeout": timedelta(seconds=15)}
"""For credentials. The stager tries again by itself, and says so."""
_PROVIDED = (
    ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
)
"""Variables by which a pod is given credentials: https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html"""
_SECRET_VARIABLES = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


@dataclass(frozen=True)
class Bucket:
    """Where the objects of one source are, and how their addresses are signed (`credential` is of the spec)."""

    name: str
    host: str
    region: str
    virtual: bool
    credential: S3Credential | None = field(default=None, repr=False)
    provided: bool = False
    """The environment names credentials."""

    def url(self, key: str) -> str:
        return f"{self.host}/{quote(key, safe='/')}" if self.virtual else f"{self.host}/{self.name}/{quote(key)}"

    def sign(self, key: str) -> str:
        """An address for one GET. Raises `Failure` or `Transient` if there are no credentials to be had."""
        import obstore
        from obstore.exceptions import BaseError

        try:
            signed = obstore.sign(self._store, "GET", key, _EXPIRES)
        except BaseError as error:
            raise s3_errors.unsigned(str(error)) from error
        if signed.partition("?")[0] != self.url(key):
            raise Failure(Reason.INVALID_SOURCE, "the key of s3.uri cannot be signed; rename the object")
        return signed

    @cached_property
    def _store(self) -> S3Store:
        """It keeps temporary credentials until they expire."""
        # Not needed for any other source, and 7 MiB of memory.
        from obstore.store import S3Store

        options: dict[str, Any] = {
            # This variant of "endpoint" is the one that no environment variable overrides.
            "aws_endpoint_url_s3": self.host,
            "region": self.region,
            "virtual_hosted_style_request": self.virtual,
            "client_options": {"allow_http": self.host.startswith("http://"), "timeout": timedelta(seconds=10)},
            "retry_config": RETRY,
        }
        credential = self.credential
        if credential is not None:
            options["credential_provider"] = lambda: credential
        return S3Store(self.name, **options)


def remote(source: staging.S3, key: str, sha256: str | None, secrets: Secrets) -> Remote:
    """The object `key` of the source's bucket. Raises `Failure` for credentials that are none."""
    found = bucket(source, secrets, os.environ)
    signs = found.credential is not None or found.provided

    def explain(response: httpx.Response) -> Failure | None:
        return s3_errors.explain(response, f"s3://{found.name}/{key}", signs=signs)

    return Remote(url=found.url(key), sha256=sha256, sign=(lambda: found.sign(key)) if signs else None, explain=explain)


def bucket(source: staging.S3, secrets: Secrets, environment: Mapping[str, str]) -> Bucket:
    for variable in _SECRET_VARIABLES:
        secrets.remember(environment.get(variable, ""))
    name, _ = split_uri(source.uri)
    region = source.region or environment.get("AWS_REGION", "") or environment.get("AWS_DEFAULT_REGION", "")
    region = region or "us-east-1"
    host, virtual = source.endpoint.rstrip("/"), False
    if not host:
        # A name with dots, or one from before there were rules, is no host name that a certificate covers.
        virtual = bool(_HOST_LABEL.fullmatch(name))
        domain = f"s3.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")
        host = f"https://{name}.{domain}" if virtual else f"https://{domain}"
    provided = any(all(environment.get(variable) for variable in group) for group in _PROVIDED)
    return Bucket(name, host, region, virtual, _credential(source, secrets), provided)


def _credential(source: staging.S3, secrets: Secrets) -> S3Credential | None:
    if not source.credentials:
        return None
    folder, field = Path(source.credentials), "s3.credentialsSecretRef"
    names = {file.name for file in secrets.folder(folder)}
    return {
        "access_key_id": secrets.word(folder / "accessKeyID", field),
        "secret_access_key": secrets.word(folder / "secretAccessKey", field),
        "token": secrets.word(folder / "sessionToken", field) if "sessionToken" in names else None,
        "expires_at": None,
    }


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key. Raises `Failure` (InvalidSource) for an address that is none, or that cannot be signed."""
    match = _URI.fullmatch(uri)
    if not match or _CONTROL.search(match["key"]):
        raise Failure(Reason.INVALID_SOURCE, "s3.uri must be s3://BUCKET/KEY")
    if any(part in ("", ".", "..") for part in match["key"].split("/")):
        raise Failure(Reason.INVALID_SOURCE, "the key of s3.uri must not have empty parts, nor . or ..")
    return match["bucket"], match["key"]


def check(source: staging.S3) -> None:
    """Raise `Failure` (InvalidSource) for what cannot be meant."""
    split_uri(source.uri)
    if source.region and not _REGION.fullmatch(source.region):
        raise Failure(Reason.INVALID_SOURCE, "s3.region must be a region's name, as eu-central-1")
    if source.endpoint and (urlsplit(source.endpoint).query or urlsplit(source.endpoint).fragment):
        raise Failure(Reason.INVALID_SOURCE, "s3.endpoint must have no query")

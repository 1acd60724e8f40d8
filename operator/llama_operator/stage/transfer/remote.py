"""What is asked from a server, and what its answers mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime

import httpx

from llama_operator.stage.context import Policy
from llama_operator.stage.failures import Failure, Reason, Transient
from llama_operator.stage.text import one_line, redact

USER_AGENT = "llama-operator-stage"
_DEFAULT_PORTS = {"http": 80, "https": 443}
_WORTH_RETRYING = frozenset({408, 421, 425, 429})


@dataclass(frozen=True)
class Remote:
    """One file on a server, and what is known about it beforehand (`size` in bytes)."""

    url: str
    sha256: str | None = None
    size: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Secrets, mostly: sent to the origin of `url` and to no other, whatever it redirects to."""
    sign: Callable[[], str] | None = field(default=None, repr=False)
    """Makes the address to be used for one request, where each needs a signature of its own; `url` is then the
    address without it, for people and for notes."""
    revision: str = ""
    explain: Callable[[httpx.Response], Failure | None] | None = field(default=None, repr=False)
    """What this kind of source means by a refusal, where that is more than its status tells; asked first."""


def client(policy: Policy) -> httpx.Client:
    """Proxies and certificates come from the usual variables (HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE).

    Compression is declined: ranges, lengths and digests are those of the file.
    """
    return httpx.Client(
        timeout=httpx.Timeout(policy.read_timeout, connect=policy.connect_timeout),
        headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity", "Accept": "*/*"},
        follow_redirects=False,
    )


@contextmanager
def stream(
    http: httpx.Client, remote: Remote, headers: dict[str, str], max_redirects: int, start: str | None = None
) -> Iterator[httpx.Response]:
    """GET, through redirects, to an answer that is none. Its status has not been judged yet. `start` is where an
    earlier request has ended, if that is to be asked directly."""
    url = httpx.URL(start or (remote.sign() if remote.sign else remote.url))
    for _ in range(max_redirects + 1):
        with http.stream("GET", url, headers=headers | credentials(remote, url)) as response:
            if not response.has_redirect_location:
                yield response
                return
            url = redirected(url, response)
    raise Failure(Reason.SOURCE_ERROR, f"{redact(remote.url)} redirects more than {max_redirects} times")


def credentials(remote: Remote, url: httpx.URL) -> dict[str, str]:
    return dict(remote.headers) if origin(url) == origin(httpx.URL(remote.url)) else {}


def origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or _DEFAULT_PORTS.get(url.scheme)


def redirected(url: httpx.URL, response: httpx.Response) -> httpx.URL:
    """Where a redirect leads; relative addresses count from the one that was asked."""
    try:
        target = url.join(response.headers["Location"])
    except httpx.InvalidURL as error:
        raise Failure(Reason.SOURCE_ERROR, f"{redact(str(url))} redirects to an address that is none") from error
    if target.scheme not in _DEFAULT_PORTS or not target.host:
        raise Failure(Reason.SOURCE_ERROR, f"{redact(str(url))} redirects to {redact(str(target))}, not to HTTP")
    if url.scheme == "https" and target.scheme == "http":
        raise Failure(
            Reason.SOURCE_ERROR,
            f"{redact(str(url))} redirects to unencrypted {redact(str(target))}; if that is right, name it in the spec",
        )
    return target.copy_with(userinfo=b"")


def judge(response: httpx.Response, remote: Remote, now: float) -> None:
    """Raise `Failure` for an answer that will stay as it is, `Transient` for one that may not."""
    status = response.status_code
    if status in (200, 206, 416):
        return
    explained = remote.explain(response) if remote.explain else None
    if explained:
        raise explained
    where = redact(remote.url)
    said = one_line(response.headers.get("X-Error-Message", ""), 200)
    said = f" ({said})" if said else ""
    if status in (404, 410):
        raise Failure(Reason.NOT_FOUND, f"{where} answers {status}{said}: check address, file name and revision")
    if status in (401, 403):
        how = (
            "the credentials were refused; check that they may read this file, and on Hugging Face that the licence "
            "was accepted"
            if remote.headers or remote.sign
            else "it needs credentials, or does not exist; give them as huggingFace.tokenSecretRef or "
            "url.headersSecretRef"
        )
        raise Failure(Reason.UNAUTHORIZED, f"{where} answers {status}{said}: {how}")
    message = f"{where} answers {status} {one_line(response.reason_phrase, 60)}{said}"
    if status in _WORTH_RETRYING or status >= 500:
        raise Transient(Reason.SOURCE_ERROR, message, _retry_after(response.headers.get("Retry-After", ""), now))
    raise Failure(Reason.SOURCE_ERROR, f"{message}: the server does not give the file out")


def _retry_after(value: str, now: float) -> float | None:
    """Seconds, or a date (RFC 9110, 10.2.3); anything else counts as not said."""
    if re.fullmatch(r"[0-9]{1,9}", value.strip()):
        return float(value)
    try:
        when = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(when.timestamp() - now, 0.0)


NO_ANSWER = (httpx.HTTPError, httpx.InvalidURL)
"""Whatever httpx raises instead of a response. It looks into redirects even if it is not to follow them."""


def no_answer(error: Exception, remote: Remote) -> Transient:
    """Unreachable (name resolution, connection, TLS, silence), or reached and not speaking HTTP."""
    text = one_line(str(error) or type(error).__name__, 200)
    where = _asked(error, remote)
    if isinstance(error, httpx.RemoteProtocolError | httpx.InvalidURL):
        return Transient(Reason.SOURCE_ERROR, f"{where} does not answer in proper HTTP: {text}")
    hint = "check the address, DNS, network policies and proxies"
    if "CERTIFICATE" in text.upper():
        hint = "its certificate is not trusted here"
    elif isinstance(error, httpx.TimeoutException):
        hint = f"it was silent too long ({type(error).__name__})"
    return Transient(Reason.SOURCE_UNREACHABLE, f"{where} cannot be read: {text}; {hint}")


def _asked(error: Exception, remote: Remote) -> str:
    """Which address it was: behind a redirect often another host, which a network policy may not know."""
    first = redact(remote.url)
    try:
        last = redact(str(error.request.url)) if isinstance(error, httpx.RequestError) else first
    except RuntimeError:  # httpx: no request belongs to this error
        last = first
    return first if first == last else f"{last} (from {first})"


def cut_short(remote: Remote, got: int, total: int | None) -> Transient:
    expected = f"of {total} bytes" if total is not None else "of unknown length"
    return Transient(
        Reason.TRUNCATED,
        f"{redact(remote.url)} ends after {got} {expected}: the file on the server, or a proxy on the way, is broken",
    )

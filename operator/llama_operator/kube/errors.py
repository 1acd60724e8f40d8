"""What the API server can answer instead of success, sorted by what has to be done about it."""

from __future__ import annotations

from typing import Any

import msgspec

from llama_operator.kube.transport import Answer


class APIError(Exception):
    """The API server refused a request, or was not reached. `code` is the HTTP status, 0 without an answer."""

    def __init__(self, what: str, code: int, reason: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(f"{what}: {message} ({code} {reason})" if code else f"{what}: {message}")
        self.code = code
        self.reason = reason
        self.message = message
        self.retry_after = retry_after
        """Seconds that the server asks us to wait."""


class Retryable(APIError):
    """Nobody's fault and no answer yet: too many requests, a server error, a broken connection, a stale token."""


class Conflict(APIError):
    """The object is not (any more) what we took it for: look again and decide again."""


class NotFound(APIError):
    """The object, its namespace or its kind does not exist."""


class Rejected(APIError):
    """The same request will be refused again, until somebody changes something."""


class Forbidden(Rejected):
    """Rights, a quota, or a policy of the cluster stand against it."""


class Invalid(Rejected):
    """The object breaks a rule of its schema; the message names the field."""


_BY_CODE: dict[int, type[APIError]] = {
    401: Retryable,  # the client has read its token again already
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Retryable,  # a list whose pages have expired: start over
    422: Invalid,
    429: Retryable,
}


def from_response(what: str, answer: Answer) -> APIError:
    """The error in an answer. The API server describes it in a `Status` object, a proxy on the way does not."""
    code = answer.status
    try:
        status = msgspec.json.decode(answer.content, type=dict[str, Any])
    except msgspec.DecodeError:
        status = {}
    cls = _BY_CODE.get(code, Retryable if code >= 500 else Rejected)
    message = str(status.get("message") or answer.reason)
    if code == 422 and "metadata.uid" in _fields(status):
        cls = Conflict  # an apply bound to a uid has met another object of that name
    if code == 500 and message.startswith("failed to create typed patch object"):
        cls = Invalid  # an apply with a field that the schema does not have, or of another type; no trouble of theirs
    return cls(what, code, str(status.get("reason") or "Unknown"), message, _seconds(answer))


def _fields(status: dict[str, Any]) -> set[str]:
    causes = (status.get("details") or {}).get("causes") or []
    return {str(cause.get("field")) for cause in causes}


def _seconds(answer: Answer) -> float | None:
    """Kubernetes sends whole seconds; the date form of the header is ignored."""
    retry_after = answer.headers.get("retry-after", "")
    return float(retry_after) if retry_after.isdigit() else None

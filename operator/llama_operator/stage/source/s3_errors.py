"""What S3 and the signer mean by their refusals.

Bodies are not shown: they may repeat a request with its signature. Of an S3 error the `Code` is one of a fixed list
of words, and that alone is taken. https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

from __future__ import annotations

import re

import httpx

from llama_operator.stage.failures import Failure, Reason, Transient

_CODE = re.compile(rb"<Code>([A-Za-z]{3,64})</Code>")
_STATUS = re.compile(r"status code: ([45][0-9]{2})\b")
_REGION = re.compile(r"[a-z0-9-]{1,64}")
_BODY = 4096

_OTHER_REGION = frozenset(
    {
        "PermanentRedirect",
        "AuthorizationHeaderMalformed",
        "AuthorizationQueryParametersError",
        "IllegalLocationConstraintException",
    }
)
_CREDENTIALS = {
    "InvalidAccessKeyId": "the access key does not exist",
    "SignatureDoesNotMatch": "the secret key is another one, or a proxy changes the request",
    "ExpiredToken": "the session token has expired",
    "InvalidToken": "the session token is not valid",
    "TokenRefreshRequired": "the session token must be renewed",
}


def explain(response: httpx.Response, uri: str, *, signs: bool) -> Failure | None:
    """None for what may pass, or is no answer of S3: the common rules say more about that."""
    status = response.status_code
    if status < 300 or status == 416 or status >= 500 or status in (408, 429):
        return None
    code, region = _code(response), response.headers.get("x-amz-bucket-region", "")
    if code in ("NoSuchKey", "NoSuchBucket"):
        missing = "no such object" if code == "NoSuchKey" else "no such bucket"
        return Failure(Reason.NOT_FOUND, f"{uri}: {missing} at this endpoint ({code}); check s3.uri and s3.endpoint")
    if code in _OTHER_REGION:
        which = f"to {region}" if _REGION.fullmatch(region) else "to the one the bucket is in"
        return Failure(Reason.INVALID_SOURCE, f"{uri}: the bucket is in another region ({code}); set s3.region {which}")
    if code in _CREDENTIALS:
        message = f"{uri}: {_CREDENTIALS[code]} ({code}); check the Secret of s3.credentialsSecretRef"
        return Failure(Reason.UNAUTHORIZED, message)
    if code == "RequestTimeTooSkewed":
        return Failure(
            Reason.SOURCE_ERROR, f"{uri}: the clock of the node differs from the server's ({code}); set it right"
        )
    if code == "InvalidObjectState":
        return Failure(Reason.SOURCE_ERROR, f"{uri}: the object is archived ({code}); restore it first")
    if status in (401, 403):
        return Failure(Reason.UNAUTHORIZED, f"{uri} answers {status}{_shown(code)}: {_access(signs=signs)}")
    return Failure(Reason.SOURCE_ERROR, f"{uri} answers {status}{_shown(code)}") if code else None


def _access(*, signs: bool) -> str:
    if signs:
        return "the credentials may not read it (s3:GetObject), or it does not exist and they may not list the bucket"
    return (
        "it is not public, and there are no credentials; set s3.credentialsSecretRef, or pod.serviceAccountName to "
        "an account with a role"
    )


def _shown(code: str) -> str:
    return f" ({code})" if code else ""


def _code(response: httpx.Response) -> str:
    body = bytearray()
    try:
        for data in response.iter_raw():
            body += data
            if len(body) >= _BODY:
                break
    except httpx.HTTPError:
        # The connection broke in the middle of the explanation: the status has to do.
        pass
    match = _CODE.search(body)
    return match[1].decode() if match else ""


def unsigned(said: str) -> Failure | Transient:
    """Why obstore has no credentials. `said` is its text, which may hold bodies: only what is known is taken."""
    status, code = _STATUS.search(said), _CODE.search(said.encode())
    if "CA certificates" in said:
        return Failure(Reason.STAGING_FAILED, "s3: the stager's image has no certificates of authorities to trust")
    if "token file" in said:
        return Failure(Reason.UNAUTHORIZED, "s3: the token of the pod's service account cannot be read")
    if status and status[1] not in ("408", "429") and status[1] < "500":
        refused = f"{status[1]} {code[1].decode()}" if code else status[1]
        return Failure(
            Reason.UNAUTHORIZED,
            f"s3: the pod's service account gets no credentials ({refused}); check pod.serviceAccountName, and "
            "whom the role trusts",
        )
    hint = "its certificate is not trusted here" if "InvalidCertificate" in said else "check network policies"
    return Transient(
        Reason.SOURCE_UNREACHABLE,
        f"s3: the service that gives credentials to the pod's service account does not answer; {hint}",
    )

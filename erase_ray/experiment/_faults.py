"""What kind of failure an error of a back end is, and what the user can do about it."""

import errno
from collections.abc import Iterator

_BUSY = {408, 429, 500, 502, 503, 504}
_BUSY_CODES = {
    "BadDigest",
    "IncompleteBody",
    "InternalError",
    "NoSuchUpload",
    "OperationAborted",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
    "XAmzContentSHA256Mismatch",
}
_CONFLICTS = {"ConditionalRequestConflict", "409"}
_REFUSALS = {"PreconditionFailed", "412"}
_FORBIDDEN_CODES = {
    "AccessDenied",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidToken",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
}
# by name: the clients of the back ends are loaded only where they are used
_BROKEN = {
    "ClientConnectionError",
    "ClientPayloadError",
    "ConnectionError",
    "HTTPClientError",
    "IncompleteRead",
    "IncompleteReadError",
    "ProtocolError",
    "ResponseParserError",
    "TimeoutError",
}


def is_transient(error: BaseException) -> bool:
    """True for a busy server, a broken connection, half an answer: the same may work later."""
    return any(
        _codes(each) & (_BUSY_CODES | _CONFLICTS)
        or _status(each) in _BUSY
        or _BROKEN & {cls.__name__ for cls in type(each).__mro__}
        for each in _chain(error)
    )


def is_forbidden(error: BaseException) -> bool:
    """True if the storage does not accept the keys, or there are none."""
    return any(
        isinstance(each, PermissionError)
        or _codes(each) & _FORBIDDEN_CODES
        or _status(each) in (401, 403)
        or "Credential" in type(each).__name__
        for each in _chain(error)
    )


def is_refusal(error: BaseException) -> bool:
    """True if a conditional put found the name taken."""
    return isinstance(error, FileExistsError) or _has_code(error, _REFUSALS)


def is_conflict(error: BaseException) -> bool:
    """True if a conditional put met another one: the name may be taken or not."""
    return _has_code(error, _CONFLICTS)


def is_full(error: BaseException) -> bool:
    """True if a local disk (or a quota on it) is full; libraries may tell it by text alone."""
    return any(
        getattr(each, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        or f"(os error {errno.ENOSPC})" in str(each)
        for each in _chain(error)
    )


def way_out(error: Exception) -> str:
    """What the user can do."""
    if _has_code(error, {"RequestTimeTooSkewed"}):
        return "Set the clock of this machine right"
    if isinstance(error, PermissionError) or "Credential" in type(error).__name__:
        return "Check the credentials and what they are allowed to do"
    if isinstance(error, FileNotFoundError):
        return "Create the bucket or folder first, or correct the address"
    if isinstance(error, (FileExistsError, NotADirectoryError, IsADirectoryError)):
        return "A file stands where a folder is needed (or the reverse); give another address"
    if is_full(error):
        return "Free some space and run the same command again"
    return "Check the address, the network and, for S3, AWS_ENDPOINT_URL"


def _has_code(error: BaseException, codes: set[str]) -> bool:
    return any(_codes(each) & codes for each in _chain(error))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it came from; clean-up after an error may have failed itself."""
    for _ in range(10):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _codes(error: BaseException) -> set[str]:
    response = getattr(error, "response", None)
    stated = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
    return {str(code) for code in (stated, getattr(error, "code", None)) if code is not None}


def _status(error: BaseException) -> int | None:
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        return response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    code = getattr(error, "code", None)
    return code if isinstance(code, int) else getattr(error, "status", None)

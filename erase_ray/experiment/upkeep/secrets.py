"""What must not leave the house: keys, tokens, passwords, e-mail, names of people in paths."""

import os
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from erase_ray.experiment._address import without_secrets

HIDDEN = "***"
ADDRESS, CREDENTIAL, EMAIL, USER_NAME = (
    "secret in an address",
    "credential",
    "e-mail address",
    "user name in a path",
)

_NAME = (
    r"[\w.-]*(?:password|passwd|secret|token|credential|api_?key|access_?key|account_?key)s?"
    r"(?:_id)?"
)
_SECRET_NAME = re.compile(_NAME, re.IGNORECASE)
_ASSIGNED = re.compile(
    rf"\b((?:AWS_\w+|{_NAME})[\"']?\s*[:=]\s*[\"']?)(?!\*\*\*)([^\s\"',;&}}\\]{{6,}})",
    re.IGNORECASE,
)
_TOKEN = re.compile(
    r"\b(?:(?:AKIA|ASIA)[0-9A-Z]{16}|hf_\w{20,}|gh[pousr]_\w{20,}|github_pat_\w{20,}"
    r"|glpat-[\w-]{16,}|sk-[\w-]{20,}|xox[abprs]-[\w-]{10,}|pypi-[\w-]{20,}"
    r"|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*)"
)
_BEARER = re.compile(r"\b((?:Bearer|Basic)\s+)[\w+/=.~-]{8,}")
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
)
_EMAIL = re.compile(r"[\w.+-]+@(?!\d)[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}\b")
_HOME = re.compile(
    r"((?:/home|/Users|[A-Za-z]:(?:\\{1,2}|/)Users)[/\\]+)(?!\*\*\*)"
    r"(?:[^/\\\n\"'<>:,;]{1,40}(?=[/\\])|[^/\\\s\"'<>:,;)]+)"
)

Found = Counter[str]
"""How often each kind of secret was found."""


def cleaned(text: str, found: Found) -> str:
    """``text`` with its secrets masked; what they were is counted in ``found``."""
    for value in _of_environment():
        if value in text:
            found[CREDENTIAL] += text.count(value)
            text = text.replace(value, HIDDEN)
    without = without_secrets(text)
    if without != text:
        found[ADDRESS] += 1
    text = _masked(_PRIVATE_KEY, HIDDEN, without, CREDENTIAL, found)
    text = _masked(_TOKEN, HIDDEN, text, CREDENTIAL, found)
    text = _masked(_BEARER, rf"\1{HIDDEN}", text, CREDENTIAL, found)
    text = _masked(_ASSIGNED, rf"\1{HIDDEN}", text, CREDENTIAL, found)
    text = _masked(_EMAIL, HIDDEN, text, EMAIL, found)
    return _masked(_HOME, rf"\1{HIDDEN}", text, USER_NAME, found)


def clean(value: Any, found: Found) -> Any:
    """A nested value with every text in it cleaned; what a secret name leads to is masked whole."""
    if isinstance(value, str):
        return cleaned(value, found)
    if isinstance(value, Mapping):
        return {cleaned(str(key), found): _named(key, inner, found) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [clean(inner, found) for inner in value]
    return value


def told(found: Mapping[str, int]) -> str:
    """What was found in words, such as ``credential (1), e-mail address (2)``."""
    return ", ".join(f"{kind} ({count})" for kind, count in sorted(found.items()))


def _named(key: Any, value: Any, found: Found) -> Any:
    if isinstance(value, str) and value and value != HIDDEN and _SECRET_NAME.fullmatch(str(key)):
        found[CREDENTIAL] += 1
        return HIDDEN
    return clean(value, found)


def _masked(pattern: re.Pattern[str], mask: str, text: str, kind: str, found: Found) -> str:
    text, count = pattern.subn(mask, text)
    if count:
        found[kind] += count
    return text


def _of_environment() -> list[str]:
    """The secrets that this process was given, longest first."""
    named = [value for name, value in os.environ.items() if _SECRET_NAME.fullmatch(name)]
    return sorted({value for value in named if len(value) >= 8}, key=len, reverse=True)

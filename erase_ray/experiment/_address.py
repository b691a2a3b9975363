"""Storage addresses and texts without the secrets that they may carry."""

import re
from typing import Any
from urllib.parse import urlsplit

# Azure puts the container, not a user, before the @
_USER = re.compile(r"(\b(?!abfss?:|wasbs?:)[a-zA-Z][\w+.-]*://)[^/\s@\"'<>]+@")
_SECRET = re.compile(
    r"([?&;](?:[\w.-]*(?:token|secret|passw|signature|credential|access_?key|api_?key)[\w.-]*|sig)=)"
    r"[^&;\s\"'<>]+",
    re.IGNORECASE,
)


def public_address(address: str) -> str:
    """``address`` less user, password, query and fragment; a plain path stays as it is."""
    if "://" not in address:
        return address
    return _USER.sub(r"\1", re.split(r"[?#]", address, maxsplit=1)[0])


def secrets_of(address: str) -> list[str]:
    """The parts of ``address`` that must not be shown: its user info and its query."""
    if "://" not in address:
        return []
    parts = urlsplit(address)
    user = parts.netloc.rpartition("@")[0] if _USER.match(address) else ""
    return [part for part in (user, parts.query) if part]


def without_secrets(text: str) -> str:
    """``text`` with ``user:password@`` taken out of addresses and secret query values masked."""
    return _SECRET.sub(r"\1***", _USER.sub(r"\1", text))


def scrubbed(value: Any) -> Any:
    """A nested value with every text in it passed through :func:`without_secrets`."""
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, dict):
        return {key: scrubbed(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [scrubbed(inner) for inner in value]
    return value

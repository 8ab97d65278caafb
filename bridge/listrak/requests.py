"""Requests of Listrak's Email REST API v1: addresses and forms."""

from typing import Any
from urllib.parse import quote, urlencode


def url(base: str, path: str, query: dict[str, Any] | None = None) -> str:
    """The address of a request; values are encoded, None is left out."""
    given = {name: value for name, value in (query or {}).items() if value is not None}
    return f"{base}/{path}" + (f"?{urlencode(given, quote_via=quote)}" if given else "")


def quoted(text: str) -> str:
    """Text as one segment of a path."""
    return quote(text, safe="")


def token_form(client_id: str, client_secret: str) -> bytes:
    """The body of a token request."""
    return urlencode(
        {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
        }
    ).encode()

"""Listrak's refusals: each status as an error, named for the caller's next move."""

import msgspec

from bridge.errors import (
    CredentialsError,
    CursorError,
    MissingError,
    RefusedError,
    TemporaryError,
)
from bridge.listrak import wire
from bridge.output.texts import line_of


class ErrorBody(wire.Struct):
    """An error answer (FACTS.md: Errors, Access).

    error: a code; an older 401 lacks it.
    message: prose; the token endpoint's answers lack it.
    """

    error: str | None = None
    message: str | None = None


# Listrak doesn't say why (FACTS.md: Access).
DENIED = (
    "Listrak denies access. Likely causes: the integration is paused, this machine's IP address is "
    "not on its allow-list, a scope is missing (Contact, List, Message, Report, Segmentation), or "
    "the client id or secret is wrong. The integration's Log tab in Listrak names the true one"
)


def explain(
    status: int, body: bytes, path: str, *, setting: str = "LISTRAK_API_URL", paging: bool = False
) -> Exception:
    """The error that a refusal means for the caller (FACTS.md: Access, Errors; bridge/ANSWERS.md).

    path: the resource, for the error's message.
    setting: the name of the setting that the address comes from.
    paging: the request carried a cursor, which may be what is refused.
    """
    try:
        said = msgspec.json.decode(body, type=ErrorBody)
    except wire.UNREADABLE:
        said = ErrorBody()
    reason = line_of(said.message or said.error or "") or "no reason given"
    what = f"Listrak answered {status} to {path}: {reason}"
    if status in (401, 403):
        return CredentialsError("LISTRAK_CLIENT_ID, LISTRAK_CLIENT_SECRET", DENIED)
    if status in (408, 429) or status >= 500 or status < 300:
        busy = TemporaryError(what)
        busy.throttled = status == 429
        return busy
    if paging and status in (400, 404, 410, 422):
        return CursorError(what, status)
    if status in (404, 410):
        return MissingError(what, status)
    if 300 <= status < 400:
        return TemporaryError(f"{what} (a redirect; is {setting} right?)")
    return RefusedError(what, status)

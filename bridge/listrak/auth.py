"""Access to Listrak: a bearer token, renewed before it expires or when it is refused.

Source: Listrak's Swagger document and real answers (FACTS.md: Access).
"""

import anyio

from bridge import clock
from bridge.errors import CredentialsError, TemporaryError
from bridge.listrak import requests, wire
from bridge.listrak.refusals import explain
from bridge.output.redaction import SECRETS
from bridge.transport.http import Answer, Http
from bridge.transport.retry import backoff

_MARGIN = 60.0
"""Seconds before its expiry at which a token is renewed."""


class Auth:
    """Keeps one access token for all requests."""

    def __init__(self, http: Http, *, url: str, client_id: str, client_secret: str) -> None:
        self._http = http
        self._url = url
        self._form = requests.token_form(client_id, client_secret)
        self._lock = anyio.Lock()
        self._token = ""
        self._renew_at = 0.0
        self._refusals = 0
        self._refusal: CredentialsError | None = None
        self._ask_again_at = 0.0

    async def token(self) -> str:
        """The current token, renewed if need be. Raises CredentialsError, or TemporaryError."""
        async with self._lock:
            if not self._token or clock.monotonic() >= self._renew_at:
                if self._refusal is not None and clock.monotonic() < self._ask_again_at:
                    raise self._refusal
                try:
                    await self._renew()
                except TemporaryError as error:
                    error.common = True
                    raise
            return self._token

    def refused(self, token: str) -> None:
        """Forgets a token that the API did not accept, unless it was renewed meanwhile."""
        if token == self._token:
            self._token = ""

    async def _renew(self) -> None:
        answer = await self._http.request(
            "POST",
            self._url,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body=self._form,
        )
        if answer.status != 200:
            error = _refusal(answer)
            if isinstance(error, CredentialsError):
                # Many readers use this token: all of them wait, so that Listrak is asked slowly.
                self._refusals += 1
                self._refusal = error
                self._ask_again_at = clock.monotonic() + backoff(error, self._refusals)
            raise error
        self._refusals, self._refusal = 0, None
        body = wire.decode(answer.body, wire.TokenBody)
        SECRETS.add_passing(body.access_token)
        self._token = body.access_token
        # A lifetime shorter than the margin is used for its first half.
        self._renew_at = clock.monotonic() + max(body.expires_in - _MARGIN, body.expires_in / 2)


def _refusal(answer: Answer) -> Exception:
    if answer.status == 400:
        # Whether a pause is answered like this, too, is unknown (FACTS.md: Access).
        return CredentialsError(
            "LISTRAK_CLIENT_ID, LISTRAK_CLIENT_SECRET",
            "Listrak says Invalid Credentials: the client id or the client secret is wrong",
        )
    error = explain(answer.status, answer.body, "the token request", setting="LISTRAK_TOKEN_URL")
    if isinstance(error, TemporaryError):
        if not isinstance(error, CredentialsError):
            error.retry_after = answer.retry_after
        return error
    return TemporaryError(f"{error} (is LISTRAK_TOKEN_URL right?)")

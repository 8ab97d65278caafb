"""The one place that speaks HTTP: sends a request, returns the whole answer, translates errors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp
import anyio
from yarl import URL

from bridge import NAME, VERSION, clock
from bridge.clock import HOUR
from bridge.errors import TemporaryError

RECYCLE_AFTER = 6 * HOUR
"""Seconds that a session lives: a connection that is always busy never resolves its host again
(bridge/segment/FACTS.md: Access)."""


@dataclass(frozen=True)
class Answer:
    """A complete answer.

    headers: by name, in any case.
    body: uncompressed.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def retry_after(self) -> float | None:
        """Seconds of Retry-After, None without it or as a date (which neither server sends)."""
        text = self.headers.get("Retry-After", "")
        return float(text) if text.isascii() and text.isdigit() else None


class Http:
    """A client session, replaced every RECYCLE_AFTER seconds. Redirects are answers, not followed.

    There are as many connections as requests, so that none waits behind one that hangs: callers
    limit the number of concurrent requests.

    timeout: seconds until a request is given up.
    on_date: called with the Date header of each answer, "" if it has none.
    """

    def __init__(
        self,
        *,
        timeout: float = 60.0,
        on_date: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None
        self._born = 0.0
        self._open = 0
        self._retired: list[aiohttp.ClientSession] = []
        self._on_date = on_date

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with anyio.CancelScope(shield=True):
            for session in (*self._retired, self._session):
                if session is not None:
                    await session.close()

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
    ) -> Answer:
        """Sends a request once; returns the whole answer. Raises TemporaryError if none came."""
        session = await self._current()
        self._open += 1
        try:
            with anyio.fail_after(self._timeout):
                # encoded: a cursor or an address arrives exactly as it was quoted.
                target = URL(url, encoded=True)
                async with session.request(
                    method, target, headers=headers, data=body, allow_redirects=False
                ) as response:
                    self._on_date(response.headers.get("Date", ""))
                    return Answer(response.status, response.headers, await response.read())
        except TimeoutError:
            raise TemporaryError(
                f"{_host(url)} did not answer within {self._timeout:g} s"
            ) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # ValueError: an answer that isn't HTTP, or whose Content-Encoding is wrong.
            reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            raise TemporaryError(f"{_host(url)}: no complete answer ({reason})") from error
        finally:
            self._open -= 1

    async def _current(self) -> aiohttp.ClientSession:
        if self._session is not None and clock.monotonic() - self._born > RECYCLE_AFTER:
            self._retired.append(self._session)
            self._session = None
        if self._retired and self._open == 0:
            for session in self._retired:
                await session.close()
            self._retired.clear()
        if self._session is None:
            self._born = clock.monotonic()
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=30),
                headers={"User-Agent": f"{NAME}/{VERSION}"},
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


def _host(url: str) -> str:
    return url.split("/", 3)[2]

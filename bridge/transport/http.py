"""The one place that speaks HTTP: sends a request, returns the whole answer, translates errors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Final, Self
from urllib.request import getproxies, proxy_bypass

import aiohttp
import anyio
from yarl import URL

from bridge import NAME, VERSION, clock
from bridge.clock import HOUR
from bridge.compression import inflated
from bridge.environment.values import is_loopback
from bridge.errors import ConfigurationError, OversizeError, TemporaryError
from bridge.output.redaction import SECRETS
from bridge.transport.retry import LONGEST_WAIT

CONNECT_WITHIN: Final = 10.0
SILENT_FOR: Final = 30.0
"""Seconds at most until a connection stands, and between two parts of an answer."""

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
        """Seconds of Retry-After, LONGEST_WAIT at most, from now on if it is a date; None without.

        Cut here, so that nobody waits for longer: for a part that is set aside, years would pass.
        """
        text = self.headers.get("Retry-After", "").strip()
        if text.isascii() and text.isdigit():
            return min(float(text), LONGEST_WAIT)
        if (at := _moment(text)) is None:
            return None
        # The server's own clock is what its date goes by.
        now = _moment(self.headers.get("Date", "")) or datetime.fromtimestamp(
            clock.wall_time(), UTC
        )
        return min(max(0.0, (at - now).total_seconds()), LONGEST_WAIT)


_REASONS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (aiohttp.ClientProxyConnectionError, "its proxy can't be reached (HTTPS_PROXY, HTTP_PROXY)"),
    (aiohttp.ClientConnectorDNSError, "its name can't be resolved"),
    (aiohttp.ServerDisconnectedError, "the connection ended before the answer"),
    (aiohttp.ClientPayloadError, "the connection ended in the middle of the answer"),
)
"""Meanings of errors of aiohttp; the first that fits counts."""


class Http:
    """A client session, replaced every RECYCLE_AFTER seconds. Redirects are answers, not followed.

    There are as many connections as requests, so that none waits behind one that hangs: callers
    limit the number of concurrent requests.

    Proxies are those of HTTPS_PROXY, HTTP_PROXY and NO_PROXY.

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
        self._proxies: dict[str, str | None] = {}

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
        most: int = 65_536,
    ) -> Answer:
        """Sends a request once; returns the whole answer.

        most: bytes that the answer may have, compressed or not.

        Raises TemporaryError if none came, OversizeError if it has more bytes, and
        ConfigurationError for a proxy that is none.
        """
        session = await self._current()
        self._open += 1
        try:
            with anyio.fail_after(self._timeout):
                # encoded: a cursor or an address arrives exactly as it was quoted.
                target = URL(url, encoded=True)
                async with session.request(
                    method,
                    target,
                    headers=headers,
                    data=body,
                    allow_redirects=False,
                    proxy=self._proxy(target),
                ) as response:
                    self._on_date(response.headers.get("Date", ""))
                    return Answer(response.status, response.headers, await _read(response, most))
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            # ValueError: an answer that isn't HTTP, or whose Content-Encoding is wrong.
            raise TemporaryError(f"{_host(url)}: {self._reason(error)}") from None
        finally:
            self._open -= 1

    def _proxy(self, url: URL) -> str | None:
        """The proxy for an address, looked for once: that takes a while, and it stays the same."""
        origin = f"{url.scheme}://{url.raw_authority}"
        if origin not in self._proxies:
            self._proxies[origin] = _proxy(url)
        return self._proxies[origin]

    def _reason(self, error: Exception) -> str:
        """The reason in words of our own: errors of aiohttp quote addresses and answers."""
        for kind, text in _REASONS:
            if isinstance(error, kind):
                return text
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            return f"no connection within {CONNECT_WITHIN:g} s"
        if isinstance(error, aiohttp.SocketTimeoutError):
            return f"it sent nothing for {SILENT_FOR:g} s"
        if isinstance(error, TimeoutError):
            return f"no complete answer within {self._timeout:g} s"
        if isinstance(error, aiohttp.ClientHttpProxyError):
            return f"the proxy answered {error.status} (HTTPS_PROXY, HTTP_PROXY)"
        if isinstance(error, aiohttp.ClientResponseError):
            return "what it answers is no HTTP"
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            why = getattr(error.certificate_error, "verify_message", "") or "it isn't trusted"
            return f"its certificate is refused: {why}"
        if isinstance(error, OSError) and error.strerror:
            return f"no connection: {error.strerror}"
        return f"no complete answer ({type(error).__name__})"

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
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=CONNECT_WITHIN, sock_read=SILENT_FOR
                ),
                headers={"User-Agent": f"{NAME}/{VERSION}", "Accept-Encoding": "gzip, deflate"},
                cookie_jar=aiohttp.DummyCookieJar(),
                # It has no bound: a small answer could fill the memory.
                auto_decompress=False,
            )
        return self._session


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The body, decompressed. Raises OversizeError, and ValueError where it can't be."""
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > most:
            break
    body = b"".join(parts)
    # Of what is large, there are no two copies while it is unpacked.
    parts.clear()
    if size <= most:
        encoding = response.headers.get("Content-Encoding", "").strip().lower()
        body = inflated(body, encoding, most)
    if len(body) > most:
        # What is still to come is not waited for.
        response.close()
        raise OversizeError(f"{response.url.host}: an answer of more than {most:,} bytes")
    return body


def proxy_of(url: str) -> str | None:
    """The proxy by which an address is reached, without its credentials; None for none.

    Raises ConfigurationError for a proxy that is none.
    """
    found = _proxy(URL(url, encoded=True))
    return None if found is None else str(URL(found).with_user(None))


def _proxy(url: URL) -> str | None:
    """The proxy of the environment for an address, None for none.

    What is meant for this machine leaves it by no proxy: it may be plain http. Raises
    ConfigurationError for a proxy that is none.
    """
    host = url.host or ""
    proxies = getproxies()
    found = proxies.get(url.scheme) or proxies.get("all")
    if not found or proxy_bypass(host):
        return None
    try:
        # As text it is handed on, and some that can be read aren't written so that they can be.
        proxy = URL(str(URL(found if "://" in found else f"http://{found}")))
    except ValueError:
        proxy = URL()
    if proxy.scheme not in ("http", "https") or not proxy.host:
        raise ConfigurationError(
            "HTTPS_PROXY, HTTP_PROXY", "a proxy is an address such as http://proxy.example.com:3128"
        )
    SECRETS.add(proxy.password or "")
    return None if is_loopback(host) and not is_loopback(proxy.host) else str(proxy)


def _moment(date: str) -> datetime | None:
    """The moment of an HTTP date, None for what is none."""
    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _host(url: str) -> str:
    return url.split("/", 3)[2]

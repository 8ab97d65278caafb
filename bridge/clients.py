"""Makes the clients of both servers from the settings; no request is sent yet."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from bridge.clock import SourceClock
from bridge.environment.settings import Settings
from bridge.listrak.auth import Auth
from bridge.listrak.client import Listrak
from bridge.metrics import Metrics
from bridge.segment.client import Segment
from bridge.transport.http import Http

RETRY_DEADLINE: Final = 60.0
"""Seconds that the service retries one call to Listrak before the poller turns to others."""

RETRY_DEADLINE_ONCE: Final = 15.0
"""Seconds that a single catch-up retries one call, to Listrak or to Segment, before it gives up."""

PATIENCE_ONCE: Final = 900.0
"""Seconds that a single catch-up retries one call that Listrak puts off with 429, or a batch that
Segment does or gives a Retry-After for: it is there, and only asks for fewer, or for later."""

RETRY_DEADLINE_AT_START: Final = 4.0
"""Seconds of retries at the start, after which the account counts as unreachable."""


@dataclass(frozen=True)
class Clients:
    """A client of each server."""

    listrak: Listrak
    segment: Segment


@asynccontextmanager
async def listrak_client(settings: Settings, metrics: Metrics) -> AsyncIterator[Listrak]:
    """Opens a client of Listrak alone, closed at the end."""
    source_clock = SourceClock()
    async with Http(on_date=source_clock.observe) as http:
        auth = Auth(
            http,
            url=settings.listrak_token_url,
            client_id=settings.listrak_client_id,
            client_secret=settings.listrak_client_secret,
        )
        yield Listrak(
            http,
            auth,
            metrics,
            source_clock,
            base=settings.listrak_api_url,
            requests_per_second=settings.listrak_requests_per_second,
            deadline=RETRY_DEADLINE,
        )


@asynccontextmanager
async def open_clients(settings: Settings, metrics: Metrics) -> AsyncIterator[Clients]:
    """Opens clients of both servers, closed at the end."""
    async with listrak_client(settings, metrics) as listrak, Http() as http:
        segment = Segment(
            http, metrics, base=settings.segment_api_url, write_key=settings.segment_write_key
        )
        yield Clients(listrak, segment)

"""The emulator is Segment enough for Segment's own client, and for that client's own tests."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from segment.analytics import request as transport
from segment.analytics.client import Client

from bridge.sandbox.segment import Segment
from bridge.sandbox.server import serve

pytestmark = pytest.mark.anyio

SUITE = Path(__file__).with_name("segment_sdk_suite.py")


@pytest.fixture
def segment(tmp_path: Path) -> Iterator[Segment]:
    with Segment(tmp_path / "segment.db", write_key="testsecret") as segment:
        yield segment
    transport._session.close()


@pytest.fixture
async def url(segment: Segment) -> AsyncIterator[str]:
    async with serve(segment.app) as url:
        yield url


def client(url: str, **options: Any) -> Client:
    return Client("testsecret", host=url, **options)


async def test_every_call_of_the_client_arrives(segment: Segment, url: str) -> None:
    """All six types are taken from the client in its synchronous mode, in order."""

    def call() -> None:
        sdk = client(url, sync_mode=True)
        sdk.identify("u1", {"email": "a@example.com"})
        sdk.track("u1", "Email Sent", {"email_id": "1"})
        sdk.page("u1", "category", "name")
        sdk.screen("u1", "category", "name")
        sdk.group("u1", "g1", {"size": 1})
        sdk.alias("u0", "u1")

    await anyio.to_thread.run_sync(call)
    types = [event["type"] for event in segment.received()]
    assert types == ["identify", "track", "page", "screen", "group", "alias"]
    assert segment.requests == {200: 6}
    assert not segment.dropped


async def test_queued_and_compressed(segment: Segment, url: str) -> None:
    """The client's queue arrives complete and in order, compressed, in batches."""

    def call() -> None:
        sdk = client(url, gzip=True, upload_size=100, upload_interval=0.1)
        for number in range(250):
            sdk.track(anonymous_id="ä@example.com", event=f"Event {number}")
        sdk.shutdown()

    await anyio.to_thread.run_sync(call)
    received = list(segment.received())
    assert [event["event"] for event in received] == [f"Event {n}" for n in range(250)]
    assert {event["anonymousId"] for event in received} == {"ä@example.com"}
    assert segment.requests[200] >= 3


async def test_a_refusal_is_tried_again(segment: Segment, url: str) -> None:
    """The client repeats what was answered 503; nothing was kept of the first attempt."""
    segment.faults.add("status:503,times=1")

    def call() -> None:
        sdk = client(url, upload_interval=0.1)
        sdk.track("u1", "Email Sent")
        sdk.shutdown()

    await anyio.to_thread.run_sync(call)
    assert (segment.accepted, segment.duplicates) == (1, 0)
    assert segment.requests == {503: 1, 200: 1}


async def test_a_lost_answer_makes_a_duplicate(segment: Segment, url: str) -> None:
    """The client repeats what it has no answer to; Segment has it already, and marks it."""
    segment.faults.add("lost:times=1")

    def call() -> None:
        sdk = client(url, upload_interval=0.1)
        sdk.track("u1", "Email Sent")
        sdk.shutdown()

    await anyio.to_thread.run_sync(call)
    assert (segment.accepted, segment.duplicates) == (1, 1)
    assert segment.requests == {0: 1, 200: 1}
    assert segment.complaints["changed_repeat"] == 0


async def test_the_clients_own_tests(segment: Segment, url: str) -> None:
    """All tests that the client ships pass, but the one that needs a distant server."""
    with anyio.fail_after(60):
        done = await anyio.run_process([sys.executable, str(SUITE), url], stderr=None)
    report = json.loads(done.stdout.splitlines()[-1])
    assert report == {"run": 139, "failed": {}}
    assert set(segment.requests) == {200}
    assert segment.accepted > 10

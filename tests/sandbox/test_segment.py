"""What the emulated Segment answers, keeps and counts, over HTTP."""

from __future__ import annotations

import base64
import gzip
import json
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest

from bridge.sandbox.segment import Segment, read_events
from bridge.sandbox.server import serve

pytestmark = pytest.mark.anyio

KEY = "a-write-key"


def track(message_id: str | None, **changes: Any) -> dict[str, Any]:
    event = {
        "type": "track",
        "event": "Email Sent",
        "anonymousId": "zoë@example.com",
        "messageId": message_id,
        "timestamp": "2026-01-02T03:04:05.678Z",
        "properties": {"email_id": "7", "email_subject": "🎉 für dich"},
        "context": {"traits": {"email": "zoë@example.com"}},
    }
    merged = event | changes
    return {key: value for key, value in merged.items() if value is not None}


class Api:
    """A client that can send anything."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def post(
        self, body: bytes, route: str = "batch", **headers: str
    ) -> tuple[int, dict[str, Any], str | None]:
        """Return status, decoded answer, Retry-After."""
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        named = {"Content-Type": "application/json"} | named
        async with self.session.post(f"/v1/{route}", data=body, headers=named) as answer:
            return answer.status, await answer.json(), answer.headers.get("Retry-After")

    async def send(self, *events: Any, key: str = KEY, **beside: Any) -> int:
        """Send a batch and return the status."""
        body = {"batch": events, "writeKey": key} | beside
        status, _, _ = await self.post(json.dumps(body).encode())
        return status


@pytest.fixture
def segment(tmp_path: Path) -> Iterator[Segment]:
    with Segment(tmp_path / "segment.db", write_key=KEY) as segment:
        yield segment


@pytest.fixture
async def api(segment: Segment) -> AsyncIterator[Api]:
    async with serve(segment.app) as url, aiohttp.ClientSession(url) as session:
        yield Api(session)


def query(segment: Segment, sql: str) -> list[Any]:
    with closing(sqlite3.connect(segment.path)) as db:
        return db.execute(sql).fetchall()


async def test_a_batch_is_kept_as_it_came(segment: Segment, api: Api) -> None:
    """Events are kept in order of arrival, unchanged, whatever the script or emoji."""
    first, second = track("m1"), track("m2", properties={"名": "値"})
    assert await api.send(first, second) == 200
    assert list(segment.received()) == [first, second]
    assert segment.counts() == {"Email Sent": 2}
    assert not segment.complaints


async def test_the_answer_to_a_batch(api: Api) -> None:
    """What is taken is answered 200 and `{"success": true}`."""
    body = json.dumps({"batch": [track("m1")], "writeKey": KEY}).encode()
    assert await api.post(body) == (200, {"success": True}, None)


async def test_import_is_batch(segment: Segment, api: Api) -> None:
    """`/v1/import` takes what `/v1/batch` takes."""
    body = json.dumps({"batch": [track("m1")], "writeKey": KEY}).encode()
    assert (await api.post(body, "import"))[0] == 200
    assert segment.accepted == 1


@pytest.mark.parametrize("kind", ["track", "identify", "page", "screen", "group", "alias"])
async def test_a_single_event(segment: Segment, api: Api, kind: str) -> None:
    """Each type has its own address, where the body is the event, and the path its type."""
    event = {"anonymousId": "a", "event": "Email Sent", "messageId": "m"}
    body = event | {"writeKey": KEY, "sentAt": "2026-01-02T03:04:05Z"}
    assert (await api.post(json.dumps(body).encode(), kind))[0] == 200
    assert list(segment.received()) == [event | {"type": kind}]
    assert query(segment, "SELECT sent_at FROM batches") == [("2026-01-02T03:04:05Z",)]


async def test_basic_authorization(segment: Segment, api: Api) -> None:
    """The write key may be the user name of Basic authorization, with no password."""
    basic = "Basic " + base64.b64encode(f"{KEY}:".encode()).decode()
    body = json.dumps({"batch": [track("m1")]}).encode()
    assert (await api.post(body, Authorization=basic))[0] == 200
    assert segment.accepted == 1


async def test_a_wrong_write_key_answers_200(segment: Segment, api: Api) -> None:
    """A wrong write key, a missing one and a broken header answer 200, and nothing is taken."""
    body = json.dumps({"batch": [track("m1")], "writeKey": "another"}).encode()
    assert await api.post(body) == (200, {"success": True}, None)
    body = json.dumps({"batch": [track("m1")]}).encode()
    assert (await api.post(body))[0] == 200
    assert (await api.post(body, Authorization="Basic %%%"))[0] == 200
    assert list(segment.received()) == []
    assert segment.dropped == {"wrong_write_key": 3}


async def test_gzip(segment: Segment, api: Api) -> None:
    """A body may come compressed, and says so in Content-Encoding; sizes are uncompressed."""
    body = json.dumps({"batch": [track("m1")], "writeKey": KEY}).encode()
    assert (await api.post(gzip.compress(body), Content_Encoding="gzip"))[0] == 200
    assert list(segment.received()) == [track("m1")]
    assert query(segment, "SELECT bytes, gzip FROM batches") == [(len(body), 1)]


@pytest.mark.parametrize(
    "body", [b"no gzip", gzip.compress(b'{"batch": []}')[:-9]], ids=["not gzip", "cut short"]
)
async def test_broken_gzip_is_malformed(segment: Segment, api: Api, body: bytes) -> None:
    """What can't be decompressed is answered 400."""
    assert (await api.post(body, Content_Encoding="gzip"))[0] == 400
    assert segment.requests == {400: 1}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[{]",
        b"[]",
        b"{}",
        b'{"batch": {}}',
        b'{"batch": [{]}',
        b'{"batch": [NaN]}',
        b'{"batch": ["\xff"]}',
        b'{"batch": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    ],
)
async def test_malformed_bodies(segment: Segment, api: Api, body: bytes) -> None:
    """What isn't JSON, or isn't a batch, is answered 400 with a message, and not kept."""
    status, answer, _ = await api.post(body)
    assert (status, bool(answer["message"])) == (400, True)
    assert query(segment, "SELECT events, bytes, answer FROM batches") == [(0, len(body), 400)]
    assert query(segment, "SELECT * FROM events") == []


async def test_a_body_over_500_kb(segment: Segment, api: Api) -> None:
    """More than 500 KB, uncompressed, is answered 413; exactly 500 KB is taken."""
    body = json.dumps({"batch": [track("m1")], "writeKey": KEY}).encode().ljust(512_000)
    assert (await api.post(body))[0] == 200
    assert (await api.post(body + b" "))[0] == 413
    assert (await api.post(gzip.compress(body + b" "), Content_Encoding="gzip"))[0] == 413
    assert segment.accepted == 1


async def test_a_batch_of_more_than_2500(segment: Segment, api: Api) -> None:
    """More than 2,500 events are answered 200, and none of them is taken; 2,500 all are."""
    small = {"type": "track", "event": "e", "anonymousId": "a"}
    assert await api.send(*[small | {"messageId": f"a{n}"} for n in range(2_501)]) == 200
    assert (segment.accepted, segment.dropped) == (0, {"batch_too_long": 2_501})
    assert await api.send(*[small | {"messageId": f"b{n}"} for n in range(2_500)]) == 200
    assert segment.accepted == 2_500
    assert segment.complaints["batch_events"] == 1


async def test_one_bad_event_is_dropped_alone(segment: Segment, api: Api) -> None:
    """An event that Segment drops leaves its batch taken, and no trace but a verdict here."""
    assert await api.send(track("m1"), track("m2", anonymousId=""), track("m3")) == 200
    assert [event["messageId"] for event in segment.received()] == ["m1", "m3"]
    assert segment.dropped == {"bad_id": 1}
    assert query(segment, "SELECT message_id, verdict FROM events ORDER BY seq") == [
        ("m1", "accepted"),
        ("m2", "dropped:bad_id"),
        ("m3", "accepted"),
    ]


async def test_repeats_are_kept_and_marked(segment: Segment, api: Api) -> None:
    """The same messageId again, in the same batch or another, is a duplicate."""
    assert await api.send(track("m1"), track("m1")) == 200
    assert await api.send(track("m1"), track("m2")) == 200
    assert [event["messageId"] for event in segment.received()] == ["m1", "m1", "m1", "m2"]
    assert [event["messageId"] for event in segment.received(unique=True)] == ["m1", "m2"]
    assert (segment.accepted, segment.duplicates) == (2, 2)
    assert segment.counts() == {"Email Sent": 2}
    assert not segment.complaints


async def test_dedup_is_on_the_message_id_alone(segment: Segment, api: Api) -> None:
    """Another event under a known messageId is lost: the strict reader says so."""
    assert await api.send(track("m1")) == 200
    assert await api.send(track("m1", event="Email Opened")) == 200
    assert segment.counts() == {"Email Sent": 1}
    assert segment.complaints == {"changed_repeat": 1}


async def test_a_dropped_event_may_come_again(segment: Segment, api: Api) -> None:
    """What was dropped doesn't occupy its messageId."""
    assert await api.send(track("m1", anonymousId="")) == 200
    assert await api.send(track("m1")) == 200
    assert (segment.accepted, segment.duplicates) == (1, 0)


async def test_events_without_message_id(segment: Segment, api: Api) -> None:
    """Without a messageId, or with an empty one, no two events are the same."""
    assert await api.send(track(None), track(None), track(""), track("")) == 200
    assert await api.send(track(None), track("")) == 200
    assert (segment.accepted, segment.duplicates) == (6, 0)
    assert segment.complaints == {"message_id": 6}


async def test_a_poison_event(segment: Segment, api: Api) -> None:
    """`refuse` answers 400 to the whole batch of an event; the others may come alone."""
    segment.refuse = lambda event: event.get("messageId") == "m2"
    assert await api.send(track("m1"), track("m2"), track("m3")) == 400
    assert segment.accepted == 0
    assert await api.send(track("m1"), track("m3"), "no object") == 200
    assert segment.accepted == 2


async def test_rate_limit(tmp_path: Path) -> None:
    """More events than allowed are answered 429 with whole seconds in Retry-After."""
    clock = [datetime(2026, 1, 1, tzinfo=UTC)]
    with Segment(
        tmp_path / "segment.db", write_key=KEY, events_per_second=10, now=lambda: clock[0]
    ) as segment:
        async with serve(segment.app) as url, aiohttp.ClientSession(url) as session:
            api = Api(session)
            batch = [track(f"m{n}") for n in range(25)]
            body = json.dumps({"batch": batch, "writeKey": KEY}).encode()
            assert await api.send(*batch) == 200
            status, _, retry_after = await api.post(body)
            assert (status, retry_after) == (429, "2")
            clock[0] += timedelta(seconds=2)
            assert await api.send(*batch) == 200
    assert segment.requests == {200: 2, 429: 1}
    assert (segment.accepted, segment.duplicates) == (25, 25)


async def test_the_file_is_continued(tmp_path: Path, segment: Segment, api: Api) -> None:
    """A new emulator on an old file remembers what was taken, and what was dropped."""
    assert await api.send(track("m1"), track("m1"), {"type": "identify"}) == 200
    segment.close()
    with Segment(tmp_path / "segment.db", write_key=KEY) as again:
        assert (again.accepted, again.duplicates) == (1, 1)
        assert again.dropped == {"no_id": 1}
        assert again.counts() == {"Email Sent": 1}
        async with serve(again.app) as url, aiohttp.ClientSession(url) as session:
            assert await Api(session).send(track("m1"), track("m2")) == 200
        assert (again.accepted, again.duplicates) == (2, 2)


async def test_the_server_goes_away_and_comes_back(segment: Segment) -> None:
    """One emulator may be served again, at the same port, and goes on counting."""
    async with serve(segment.app) as url, aiohttp.ClientSession(url) as session:
        assert await Api(session).send(track("m1")) == 200
    port = int(url.rpartition(":")[2])
    async with aiohttp.ClientSession(url) as session:
        with pytest.raises(aiohttp.ClientConnectionError):
            await Api(session).send(track("m1"))
        async with serve(segment.app, port=port) as same:
            assert same == url
            assert await Api(session).send(track("m1")) == 200
    assert (segment.accepted, segment.duplicates) == (1, 1)


async def test_another_process_reads_the_file(segment: Segment, api: Api) -> None:
    """`read_events` reads the file of a running emulator from any process."""
    assert await api.send(track("m1"), track("m1"), track("m2")) == 200
    code = (
        "import sys, pathlib; from bridge.sandbox.segment import read_events\n"
        "for unique in (False, True):\n"
        "    print([e['messageId'] for e in read_events(pathlib.Path(sys.argv[1]), unique)])"
    )
    done = await anyio.run_process([sys.executable, "-c", code, str(segment.path)])
    assert done.stdout.decode().splitlines() == ["['m1', 'm1', 'm2']", "['m1', 'm2']"]


def test_no_file(tmp_path: Path) -> None:
    """Reading a file that isn't there says so, and doesn't make one."""
    with pytest.raises(FileNotFoundError):
        list(read_events(tmp_path / "segment.db"))
    assert not list(tmp_path.iterdir())


async def test_what_is_written_of_a_request(segment: Segment, api: Api) -> None:
    """The tables tell when, what, whose and with which verdict."""
    identify = {"type": "identify", "anonymousId": "a", "userId": "u", "messageId": "m2"}
    assert await api.send(track("m1"), identify, sentAt="2026-01-02T03:04:05Z") == 200
    (batch,) = query(segment, "SELECT id, events, gzip, sent_at, answer FROM batches")
    assert batch[1:] == (2, 0, "2026-01-02T03:04:05Z", 200)
    columns = "batch, message_id, type, event, anonymous_id, user_id, verdict"
    assert query(segment, f"SELECT {columns} FROM events ORDER BY seq") == [
        (batch[0], "m1", "track", "Email Sent", "zoë@example.com", None, "accepted"),
        (batch[0], "m2", "identify", None, "a", "u", "accepted"),
    ]
    ((received_at,),) = query(segment, "SELECT DISTINCT received_at FROM events")
    assert datetime.now(UTC) - datetime.fromisoformat(received_at) < timedelta(minutes=1)


async def test_arrivals_may_be_stamped_with_the_worlds_time(tmp_path: Path) -> None:
    """Each event has the instant it arrived, if that is asked for, by the world's clock."""
    now = datetime(2026, 3, 1, tzinfo=UTC)
    with Segment(tmp_path / "segment.db", write_key=KEY, world_now=lambda: now) as segment:
        async with serve(segment.app) as url, aiohttp.ClientSession(url) as session:
            await Api(session).send(track("m1"))
            now += timedelta(days=90)
            await Api(session).send(track("m1"), track("m2"))
        stamps = [event["receivedAt"][:10] for event in segment.received(stamped=True)]
        assert stamps == ["2026-03-01", "2026-05-30", "2026-05-30"]
        unique = segment.received(unique=True, stamped=True)
        assert [event["receivedAt"][:10] for event in unique] == ["2026-03-01", "2026-05-30"]
        assert not any("receivedAt" in event for event in segment.received())


async def test_waiting_for_events(segment: Segment, api: Api) -> None:
    """`wait_for` returns as soon as so many different events are there, or the goal is met."""
    async with anyio.create_task_group() as group:
        group.start_soon(segment.wait_for, 2, 10)
        group.start_soon(segment.wait_for, lambda s: s.requests[400] == 1, 10)
        assert await api.send(track("m1"), track("m1")) == 200
        assert (await api.post(b"{"))[0] == 400
        assert await api.send(track("m2")) == 200
    with pytest.raises(TimeoutError):
        await segment.wait_for(3, 0.01)


async def test_concurrency(segment: Segment, api: Api) -> None:
    """`in_flight` counts requests without an answer, `max_concurrency` the most at once."""
    segment.faults.add("latency:60")
    async with anyio.create_task_group() as group:
        for number in range(3):
            group.start_soon(api.send, track(f"m{number}"))
        await segment.wait_for(lambda s: s.in_flight == 3, 10)
        segment.faults.clear()
    assert (segment.in_flight, segment.max_concurrency, segment.accepted) == (0, 3, 3)


async def test_faults_in_front(segment: Segment, api: Api) -> None:
    """Faults strike before or after the events are kept; cut connections count as status 0."""
    segment.faults.add("status:503,retry_after=7,times=1")
    segment.faults.add("reset:times=1")
    segment.faults.add("lost:times=1")
    body = json.dumps({"batch": [track("m1")], "writeKey": KEY}).encode()
    status, _, retry_after = await api.post(body)
    assert (status, retry_after) == (503, "7")
    for kept in (0, 1):
        with pytest.raises(aiohttp.ClientConnectionError):
            await api.post(body)
        assert segment.accepted == kept
    assert (await api.post(body))[0] == 200
    assert (segment.accepted, segment.duplicates) == (1, 1)
    assert segment.requests == {503: 1, 0: 2, 200: 1}


async def test_faults_over_http(segment: Segment, api: Api) -> None:
    """Faults are put, shown and lifted at `/_sandbox/faults`; a bad one changes nothing."""
    path = "/_sandbox/faults"
    async with api.session.post(path, data="garbage\nstatus:500,times=2\n") as answer:
        assert [text.partition(":")[0] for text in (await answer.json())["faults"]] == [
            "garbage",
            "status",
        ]
    async with api.session.post(path, data="latency:1\nflood") as answer:
        assert (answer.status, "flood" in (await answer.json())["error"]) == (400, True)
    async with api.session.get(path) as answer:
        assert len((await answer.json())["faults"]) == 2
    async with api.session.delete(path) as answer:
        assert await answer.json() == {"faults": []}
    assert await api.send(track("m1")) == 200
    assert segment.requests == {200: 1}


async def test_events_over_http(api: Api) -> None:
    """`/_sandbox/events` shows the latest, the oldest of them first, by name or type."""
    identify = {"type": "identify", "anonymousId": "a", "messageId": "i"}
    assert await api.send(track("m1"), identify, track("m2"), track("m3")) == 200

    async def shown(**options: str) -> list[str]:
        async with api.session.get("/_sandbox/events", params=options) as answer:
            return [event["body"]["messageId"] for event in (await answer.json())["events"]]

    assert await shown() == ["m1", "i", "m2", "m3"]
    assert await shown(limit="2") == ["m2", "m3"]
    assert await shown(event="Email Sent", limit="2") == ["m2", "m3"]
    assert await shown(event="identify") == ["i"]
    async with api.session.get("/_sandbox/events", params={"limit": "-1"}) as answer:
        assert answer.status == 400


async def test_counts_over_http(api: Api) -> None:
    """`/_sandbox/counts` shows everything that is counted."""
    assert await api.send(track("m1", userId="u"), track("m1", userId="u"), 7) == 200
    async with api.session.get("/_sandbox/counts") as answer:
        counts = await answer.json()
    examples = counts.pop("complaint_examples")
    assert counts == {
        "accepted": 1,
        "duplicates": 1,
        "dropped": {"not_an_object": 1},
        "events": {"Email Sent": 1},
        "requests": {"200": 1},
        "max_concurrency": 1,
        "complaints": {"track_user_id": 1, "not_an_object": 1},
    }
    assert "m1" in examples["track_user_id"][0]

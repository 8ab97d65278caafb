"""Makes what stands beside it: the world, the state files, and what has to follow.

    PYTHONPATH=tests/service .venv/bin/python tests/service/recorded/make.py world
    PYTHONPATH=tests/service .venv/bin/python tests/service/recorded/make.py states CHECKOUT ...
    PYTHONPATH=tests/service .venv/bin/python tests/service/recorded/make.py expected CHECKOUT

The states were written by 0c1e6b4 (the last commit of format 1), 6d2f3c5 (the last of format 2),
fdb6655 (format 3) and f6c513c (the last of format 4); what has to follow is what fdb6655 sent, of
format 4 what f6c513c sent (expected CHECKOUT format-4). All are run by this interpreter.
"""

import asyncio
import contextlib
import json
import lzma
import re
import shutil
import signal
import sqlite3
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import aiohttp
from aiohttp import web
from recorded_world import PAGE_ROWS, Bridge, Recording, Replay, Sink, environment, serve
from test_recorded import (
    BEGUN,
    CASES,
    EXPECTED,
    HISTORY,
    RECORDED,
    SETTINGS,
    WORLD,
    begun,
    outcome,
)

from bridge.sandbox.clock import Clock
from bridge.sandbox.listrak import API_PATH, TOKEN_PATH, Integration, Listrak
from bridge.sandbox.population import populated_world
from bridge.state.checksums import Writing

INSTANTS: Final = {
    # An hour of local time is repeated between the second and the third.
    "t0": datetime(2025, 10, 31, 20, 0, tzinfo=UTC),
    "t1": datetime(2025, 11, 1, 21, 0, tzinfo=UTC),
    "t2": datetime(2025, 11, 3, 15, 0, tzinfo=UTC),
}
NEVER = "0001-01-01T00:00:00"

Snapshot = dict[str, Any]


# The world


async def record(
    seed: int, instants: Mapping[str, datetime] = INSTANTS, *, contacts: int = 40, lists: int = 2
) -> bytes:
    """A recording of a retailer's account, as it is kept."""
    first = next(iter(instants.values()))
    days = timedelta(days=4)
    world = populated_world(start=first, seed=seed, contacts=contacts, lists=lists, history=days)
    clock = Clock.manual(world.now)
    emulator = Listrak(world, clock, Integration("id", "secret"), seed=seed)
    snapshots: dict[str, Snapshot] = {}
    async with serve(emulator.app) as base, aiohttp.ClientSession() as session:
        form = {"grant_type": "client_credentials", "client_id": "id", "client_secret": "secret"}
        async with session.post(base + TOKEN_PATH, data=form) as answer:
            token = (await answer.json())["access_token"]
        session.headers["Authorization"] = f"Bearer {token}"
        emails: set[str] = set()
        before: Snapshot = {}
        for name, at in instants.items():
            clock.advance(at - clock.now)
            before = snapshots[name] = await Crawl(session, base + API_PATH, emails).all()
    _order(snapshots)
    _make_odd(snapshots)
    answers: dict[str, Snapshot] = {}
    before = {}
    for name, snapshot in snapshots.items():
        for path in sorted(snapshot.keys() | before.keys()):
            if snapshot.get(path) != before.get(path):
                answers.setdefault(path, {})[name] = snapshot.get(path)
        before = snapshot
    content = {
        "instants": {name: at.isoformat() for name, at in instants.items()},
        "answers": dict(sorted(answers.items())),
    }
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return lzma.compress(text.encode(), preset=9)


class Crawl:
    """Reads all that a bridge may ask for; `emails` are all addresses met so far."""

    def __init__(self, session: aiohttp.ClientSession, base: str, emails: set[str]) -> None:
        self._session = session
        self._base = base
        self._emails = emails
        self._found: Snapshot = {}

    async def all(self) -> Snapshot:
        """Every answer by its path."""
        for row in await self._get("List"):
            await self._list(f"List/{row['listId']}")
        return self._found

    async def _list(self, one: str) -> None:
        await self._get(f"{one}/Campaign")
        fields: list[int] = []
        for group in await self._get(f"{one}/SegmentationFieldGroup"):
            place = f"{one}/SegmentationFieldGroup/{group['segmentationFieldGroupId']}"
            inner = await self._get(f"{place}/SegmentationField")
            fields += [field["segmentationFieldId"] for field in inner]
        wanted = {"segmentationFieldIds": ",".join(map(str, fields))}
        for state in ("Subscribed", "Unsubscribed"):
            rows = await self._get(f"{one}/Contact", subscriptionState=state, **wanted)
            self._emails.update(row["emailAddress"] for row in rows)
        for email in sorted(self._emails):
            await self._get(f"{one}/Contact/{email}", **wanted)
        listed = await self._get(f"{one}/Message")
        messages = {row["messageId"] for row in listed}
        for test in await self._get(f"{one}/SplitTest"):
            rows = await self._get(f"{one}/SplitTest/{test['splitTestId']}/Message")
            messages.update(row["messageId"] for row in rows)
        for number in sorted(messages):
            await self._get(f"{one}/Message/{number}/Status")
            await self._message(f"{one}/Message/{number}")
        for talk in await self._get(f"{one}/Conversation"):
            place = f"{one}/Conversation/{talk['conversationId']}/Message"
            for row in await self._get(place, includePreviousVersions="true"):
                await self._message(f"{place}/{row['messageId']}")
        for row in await self._get(f"{one}/TransactionalMessage"):
            place = f"{one}/TransactionalMessage/{row['transactionalMessageId']}"
            await self._get(f"{place}/Activity")

    async def _message(self, path: str) -> None:
        detail = await self._get(path)
        del detail["bodyHtml"], detail["bodyText"]
        await self._get(f"{path}/Summary")
        await self._get(f"{path}/Activity")
        for link in await self._get(f"{path}/Link"):
            await self._get(f"{path}/Link/{link['linkId']}/Clicker")

    async def _get(self, path: str, **query: str) -> Any:
        many = {} if path.rpartition("/")[2].isdigit() else {"count": "5000"}
        url = f"{self._base}/{quote(path)}"
        async with self._session.get(url, params={**query, **many}) as answer:
            if answer.status == 404:
                return None
            envelope = await answer.json()
        assert answer.status == 200, envelope
        assert not envelope.get("nextPageCursor")
        state = query.get("subscriptionState")
        self._found[f"{path}?{state}" if state else path] = envelope["data"]
        return envelope["data"]


def _order(snapshots: Mapping[str, Snapshot]) -> None:
    """Rows in one order in all snapshots, new ones at the end: the emulator shuffles each scan."""
    seen: dict[str, dict[str, int]] = {}
    for snapshot in snapshots.values():
        for path, data in snapshot.items():
            if re.search(r"/(Activity|Clicker|Contact\?\w+|Message|SplitTest|Link)$", path):
                places = seen.setdefault(path, {})
                for row in sorted(data, key=_identity):
                    places.setdefault(_identity(row), len(places))
                data.sort(key=lambda row, places=places: places[_identity(row)])


def _identity(row: Mapping[str, Any]) -> str:
    names = ("sendDate", "clickDate", "emailAddress", "messageId", "linkId", "splitTestId")
    return json.dumps(
        [row.get(name) if name != "sendDate" or "emailAddress" in row else None for name in names]
    )


def _make_odd(snapshots: Mapping[str, Snapshot]) -> None:
    """What real accounts hold and the emulator's doesn't: damaged, missing and falling values."""
    first = next(iter(snapshots.values()))
    full = [
        path
        for path, data in sorted(first.items())
        if re.search(r"/Message/\d+/Activity$", path) and len(data) > 12
    ]
    broadcasts = [path for path in full if "Conversation" not in path]
    odd = next((path for path in broadcasts if _is_late(first[path])), broadcasts[0])
    told = next(path for path in reversed(broadcasts) if path != odd)
    transactional = next(
        path
        for path, data in sorted(first.items())
        if re.search(r"TransactionalMessage/\d+/Activity$", path) and data
    )
    going_on = next(path for path in full if "Conversation" in path)
    clicked = [path for path, data in sorted(first.items()) if path.endswith("Clicker") and data]
    one = odd.split("/")[1]
    lists = sorted({path.split("/")[1] for path in first if path.startswith("List/")})
    latest = [*snapshots.values()][-1]
    for number, snapshot in enumerate(snapshots.values()):
        rows = snapshot[odd]
        rows[0]["emailAddress"] = ""
        rows[1]["emailAddress"] = None
        rows[2].update(open=True, activityDate="soon")
        rows[3]["sendDate"] = (rows[3]["sendDate"] or "2025-10-30T09:00:00.5") + "00"
        rows[4]["sendDate"] = "someday"
        rows[5].update(abuse=True, activityDate=None)
        rows[6]["emailAddress"] = "a" * 17_000 + "@example.net"
        rows[7].update(sendDate="2025-10-30T13:00:00Z", open=True, activityDate=NEVER)
        rows[8]["orderTotal"] = (10.1, 30.4, 5.0)[min(number, 2)]
        rows[9]["orderTotal"] = (None, 12.5, 40.0)[min(number, 2)]
        rows[10].update(abuse=number > 0)
        for row in snapshot[told]:
            row.update(ipAddress="203.0.113.9", userAgent='A "browser"', device={"screens": [1, 2]})
        snapshot[transactional][0]["clickCount"] = (2, 12_500, 12_503)[min(number, 2)]
        snapshot[clicked[0]][0]["clickDate"] = None
        if number > 1:
            again = {"emailAddress": rows[11]["emailAddress"], "clickDate": "2025-11-02T01:30:00"}
            snapshot[clicked[0]] += [again, again]
            # Opened half an hour after it was sent, in the hour that is repeated.
            sent, opened = "2025-11-02T01:45:00", "2025-11-02T01:15:00"
            late = {**snapshot[going_on][0], "sendDate": sent, "activityDate": opened}
            snapshot[going_on].append({**late, "open": True})
        for list_id in lists:
            subscribed = snapshot[f"List/{list_id}/Contact?Subscribed"]
            for value in subscribed[0]["segmentationFieldValues"]:
                value["value"] = 42
            subscribed[1]["subscriptionState"] = None
            subscribed[2]["segmentationFieldValues"] = None
            left = {row["emailAddress"] for row in latest[f"List/{list_id}/Contact?Unsubscribed"]}
            there = (row["emailAddress"] for row in first[f"List/{list_id}/Contact?Subscribed"])
            undated = next((email for email in there if email in left), None)
            for row in snapshot[f"List/{list_id}/Contact?Unsubscribed"]:
                if row["emailAddress"] == undated:
                    row["unsubscribeDate"] = NEVER
        if number > 1:
            # A sweep doesn't meet everybody who is there.
            del snapshot[f"List/{one}/Contact?Subscribed"][5]


def _is_late(rows: list[Any]) -> bool:
    """Whether a message was sent after SETTINGS have the history begin."""
    return all((row["sendDate"] or "") > "2025-10-30" for row in rows)


# State files in the middle of life


class Gated(Replay):
    """A Listrak that doesn't answer some requests, or only with errors."""

    hanging: Callable[[web.Request], bool] = staticmethod(lambda _: False)
    failing: Callable[[web.Request], bool] = staticmethod(lambda _: False)

    async def answer(self, request: web.Request) -> web.Response:
        if self.failing(request):
            return web.Response(status=503)
        if self.hanging(request):
            await asyncio.sleep(600)
        return await super().answer(request)


class Picky(Sink):
    """A Segment that refuses some events, and leaves batches of others without an answer."""

    refused: Callable[[bytes], bool] = staticmethod(lambda _: False)
    held: Callable[[bytes], bool] = staticmethod(lambda _: False)

    async def take(self, events: list[bytes]) -> web.Response:
        if any(map(self.refused, events)):
            return web.json_response({"success": False}, status=400)
        if any(map(self.held, events)):
            await asyncio.sleep(600)
        return await super().take(events)


def _is_refused(event: bytes) -> bool:
    return b'"Email Bounced"' in event and b'"list_id":"13456"' in event


class Life:
    """One state file's life, from its first start until it is killed in the middle."""

    def __init__(self, recording: Recording, checkout: Path, state: Path) -> None:
        self.recording = recording
        self.bridge = Bridge(recording, state, SETTINGS, sys.executable, checkout)
        self.state = state
        modules = sorted((checkout / "bridge/state").glob("*.py"))
        schema = "".join(module.read_text() for module in modules)
        self.format = int(re.findall(r"SCHEMA_VERSION: Final = (\d)", schema)[0])
        t0, t1 = recording.answers("t0"), recording.answers("t1")
        long = [path for path in sorted(t1) if re.search(r"\d/Message/\d+/Activity$", path)]
        long = [path for path in long if len(t1[path]) > 2 * PAGE_ROWS]
        self.new = next(path for path in long if path not in t0 or not t0[path])
        self.old = [path for path in long if path in t0 and t0[path] == t1[path]][-1]

    async def catch_up(self) -> None:
        """Killed in a catch-up, at messages, after a list's contacts could not all be read."""
        async with self._servers("t0") as (_, sink, variables):
            sink.refused = _is_refused
            await self.bridge.call(variables, ["run", "--once"])
        async with self._servers("t1") as (source, sink, variables):
            source.failing = lambda request: (
                "13456/Contact" in request.path and request.query.get("cursor") == "row 14"
            )
            source.hanging = self._is_late_page_of_the_new
            sink.held = lambda event: b'"Email Converted"' in event
            async with self._running(variables, "run", "--once"):
                await self._until(begun(f"format-{self.format}-catch-up"))

    async def service(self) -> None:
        """Killed while it polls, with a backfill under way where there is one."""
        async with self._servers("t0") as (_, sink, variables):
            sink.refused = _is_refused
            async with self._running(variables, "run", stop=signal.SIGTERM):
                await self._until(
                    {
                        "all": "SELECT count(*) > 30 AND count(looked_at) = count(*) FROM messages",
                        "contacts": "SELECT count(swept_at) = 2 FROM lists",
                    }
                )
        # A day later by Listrak's clock, all contacts are read again.
        async with self._servers("t1") as (source, sink, variables):
            source.hanging = lambda request: (
                self._is_late_page_of_the_new(request)
                or (
                    "13456/Contact" in request.path
                    and request.query["cursor"] == "row 14"
                    and "startDate" not in request.query
                )
                or (
                    self.old in request.path
                    and request.query["cursor"] == "row 14"
                    and "startDate" not in request.query
                    and "activityType" not in request.query
                )
            )
            sink.held = lambda event: b'"Email Converted"' in event
            async with self._running(variables, "run"):
                if self.format >= 3:
                    await self._until(
                        {
                            "new": f"{BEGUN['looks']} AND message = (SELECT id FROM messages"
                            f" WHERE message_id = {self.new.split('/')[3]} AND kind = 'broadcast')"
                        }
                    )
                    asking = self._running(variables, *HISTORY)
                    async with asking:
                        # As `reconcile --repair` leaves it.
                        hanging = self._ask(
                            "SELECT message FROM looks JOIN messages ON id = message"
                            f" WHERE message_id = {self.new.split('/')[3]}"
                        )
                        request = {"type": "repair", "messages": [hanging[0][0]]}
                        place = self.state.with_name(f"{self.state.name}.request-1")
                        place.write_text(json.dumps(request))
                        await self._until(begun(f"format-{self.format}-service"))
                else:
                    await self._until(begun(f"format-{self.format}-service"))

    def _is_late_page_of_the_new(self, request: web.Request) -> bool:
        return self.new in request.path and request.query.get("cursor") == "row 14"

    @asynccontextmanager
    async def _servers(self, instant: str) -> AsyncIterator[tuple[Gated, Picky, dict[str, str]]]:
        source, sink = Gated(self.recording, instant), Picky()
        settings = {
            **SETTINGS,
            "BRIDGE_BATCH_EVENTS": "4",
            "BRIDGE_SEND_CONCURRENCY": "32",
            "BRIDGE_POLL_CONCURRENCY": "12",
            "BRIDGE_POLL_INTERVAL": "0.3",
            "BRIDGE_QUEUE_PAGES": "30",
        }
        async with environment(source, sink, self.state, settings) as variables:
            yield source, sink, variables

    @asynccontextmanager
    async def _running(
        self, variables: dict[str, str], *command: str, stop: int = signal.SIGKILL
    ) -> AsyncIterator[None]:
        log = self.state.with_suffix(".log")
        with log.open("ab") as stream:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "bridge", *command),
                env=variables,
                cwd=self.bridge.folder,
                stdout=stream,
                stderr=stream,
            )
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(stop)
            await process.wait()

    def _ask(self, query: str) -> list[Any]:
        with closing(sqlite3.connect(f"file:{self.state}?mode=ro", uri=True)) as db:
            return db.execute(query).fetchall()

    async def _until(self, wanted: Mapping[str, str]) -> None:
        missing: list[str] = []
        for _ in range(600):
            await asyncio.sleep(0.1)
            with contextlib.suppress(sqlite3.OperationalError):
                missing = [name for name, query in wanted.items() if not self._ask(query)[0][0]]
                if not missing:
                    return
        raise AssertionError(f"never came: {missing}; see {self.state.with_suffix('.log')}")


async def make_state(checkout: Path, kind: str, recording: Recording, folder: Path) -> None:
    """Writes a state file, compressed."""
    state = Path(tempfile.mkdtemp(prefix="recorded-")) / "bridge.db"
    life = Life(recording, checkout, state)
    await (life.catch_up() if kind == "catch-up" else life.service())
    with closing(sqlite3.connect(state, factory=Writing)) as db:
        # By the clock of the machine that made this: long ago by any other's.
        db.execute("UPDATE unsubscribes SET noted_at = 0.0")
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.execute("PRAGMA journal_mode = DELETE")
        db.execute("VACUUM")
        assert db.execute("PRAGMA user_version").fetchone()[0] == life.format
    name = f"format-{life.format}-{kind}.db.xz"
    (folder / name).write_bytes(lzma.compress(state.read_bytes(), preset=9))
    print(name, (folder / name).stat().st_size)
    shutil.rmtree(state.parent)


async def main(what: str, *checkouts: str) -> None:
    """See above."""
    if what == "world":
        WORLD.write_bytes(await record(seed=11))
        print(WORLD.stat().st_size)
        return
    recording = Recording(WORLD)
    if what == "states":
        for checkout in checkouts:
            for kind in ("catch-up", "service"):
                await make_state(Path(checkout), kind, recording, RECORDED)
        return
    checkout, only = checkouts[0], checkouts[1] if len(checkouts) > 1 else ""
    expected: dict[str, Any] = json.loads(lzma.decompress(EXPECTED.read_bytes())) if only else {}
    for case in CASES:
        if not case.name.startswith(only):
            continue
        with tempfile.TemporaryDirectory() as folder:
            found = await outcome(case, Path(folder), sys.executable, Path(checkout))
        expected[case.name] = found
        print(case.name, {step: len(events) for step, events in found["events"].items()})
    text = json.dumps(expected, ensure_ascii=False, indent=0)
    EXPECTED.write_bytes(lzma.compress(text.encode(), preset=9))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

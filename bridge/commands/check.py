"""The command `check`: reports what can be known before the first run, and what can't."""

import sqlite3
from collections.abc import Awaitable, Callable

from anyio import to_thread
from rich.table import Table
from rich.text import Text

from bridge.clients import RETRY_DEADLINE_AT_START, listrak_client
from bridge.clock import SourceClock
from bridge.commands.consequences import consequences
from bridge.commands.state_age import state_age
from bridge.commands.status_port import check_status_port
from bridge.commands.surroundings import CheckResult, surroundings
from bridge.commands.terminal import print_json, terminal
from bridge.environment.settings import Settings
from bridge.errors import (
    BridgeError,
    ConfigurationError,
    CredentialsError,
    StateError,
    TemporaryError,
)
from bridge.flow.limits import MOST_NAMED
from bridge.flow.source import SourceList, resolve
from bridge.listrak import times, wire
from bridge.listrak.client import Listrak
from bridge.listrak.shapes import CONTACTS, FIELD_GROUPS, MESSAGES
from bridge.metrics import Metrics
from bridge.output.texts import without_addresses
from bridge.source_time import DIFFERENCE
from bridge.state.file_format import SCHEMA_VERSION
from bridge.state.opening import look, verify
from bridge.state.place import require
from bridge.state.store import open_store
from bridge.transport.http import Http

MOST_CLOCK_OFFSET = 60.0
"""Seconds that two clocks may differ without a warning; queries overlap by far more."""

WAL_BUG_UP_TO = (3, 51, 2)
WAL_BUG_MENDED = {(3, 50, 7), (3, 44, 6)}
"""SQLite versions with a rare bug that needs two writing connections; the bridge has one."""


async def check_all(settings: Settings, *, as_json: bool = False) -> int:
    """Prints the results of all checks; returns the exit code, the gravest of all."""
    report = _Report()
    await _state(settings, report)
    report.add("SQLite", "ok", _sqlite())
    await _set_aside(settings, report)
    for result in surroundings(settings):
        report.take(result)
    await report.note("status port", lambda: check_status_port(settings))
    metrics = Metrics()
    async with listrak_client(settings, metrics) as patient:
        listrak = patient.with_deadline(RETRY_DEADLINE_AT_START, give_up_on=(CredentialsError,))
        found: list[SourceList] = []
        if await report.note("Listrak credentials", lambda: _credentials(listrak)):
            found = await _lists(listrak, settings, report)
            await _scopes(listrak, found, report)
        report.add("clock", *_clock(listrak.clock))
        await _changes(listrak, settings, found, report)
    await report.note("Segment", lambda: _segment(settings))
    report.add(
        "Segment write key",
        "unknown",
        "can't be checked: Segment answers 200 to a wrong one as well. Look for the first events "
        "in the source's Debugger",
    )
    report.show(as_json=as_json)
    return report.exit_code


class _Report:
    def __init__(self) -> None:
        self._results: list[CheckResult] = []
        self.exit_code = 0

    def add(self, what: str, state: str, text: str) -> None:
        self.take(CheckResult(what, state, text))

    def take(self, result: CheckResult) -> None:
        """Adds a result to the report."""
        self._results.append(result)
        # An error that a person must mend outranks one that may pass by itself.
        if result.exit_code and self.exit_code in (0, 75):
            self.exit_code = result.exit_code

    async def note(self, what: str, check: Callable[[], Awaitable[str]]) -> bool:
        """Runs a check and adds its result to the report; tells whether it succeeded."""
        try:
            result = await check()
        except BridgeError as error:
            self.failed(what, error)
            return False
        self.add(what, "ok", result)
        return True

    def failed(self, what: str, error: BridgeError) -> None:
        self.take(CheckResult.of(what, error))

    def show(self, *, as_json: bool) -> None:
        if as_json:
            checks = [
                {"what": one.what, "state": one.state, "finding": one.text} for one in self._results
            ]
            print_json({"checks": checks, "exit_code": self.exit_code})
            return
        table = Table("what", "", "finding", show_lines=False)
        for one in self._results:
            colour = {"ok": "green", "failed": "red"}.get(one.state, "yellow")
            table.add_row(one.what, Text(one.state, style=colour), one.text)
        terminal().print(table)


async def _state(settings: Settings, report: _Report) -> None:
    """A row about the state file."""
    what, path = "state file", settings.state
    try:
        # In threads: a disk may hang, and no signal reaches a thread that waits for it.
        await to_thread.run_sync(look, path, abandon_on_cancel=True)
        if not path.exists():
            folder = path.absolute().parent
            if not folder.is_dir():
                raise StateError(f"BRIDGE_STATE: there is no folder {str(folder)!r}; make it first")
            report.add(what, "ok", f"{path} will be made at the first start")
            return
        found = await to_thread.run_sync(verify, path, abandon_on_cancel=True)
        async with open_store(path, read_only=True) as store:
            report.add(what, *await state_age(path, store, found))
    except BridgeError as error:
        report.failed(what, error)


async def _set_aside(settings: Settings, report: _Report) -> None:
    """A row for each list of which the service has set parts aside."""
    try:
        if not require(settings.state).exists():
            return
        async with open_store(settings.state, read_only=True) as store:
            if await store.version() < SCHEMA_VERSION:
                return
            for list_id in sorted(setting.list_id for setting in settings.lists):
                parts = [one for one in await store.set_aside.all(list_id) if one.reason]
                if not parts:
                    continue
                named = "; ".join(f"{one.part.name}: {one.reason}" for one in parts[:MOST_NAMED])
                report.add(
                    f"list {list_id}",
                    "warning",
                    f"{len(parts)} parts set aside, as of its last "
                    f"reading; all else goes on. {named}",
                )
    except BridgeError as error:
        report.failed("parts set aside", error)


async def _changes(
    listrak: Listrak, settings: Settings, found: list[SourceList], report: _Report
) -> None:
    """A row for each consequence that a start with these settings has."""
    try:
        if not require(settings.state).exists():
            return
        async with open_store(settings.state, read_only=True) as store:
            for sentence in await consequences(store, settings, found, listrak):
                report.add("changed setting", "notice", sentence)
    except BridgeError as error:
        report.failed("changed settings", error)


def _sqlite() -> str:
    version = sqlite3.sqlite_version_info
    affected = version <= WAL_BUG_UP_TO and version not in WAL_BUG_MENDED
    note = "; has the rare WAL reset bug, which a single writer like this one doesn't meet"
    return sqlite3.sqlite_version + (note if affected else "")


async def _credentials(listrak: Listrak) -> str:
    lists = await listrak.lists()
    return f"accepted; {len(lists.rows)} lists to be seen"


async def _lists(listrak: Listrak, settings: Settings, report: _Report) -> list[SourceList]:
    """A row for each configured list; returns those that can be read."""
    try:
        lists = await resolve(listrak, settings.lists)
    except BridgeError as error:
        report.failed("lists", error)
        return []
    for source in lists.found:
        user = f"userId from field {source.field_id}" if source.field_id else "no userId"
        report.add(f"list {source.list_id}", "ok", f"{without_addresses(source.name)}, {user}")
    for list_id, problem in lists.problems.items():
        report.failed(f"list {list_id}", problem)
    return lists.found


async def _scopes(listrak: Listrak, sources: list[SourceList], report: _Report) -> None:
    """Tries one route of each scope; a missing scope is refused like bad credentials."""
    if not sources:
        return
    path = f"List/{sources[0].list_id}"
    messages: list[wire.Message] = []

    async def contact() -> str:
        await listrak.page(f"{path}/Contact", CONTACTS, "contacts", wire.START, count=1)
        return "may be read"

    async def message() -> str:
        page = await listrak.page(f"{path}/Message", MESSAGES, "messages", wire.START, count=1)
        messages.extend(page.rows)
        return "may be read"

    async def segmentation() -> str:
        await listrak.get(f"{path}/SegmentationFieldGroup", FIELD_GROUPS, "profile field groups")
        return "may be read"

    async def report_scope() -> str:
        if not messages:
            return "no message yet to try it on"
        await listrak.summary(f"{path}/Message/{messages[0].message_id}")
        return "may be read"

    for scope, attempt in (
        ("Contact", contact),
        ("Message", message),
        ("Segmentation", segmentation),
        ("Report", report_scope),
    ):
        await report.note(f"scope {scope}", attempt)


def _clock(source: SourceClock) -> tuple[str, str]:
    offset = source.offset
    if offset is None:
        return (
            "unknown",
            "can't be compared: no answer of Listrak's told its time",
        )
    if source.evidence.doubted:
        return (
            "warning",
            "Listrak's answers contradict each other: the latest differs by "
            f"{source.evidence.doubt:+.0f} s from those before",
        )
    if abs(offset) > DIFFERENCE:
        return (
            "warning",
            f"this machine's clock differs by {-offset:+.0f} s from Listrak's, and nothing else "
            "tells which is right. Listrak's counts, as its dates are compared: a list that is new "
            f"begins at {times.from_seconds(source.now())[:19]}Z. Have this machine's set (NTP)",
        )
    if abs(offset) > MOST_CLOCK_OFFSET:
        return "warning", f"this machine's clock differs by {-offset:+.0f} s from Listrak's"
    return "ok", "agrees with Listrak's"


async def _segment(settings: Settings) -> str:
    """Checks that the address answers HTTP, without sending an event."""
    async with Http(timeout=10) as http:
        answer = await http.request("GET", f"{settings.segment_api_url}/batch", headers={})
    if answer.status in (301, 302, 307, 308):
        raise ConfigurationError("SEGMENT_API_URL", f"answers with a redirect ({answer.status})")
    if answer.status >= 500:
        raise TemporaryError(f"{settings.segment_api_url} answers {answer.status}: an outage")
    if answer.status == 407:
        problem = "the proxy wants a name and a password: http://user:password@its-address"
        raise ConfigurationError("HTTPS_PROXY, HTTP_PROXY", problem)
    return f"{settings.segment_api_url} answers"

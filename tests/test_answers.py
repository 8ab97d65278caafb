"""Every answer stands in the table of answers, and the clients do what it says there."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

import bridge
from bridge.clock import SourceClock
from bridge.errors import (
    CredentialsError,
    CursorError,
    MissingError,
    RefusedError,
    TemporaryError,
)
from bridge.listrak import wire
from bridge.listrak.auth import Auth
from bridge.listrak.client import Listrak
from bridge.listrak.refusals import explain
from bridge.listrak.shapes import ACTIVITIES
from bridge.metrics import Metrics
from bridge.sandbox.fault import Fault
from bridge.sandbox.faults import KINDS, Faults
from bridge.sandbox.server import serve
from bridge.segment.client import Segment
from bridge.segment.wire import Verdict
from bridge.segment.wire import body as batch_of
from bridge.segment.wire import verdict as verdict_of
from bridge.transport import retry
from bridge.transport.http import Answer, Http

pytestmark = pytest.mark.anyio

TEXT = (Path(bridge.__file__).parent / "ANSWERS.md").read_text(encoding="utf-8")
ROW = {"emailAddress": "ann@example.com"}


def rows(heading: str) -> dict[str, str]:
    """The rows of a table: the answer, and in one word what follows."""
    section = TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    table = [line.strip("| ").split(" | ") for line in section.splitlines() if line[:1] == "|"]
    return {cells[0]: cells[-1].strip("*") for cells in table[2:]}


def statuses(answer: str) -> Iterator[int]:
    """The statuses that a row names before its colon, such as `5xx`."""
    for first, rest in re.findall(r"`(\d)(\d\d|xx)`", answer.split(":")[0]):
        number = int(first) * 100
        yield from range(number, number + 100) if rest == "xx" else [number + int(rest)]


def by_status(heading: str, wanted: Callable[[str], bool]) -> dict[int, str]:
    """What follows of each status; a row that names it alone goes before one that names a class."""
    told: dict[int, str] = {}
    for answer, follows in rows(heading).items():
        if wanted(answer):
            for status in statuses(answer):
                alone = f"`{status}`" in answer
                if alone or status not in told:
                    told[status] = follows
    return told


@asynccontextmanager
async def listrak_with(*faults: str) -> AsyncIterator[tuple[Listrak, Auth, list[Fault]]]:
    """A client of a Listrak that has one page of one row, and these faults; its credentials."""

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/Token":
            return web.json_response({"access_token": "t", "expires_in": 3599})
        return web.json_response({"data": [ROW], "nextPageCursor": None})

    spoiled = Faults(*faults)
    app = web.Application(middlewares=[spoiled.middleware])
    app.on_shutdown.append(spoiled.shutdown)
    app.router.add_route("*", "/{path:.*}", answer)
    async with serve(app) as base, Http(timeout=0.5) as http:
        auth = Auth(http, url=f"{base}/Token", client_id="id", client_secret="secret")
        yield (
            Listrak(
                http,
                auth,
                Metrics(),
                SourceClock(),
                base=base,
                requests_per_second=0,
                deadline=0,
            ),
            auth,
            [*spoiled],
        )


def word_of(error: BaseException | None) -> str:
    """What the caller does, by the error that it gets."""
    for kind, word in (
        (CredentialsError, "paused"),
        (TemporaryError, "again"),
        (CursorError, "anew"),
        (MissingError, "left out"),
        (RefusedError, "refused"),
    ):
        if isinstance(error, kind):
            return word
    assert error is None, error
    return "taken"


async def outcome(call: Callable[[], Awaitable[object]]) -> str:
    try:
        await call()
    except (TemporaryError, RefusedError) as error:
        return word_of(error)
    return "taken"


BROKEN = ["reset", "lost", "torn", "no_http", "no_http:100000", "silent"]
PACKED = ["not_packed", "not_packed:deflate", "not_packed:br"]
FOREIGN = ["garbage", "blank:200", "cut_short", "deep", "wrong_type:kind=text,bare=true"]
FOREIGN += [
    f"wrong_type:kind={kind}" for kind in ("null", "text", "number", "true", "list", "object")
]

LISTRAK: dict[str, tuple[list[str], str]] = {
    "`200`: JSON of the shape described, whatever the content type says": (
        ["", "charset", "charset:utf-8"],
        wire.START,
    ),
    "`200`: HTML, nothing, half of it, null, another type, nested too deep, too many rows or "
    "values, an endless text": (
        # In a list something can be a row.
        [one for one in FOREIGN if one != "wrong_type:kind=list"],
        wire.START,
    ),
    "any status: packed, and not as it says": (PACKED, wire.START),
    "no answer: no connection, none that is trusted, cut off, no HTTP, silent for 30 s, not "
    "complete after 60 s": ([*BROKEN, "slow"], wire.START),
    "`1xx` `2xx` `3xx` (not 200)": (
        ["blank:204", "status:202", "redirect", "redirect:307", "status:304"],
        wire.START,
    ),
    "`408` `429` `5xx`": (["status:408", "throttle", "status:500", "status:599"], wire.START),
    "`401` `403`": (["status:401", "status:403", "status:403,body=<html>"], wire.START),
    "`404` `410` of what isn't a later page": (["status:404", "status:410"], wire.START),
    "`400` `404` `410` `422` of a later page": (
        ["status:400", "status:404", "status:410", "status:422", "echo"],
        "later",
    ),
    "`4xx` (all others)": (["status:400", "status:418", "status:451", "echo:400"], wire.START),
}


@pytest.mark.parametrize("answer", LISTRAK)
async def test_answers_of_listrak(answer: str) -> None:
    """Each row, by the faults that bring it about."""
    faults, cursor = LISTRAK[answer]
    for fault in faults:
        async with listrak_with(*filter(None, [fault and f"{fault},path=/L"])) as (client, _, hit):
            page = await outcome(lambda: client.page("L", ACTIVITIES, "activity", cursor))
            assert page == rows("Listrak's API")[answer], fault
            assert all(each.hits for each in hit)


@pytest.mark.parametrize("fault", ["huge:9000000", "huge:size=9000000,packed=true"])
async def test_too_much_of_listrak(fault: str) -> None:
    """With fewer rows it may be enough."""
    async with listrak_with(f"{fault},path=/L,times=1") as (client, _, hit):
        page = await client.page("L", ACTIVITIES, "activity", wire.START)
        assert len(page.rows) == 1
        assert hit[0].hits == 1
    (follows,) = (one for answer, one in rows("Listrak's API").items() if "5 MiB" in answer)
    assert follows == "smaller"


@pytest.mark.parametrize("code", [400, 401, 403, 404, 418, 429, 500])
async def test_refusals_in_a_200(code: int) -> None:
    """They are what their status is."""
    async with listrak_with(f"denial:{code},path=/L") as (client, _, _hit):
        page = await outcome(lambda: client.page("L", ACTIVITIES, "activity", wire.START))
    assert page == by_status("Listrak's API", is_of_first_page)[code]


@pytest.mark.parametrize("fault", ["circle", "circle:3", "circle:1", "circle:0"])
async def test_pages_without_end(fault: str) -> None:
    """A collection that goes round is read again later, a scan begins anew."""
    async with listrak_with(f"{fault},path=/L") as (client, _, _hit):
        assert await outcome(lambda: client.collection("L", ACTIVITIES, "activity")) == "again"
    (follows,) = (one for answer, one in rows("Listrak's API").items() if answer[:5] == "pages")
    assert follows == "anew"


def is_of_first_page(answer: str) -> bool:
    return "of a later page" not in answer and ":" not in answer


def is_of_later_page(answer: str) -> bool:
    return "of what isn't" not in answer and ":" not in answer


@pytest.mark.parametrize(
    ("paging", "wanted"), [(False, is_of_first_page), (True, is_of_later_page)]
)
def test_each_status_of_listrak(paging: bool, wanted: Callable[[str], bool]) -> None:
    """From 100 to 599, none left out, and none that the table says otherwise."""
    told = by_status("Listrak's API", wanted)
    for status in {*range(100, 600)} - {200}:
        error = explain(status, b"", "activity", paging=paging)
        assert word_of(error) == told[status], status


TOKEN: dict[str, list[str]] = {
    "`200`: JSON with an `access_token`": [""],
    "`200`: anything else": FOREIGN,
    "no answer, more than 64 KiB, packed and not as it says": [
        *BROKEN,
        *PACKED,
        "huge:100000",
        "huge:size=9000000,packed=true",
    ],
    "`400` `401` `403`": ["status:400", "status:401", "status:403", "echo"],
    "`408` `429` `5xx`": ["status:408", "throttle", "status:503"],
    "`1xx` `2xx` `3xx` `4xx` (all others)": ["blank:204", "redirect", "status:404", "status:422"],
}


@pytest.mark.parametrize("answer", TOKEN)
async def test_answers_of_the_token_endpoint(answer: str) -> None:
    """Each row; afterwards, as soon as it may be asked again, there is a token."""
    for fault in TOKEN[answer]:
        spoilt = [f"{fault},path=/Token"] if fault else []
        async with listrak_with(*spoilt) as (_, auth, hit):
            assert await outcome(auth.token) == rows("The token")[answer], fault
            assert all(each.hits for each in hit)


async def test_each_status_of_the_token_endpoint() -> None:
    """From 400 to 599, and samples of those before."""
    told = by_status("The token", lambda answer: ":" not in answer)
    assert set(told) == {*range(100, 600)}
    for status in [201, 204, 206, 300, 301, 304, 399, *range(400, 452), 499, *range(500, 512), 599]:
        async with listrak_with(f"status:{status},path=/Token") as (_, auth, _hit):
            assert await outcome(auth.token) == told[status], status


SEGMENT: dict[str, list[str]] = {
    '`2xx`: JSON that doesn\'t say otherwise (`{"success": true}`)': [
        "",
        'status:201,body={"success":true}',
        "status:202,body={}",
    ],
    "`2xx`: HTML, nothing, half of it, another type, an object that says anything else, an `error` "
    "or a `code`": [
        "garbage",
        "blank:200",
        "blank:204",
        "cut_short",
        "deep",
        "charset",
        "wrong_type:kind=text,bare=true",
        "wrong_type:kind=list,bare=true",
        "wrong_type:kind=object,bare=true",
        'status:200,body={"success":false}',
        'status:200,body={"error":"no"}',
        'status:200,body={"code":"no"}',
        "status:204",
    ],
    "no answer, more than 64 KiB, packed and not as it says": [
        *BROKEN,
        *PACKED,
        "slow",
        "huge:100000",
        "huge:size=9000000,packed=true",
    ],
    "`1xx` `3xx`": ["redirect", "redirect:308", "status:304"],
    "`400` `413` `422`": ["status:400", "status:413", "status:422", "echo"],
    "`408` `410` `429` `460` `5xx`": ["status:408", "throttle", "status:460", "status:599"],
    "`501` `505` `4xx` (all others)": ["status:401", "status:403", "status:404", "status:501"],
}
WORDS = {
    Verdict.ACCEPTED: "taken",
    Verdict.RETRY: "again",
    Verdict.FOREIGN: "again",
    Verdict.SPLIT: "split",
    Verdict.DENIED: "paused",
}


@pytest.mark.parametrize("answer", SEGMENT)
async def test_answers_of_segment(answer: str) -> None:
    """Each row, by the faults that bring it about; `set aside` is tested with the sender."""
    for text in SEGMENT[answer]:
        faults = Faults(*filter(None, [text]))
        app = web.Application(middlewares=[faults.middleware])
        app.on_shutdown.append(faults.shutdown)
        app.router.add_post("/batch", _accept)
        async with serve(app) as base, Http(timeout=0.5) as http:
            client = Segment(http, Metrics(), base=base, write_key="key")
            try:
                verdict, _ = await client.post(batch_of([b"{}"]))
                word = WORDS[verdict]
            except TemporaryError as error:
                word = word_of(error)
        assert word == rows("Segment")[answer], text


async def _accept(_: web.Request) -> web.Response:
    return web.json_response({"success": True})


def test_each_status_of_segment() -> None:
    """From 100 to 599, with and without a body that says it was accepted."""
    refusals = by_status("Segment", lambda answer: ":" not in answer and "any but" not in answer)
    for status in range(100, 600):
        for body, follows in ((b'{"success":true}', "taken"), (b"", "again")):
            word = WORDS[verdict_of(Answer(status, {}, body))]
            assert word == (follows if 200 <= status < 300 else refusals[status]), status


def test_each_row_is_tested() -> None:
    """No row of the documentation stands for itself."""
    assert set(rows("Listrak's API")) - set(LISTRAK) == {
        "`200`: JSON whose `status` is 400 to 999",
        "any status: more than 5 MiB (a message in full 10 MiB), packed or not; it isn't read any "
        "further",
        "pages: a cursor for the second time, or a hundred pages without rows on end",
    }
    assert set(rows("The token")) == set(TOKEN)
    (aside,) = set(rows("Segment")) - set(SEGMENT)
    assert aside.startswith("any but the first, three times")
    assert set(rows("Retry-After")) == set(RETRY_AFTER)


DATE = "Sun, 06 Nov 2033 08:49:37 GMT"
RETRY_AFTER = {
    "none, garbage, negative": ["", "soon", "-5", "1.5", "Mon, 01 Jan 99999999999 00:00:00 GMT"],
    "`0`, a date that has passed": ["0", "Sun, 06 Nov 2033 08:00:00 GMT"],
    "`7`": ["7"],
    "a date, by the server's own clock, seven seconds away": ["Sun, 06 Nov 2033 08:49:44 GMT"],
    "more than 300, a date beyond that": ["301", "9" * 5000, "Sun, 06 Nov 2044 08:49:44 GMT"],
}


@pytest.mark.parametrize("value", RETRY_AFTER)
def test_retry_after(value: str) -> None:
    """Each form; the waits are those of the table."""
    for text in RETRY_AFTER[value]:
        answer = Answer(429, {"Retry-After": text, "Date": DATE}, b"")
        error = TemporaryError("busy", answer.retry_after)
        waits = [retry.backoff(error, attempt) for attempt in range(1, 30)]
        wait = rows("Retry-After")[value]
        if wait == "as without it":
            assert answer.retry_after is None
            continue
        least, *most = map(float, wait.split(" to "))
        assert least <= min(waits) <= max(waits) <= (most or [least])[0]


def test_no_fault_is_missing_here() -> None:
    """Each fault of an answer brings about some row."""
    used = {
        text.split(":")[0]
        for texts in (*(one for one, _ in LISTRAK.values()), *TOKEN.values(), *SEGMENT.values())
        for text in texts
        if text
    }
    elsewhere = {"latency", "empty", "expire_token", "circle", "denial", "poison", "huge"}
    elsewhere |= {"bad_values", "wrong_date"}
    assert used | elsewhere == set(KINDS) | {"huge"}
    assert all(issubclass(kind, Fault) for kind in KINDS.values())

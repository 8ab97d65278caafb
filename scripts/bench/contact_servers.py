"""The servers of a first poll of a list's contacts: no emails, contacts by the page.

Spoken to as `servers`; what is counted are identifies.
"""

import asyncio
import gzip
import sys
import time

import msgspec
from aiohttp import web

from bench.load import LIST_ID, PAGE_ROWS, Ready, Report, envelope
from bench.servers import API, NOTHING, attend

LISTS = envelope([{"listId": LIST_ID, "listName": "Newsletter"}])


class Identify(msgspec.Struct, rename="camel"):
    """What is read of a delivered identify."""

    type: str
    message_id: str
    anonymous_id: str


class Batch(msgspec.Struct):
    """A delivered body."""

    batch: list[Identify]


class ContactServers:
    """A list of subscribed contacts, and the sink of their identifies."""

    def __init__(self, contacts: int) -> None:
        self._pages = dict(_pages(contacts))
        self.begin(empty=False)
        self.app = web.Application(client_max_size=2**23)
        self.app.router.add_post("/OAuth2/Token", self._token)
        self.app.router.add_get(API + "/{path:.+}", self._read)
        self.app.router.add_post("/v1/batch", self._batch)

    def begin(self, *, empty: bool) -> None:
        """Forgets the run before; in an `empty` one there are no contacts."""
        self._empty = empty
        self._kept: list[bytes] = []
        self._first = self._last = 0.0
        self._used = self._used_before = 0.0

    def report(self) -> Report:
        """Counts what arrived; of an identify, only who it is about makes the checksum."""
        decoder = msgspec.json.Decoder(Batch)
        events = [one for body in self._kept for one in decoder.decode(gzip.decompress(body)).batch]
        identifies = [one for one in events if one.type == "identify"]
        return Report(
            events=len(events),
            # An identify too many, or another kind of event, shows as one missing here.
            distinct=len({one.message_id for one in identifies}),
            content=len({one.anonymous_id for one in identifies}),
            posts=len(self._kept),
            wire_bytes=sum(map(len, self._kept)),
            first_page=self._first,
            last_post=self._last,
            busy=self._used - self._used_before,
        )

    async def _token(self, _: web.Request) -> web.Response:
        return web.json_response({"access_token": "good", "expires_in": 3599})

    async def _read(self, request: web.Request) -> web.Response:
        path, query = request.match_info["path"], request.query
        body = LISTS if path == "List" else NOTHING
        subscribed = query.get("subscriptionState") == "Subscribed"
        if path.endswith("/Contact") and subscribed and not self._empty:
            if not self._first:
                self._first, self._used_before = time.monotonic(), time.process_time()
            body = self._pages[query["cursor"]]
        return web.Response(body=body, content_type="application/json")

    async def _batch(self, request: web.Request) -> web.Response:
        self._kept.append(await request.read())
        self._last, self._used = time.monotonic(), time.process_time()
        return web.Response(body=b'{"success":true}', content_type="application/json")


def _pages(contacts: int) -> list[tuple[str, bytes]]:
    """Cursor and body of each page."""
    pages: list[tuple[str, bytes]] = []
    cursor = "Start"
    for start in range(0, contacts, PAGE_ROWS):
        stop = min(start + PAGE_ROWS, contacts)
        following = f"after-{stop}" if stop < contacts else None
        rows = [_contact(number) for number in range(start, stop)]
        pages.append((cursor, envelope(rows, following)))
        cursor = following or ""
    return pages


def _contact(number: int) -> dict[str, object]:
    """A contact with all fields that the API's documentation has."""
    return {
        # Not in the order of the alphabet, as an account's contacts aren't.
        "emailAddress": f"{number * 7919 % 1_000_003:06}.{number}@mail.example",
        "emailKey": f"{number:032x}",
        "universalEmailKey": f"{number:064x}",
        "subscriptionState": "Subscribed",
        "subscribeDate": "2024-05-17T10:20:30",
        "resubscribeDate": None,
        "subscribeMethod": "Website",
        "unsubscribeDate": None,
        "unsubscribeMethod": None,
        "externalContactID": None,
        "segmentationFieldValues": [],
    }


async def main(contacts: int) -> None:
    """Serves until standard input ends."""
    await attend(
        ContactServers(contacts),
        lambda address: Ready(address, messages=0, rows=contacts, events=contacts),
    )


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))

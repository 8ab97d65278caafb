"""What the service is measured against: the least that turns the same pages into the same events.

One asyncio loop, aiohttp and msgspec; nothing is retried, remembered, compared or limited, so a
second run would send everything again. It uses nothing of the bridge.

    python -m bench.peers.bare ADDRESS-OF-THE-SERVERS LIST-ID
"""

import asyncio
import sys
from collections.abc import Iterator
from typing import Generic, TypeVar

import aiohttp
import msgspec
from isal import igzip
from xxhash import xxh3_128_hexdigest

from bench.peers.eastern import instant

READERS = 4
POSTS = 8
BATCH_BYTES = 475_000
BATCH_EVENTS = 2500

Data = TypeVar("Data")


class Struct(msgspec.Struct, rename="camel"):
    """Base of what is read."""


class MailingList(Struct):
    """A list."""

    list_id: int
    list_name: str


class Campaign(Struct):
    """A campaign."""

    campaign_id: int
    campaign_name: str


class Message(Struct):
    """An email."""

    message_id: int
    campaign_id: int
    subject: str = ""
    google_analytics_campaign_name: str = ""


class Row(Struct):
    """A contact's activity."""

    email_address: str
    send_date: str
    activity_date: str | None
    open: bool


class Answer(Struct, Generic[Data]):
    """Any answer."""

    data: Data
    next_page_cursor: str | None


class Loop:
    """Reads messages side by side; their events share batches."""

    def __init__(self, session: aiohttp.ClientSession, address: str, list_id: int) -> None:
        self._session = session
        self._api = f"{address}/email/v1"
        self._sink = f"{address}/v1/batch"
        self._list_id = list_id
        self._slots = asyncio.Semaphore(POSTS)
        self._batch: list[bytes] = []
        self._size = 0

    async def run(self) -> None:
        """Everything once."""
        base = f"List/{self._list_id}"
        lists = (await self._get("List", Answer[list[MailingList]])).data
        campaigns = (await self._get(f"{base}/Campaign", Answer[list[Campaign]])).data
        messages = (await self._get(f"{base}/Message?cursor=Start", Answer[list[Message]])).data
        names = {row.list_id: row.list_name for row in lists}
        titles = {row.campaign_id: row.campaign_name for row in campaigns}
        todo = iter(messages)
        async with asyncio.TaskGroup() as posts:
            async with asyncio.TaskGroup() as readers:
                for _ in range(READERS):
                    readers.create_task(self._read(todo, names[self._list_id], titles, posts))
            if self._batch:
                await self._start(posts, self._batch)

    async def _read(
        self,
        todo: Iterator[Message],
        list_name: str,
        titles: dict[int, str],
        posts: asyncio.TaskGroup,
    ) -> None:
        for thin in todo:
            path = f"List/{self._list_id}/Message/{thin.message_id}"
            message = (await self._get(path, Answer[Message])).data
            properties = msgspec.json.encode(
                {
                    "email_id": str(message.message_id),
                    "email_subject": message.subject,
                    "campaign_name": titles[message.campaign_id],
                    "google_analytics_campaign_name": message.google_analytics_campaign_name,
                    "list_id": str(self._list_id),
                    "list_name": list_name,
                }
            ).decode()
            cursor: str | None = "Start"
            while cursor:
                query = f"{path}/Activity?cursor={cursor}&count=5000"
                page = await self._get(query, Answer[list[Row]])
                cursor = page.next_page_cursor
                for event in events(page.data, message.message_id, properties):
                    self._size += len(event) + 1
                    if self._size <= BATCH_BYTES and len(self._batch) < BATCH_EVENTS:
                        self._batch.append(event)
                        continue
                    full, self._batch, self._size = self._batch, [event], len(event) + 1
                    await self._start(posts, full)

    async def _get(self, path: str, shape: type[Data]) -> Data:
        async with self._session.get(f"{self._api}/{path}") as answer:
            answer.raise_for_status()
            return msgspec.json.decode(await answer.read(), type=shape)

    async def _start(self, posts: asyncio.TaskGroup, batch: list[bytes]) -> None:
        # Without a free slot the reader waits, so memory is bounded.
        await self._slots.acquire()
        posts.create_task(self._post(batch))

    async def _post(self, batch: list[bytes]) -> None:
        body = igzip.compress(b'{"batch":[' + b",".join(batch) + b"]}", 1)
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        async with self._session.post(self._sink, data=body, headers=headers) as answer:
            answer.raise_for_status()
            await answer.read()
        self._slots.release()


def events(rows: list[Row], message: int, properties: str) -> Iterator[bytes]:
    """The events of a page, encoded."""
    for row in rows:
        email = msgspec.json.encode(row.email_address).decode()
        who = f"{message} {row.send_date} {row.email_address}"
        yield track("Email Sent", who, email, instant(row.send_date), properties)
        if row.open and row.activity_date:
            yield track("Email Opened", who, email, instant(row.activity_date), properties)


def track(event: str, who: str, email: str, when: str, properties: str) -> bytes:
    """One event."""
    return (
        f'{{"type":"track","messageId":"listrak-{xxh3_128_hexdigest((event + who).encode())}",'
        f'"anonymousId":{email},"event":"{event}","timestamp":"{when}","properties":{properties},'
        f'"context":{{"library":{{"name":"listrak-segment-simple","version":"0.1.0"}},'
        f'"traits":{{"email":{email}}}}}}}'
    ).encode()


async def main(address: str, list_id: int) -> None:
    """Everything once."""
    async with aiohttp.ClientSession() as session:
        await Loop(session, address, list_id).run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))

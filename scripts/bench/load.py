"""The benchmark's load: an account with nothing but emails, sent and half of them opened.

Bodies are rendered once, before anything is measured.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import msgspec

LIST_ID = 101
ROWS_A_MESSAGE = 25_000
"""More events are more messages: a retailer that has sent for longer."""

PAGE_ROWS = 5000
ROWS_AN_EVENT = 2 / 3
CAMPAIGN_ID = 7

_DOMAINS = ("mail.example", "post.example", "inbox.example", "letters.example")
_NAMES = ("anna", "bjorn", "chidi", "dolores", "emeka", "farid", "greta", "hiro", "ines", "jamal")


class Ready(msgspec.Struct):
    """What the servers say when they are up; `events` are what the rows come to."""

    address: str
    messages: int
    rows: int
    events: int


class Report(msgspec.Struct):
    """What the servers saw of one run; times by the monotonic clock, which all processes share."""

    events: int
    distinct: int
    content: int
    """A checksum of what the events say, whatever their order and ids."""
    posts: int
    wire_bytes: int
    first_page: float
    last_post: float
    busy: float
    """CPU seconds of the servers between the two."""


class Load:
    """`bodies`: path below the API and cursor ("" where there is none) -> body."""

    def __init__(self, events: int) -> None:
        self.rows = round(events * ROWS_AN_EVENT)
        self.messages = max(1, round(self.rows / ROWS_A_MESSAGE))
        self.events = 0
        # In the daytime two days ago: long enough ago to be over, and no clock changes by day.
        two_days_ago = datetime.now(UTC).astimezone(ZoneInfo("America/New_York"))
        two_days_ago -= timedelta(days=2)
        self._morning = two_days_ago.replace(tzinfo=None, hour=9, minute=0, second=0, microsecond=0)
        self._random = Random(1)  # the same load every time
        self.bodies: dict[tuple[str, str], bytes] = {}
        self.no_messages = envelope([])
        """The list of messages of a run that only shows what start and stop cost."""
        self._render()

    def _render(self) -> None:
        base = f"List/{LIST_ID}"
        self.bodies["List", ""] = envelope([{"listId": LIST_ID, "listName": "Newsletter"}])
        campaigns = [{"campaignId": CAMPAIGN_ID, "campaignName": "Autumn"}]
        self.bodies[f"{base}/Campaign", ""] = envelope(campaigns)
        messages = [self._message(number) for number in range(1, self.messages + 1)]
        self.bodies[f"{base}/Message", "Start"] = envelope(messages)
        for number, message in enumerate(messages):
            path = f"{base}/Message/{message['messageId']}"
            rows = (self.rows + number) // self.messages
            self.bodies[path, ""] = envelope(message)
            summary = {"sentCount": rows, "openCount": rows // 2}
            self.bodies[f"{path}/Summary", ""] = envelope(summary)
            for cursor, following, body in self._pages(rows):
                self.bodies[f"{path}/Activity", cursor] = envelope(body, following)

    def _message(self, number: int) -> dict[str, object]:
        return {
            "messageId": 9000 + number,
            "sendDate": _written(self._morning),
            "campaignId": CAMPAIGN_ID,
            "subject": f"Letter {number}: what is new this week, and what goes",
            "googleAnalyticsCampaignName": f"letter-{number}",
        }

    def _pages(self, rows: int) -> Iterator[tuple[str, str | None, list[dict[str, object]]]]:
        """Cursor, the next page's cursor, rows; one empty page where there are no rows."""
        cursor = "Start"
        for start in range(0, max(rows, 1), PAGE_ROWS):
            stop = min(start + PAGE_ROWS, rows)
            following = f"after-{stop}" if stop < rows else None
            yield cursor, following, [self._row(number) for number in range(start, stop)]
            cursor = following or ""

    def _row(self, number: int) -> dict[str, object]:
        """A row with all fields that the API's documentation has."""
        sent = self._morning + timedelta(seconds=self._random.randrange(3600_00) / 100)
        opened = number % 2 == 1
        active = sent + timedelta(seconds=self._random.randrange(10 * 3600_000) / 1000)
        self.events += 1 + opened
        names, domain = self._random.choices(_NAMES, k=2), self._random.choice(_DOMAINS)
        return {
            "abuse": False,
            "activityDate": _written(active) if opened else None,
            "bounce": False,
            "bounceReason": None,
            "click": False,
            "clickCount": 0,
            "emailAddress": f"{'.'.join(names)}.{number}@{domain}",
            "open": opened,
            "orderTotal": None,
            "read": opened,
            "sendDate": _written(sent),
            "unsubscribe": False,
            "visitDate": None,
            "externalContactID": None,
        }


def envelope(data: object, following: str | None = None) -> bytes:
    """An answer's body."""
    return msgspec.json.encode({"status": 200, "nextPageCursor": following, "data": data})


def _written(naive: datetime) -> str:
    """As the API writes times: no zeros at the end of a fraction."""
    text = naive.isoformat()
    return text.rstrip("0") if "." in text else text

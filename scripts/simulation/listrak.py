"""Listrak over HTTP, of one list: answers its REST API from the population, on a virtual clock."""

import hashlib
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, Literal
from urllib.parse import parse_qsl

import msgspec
import numpy as np
from virtual.server import Answer, Request

from bridge.clock import DAY
from bridge.listrak import times, wire
from bridge.sandbox.listrak import API_PATH, TOKEN_PATH
from simulation import rows
from simulation.audience import Audience
from simulation.people import People
from simulation.population import LINKS, Moments, Send
from simulation.rows import TIMES_OF, Places, number_of

Query = dict[str, str]
Scan = tuple[Callable[[Places], list[Any]], Places]
"""The rows that are left of a scan: how they are shown, and their places."""

Reading = Literal["filters", "ignored", "refused"]
"""What Listrak makes of activityType."""

LIST: Final = 1
CONVERSATION: Final = 1

NOTHING_OF: Final = ("Campaign", "SegmentationFieldGroup", "SplitTest", "TransactionalMessage")
"""Resources of a list that it has none of."""

MOST_SCANS: Final = 1000
"""Scans that may be gone on with; whoever is given a page asks for that one again at most."""


class Refusal(Exception):  # noqa: N818 - an answer, no fault of the program
    """A request that is answered with 400."""


class Listrak:
    """An account with a list of people.

    now: tells the time, in seconds since 1970.
    page: most rows of a page, whatever is asked for.
    calls: by resource.
    calls_by_day: of all resources.
    rows: by resource.
    digest: of all calls so far, each with its time.
    """

    def __init__(
        self, people: People, now: Callable[[], float], *, page: int, reading: Reading
    ) -> None:
        self.calls: Counter[str] = Counter()
        self.calls_by_day: Counter[int] = Counter()
        self.rows: Counter[str] = Counter()
        self.digest = hashlib.blake2b()
        self._begin = people.begin
        self._audience = Audience(people)
        self._sends = sorted(people.sends, key=lambda send: send.begins)
        self._paths = {path_of(send): send for send in people.sends}
        # They never change.
        self._thin = {send.number: rows.message(send) for send in people.sends}
        self._now = now
        self._page = page
        self._reading = reading
        self._rest: dict[str, Scan] = {}
        self._moments = Moments()

    def answer(self, request: Request) -> Answer:
        """Answers a request."""
        now = self._now()
        self.calls_by_day[int((now - self._begin) // DAY)] += 1
        self.digest.update(f"{now:.6f} {request.target}\n".encode())
        path, _, query = request.target.partition("?")
        if path == TOKEN_PATH:
            self.calls["token"] += 1
            return _answer({"access_token": "token", "token_type": "bearer", "expires_in": 3599})
        path = path.removeprefix(f"{API_PATH}/")
        try:
            return _answer({"status": 200, **self._found(path, dict(parse_qsl(query)), now)})
        except KeyError:
            return _answer({"status": 404, "error": "ERROR_UNABLE_TO_LOCATE_RESOURCE"}, 404)
        except Refusal as refusal:
            error = {"status": 400, "error": "ERROR_INVALID_PARAMETER", "message": str(refusal)}
            return _answer(error, 400)

    def _found(self, path: str, query: Query, now: float) -> dict[str, Any]:
        """What an answer holds. Raises KeyError for what there isn't."""
        owner, _, resource = path.partition(f"List/{LIST}/")
        if owner or not resource:
            return {"data": self._lists(path)}
        whole, _, part = resource.rpartition("/")
        if resource in NOTHING_OF:
            self.calls[resource] += 1
            return {"data": []}
        if resource == "Contact":
            return self._page_of("contacts", query, lambda: self._contacts(query, now))
        if resource == "Message" or part == "Message":
            return self._messages(query, now, conversation=bool(whole))
        if resource == "Conversation":
            self.calls["conversations"] += 1
            return {"data": [{"conversationId": CONVERSATION, "campaignId": None}]}
        if whole == "Contact":
            self.calls["contact"] += 1
            return {"data": self._audience.contact(number_of(part), now)}
        return self._results(path, query, now)

    def _lists(self, path: str) -> list[dict[str, Any]]:
        if path != "List":
            raise KeyError(path)
        self.calls["lists"] += 1
        return [{"listId": LIST, "listName": "News"}]

    def _messages(self, query: Query, now: float, *, conversation: bool) -> dict[str, Any]:
        """Messages, thin: all that were begun."""
        self.calls["messages"] += 1
        since = _moment(query.get("startDate"))
        return {
            "data": [
                self._thin[send.number]
                for send in self._sends
                if send.conversation == conversation and since <= send.begins <= now
            ],
            "nextPageCursor": None,
        }

    def _results(self, path: str, query: Query, now: float) -> dict[str, Any]:
        """A message, or a resource of it."""
        if path in self._paths:
            self.calls["message"] += 1
            return {"data": self._thin[self._paths[path].number]}
        whole, _, resource = path.rpartition("/")
        if resource == "Clicker":
            whole, _, link = whole.rpartition("/Link/")
            send = self._paths[whole]
            return self._page_of(
                "clickers", query, lambda: self._clickers(send, int(link), query, now)
            )
        send = self._paths[whole]
        if resource == "Activity":
            return self._page_of("activity", query, lambda: self._activity(send, query, now))
        if resource == "Summary":
            self.calls["summary"] += 1
            return {"data": rows.summary(send, now)}
        if resource == "Link":
            self.calls["links"] += 1
            self.rows["links"] += LINKS
            return {"data": rows.links(send, now), "nextPageCursor": None}
        raise KeyError(path)

    def _page_of(self, resource: str, query: Query, first: Callable[[], Scan]) -> dict[str, Any]:
        """A page, and the cursor of what is left; `first` finds all rows at a scan's beginning."""
        self.calls[resource] += 1
        cursor = query.get("cursor", wire.START)
        show, places = first() if cursor == wire.START else self._rest[cursor]
        most = min(self._page, int(query.get("count", wire.DEFAULT_ROWS)))
        shown = show(places[:most])
        self.rows[resource] += len(shown)
        following = None
        if len(places) > most:
            following = f"{sum(self.calls.values())}"
            self._rest[following] = (show, places[most:])
        while len(self._rest) > MOST_SCANS:
            del self._rest[next(iter(self._rest))]
        return {"data": shown, "nextPageCursor": following}

    def _contacts(self, query: Query, now: float) -> Scan:
        subscribed = query.get("subscriptionState", "Subscribed") == "Subscribed"
        since = _moment(query.get("startDate"))
        places = self._audience.places(now, since, subscribed=subscribed)
        return (
            lambda shown: self._audience.contacts(shown, self._now(), subscribed=subscribed),
            places,
        )

    def _clickers(self, send: Send, link: int, query: Query, now: float) -> Scan:
        begin = np.searchsorted(send.clicked, _moment(query.get("startDate")), "left")
        end = np.searchsorted(send.clicked, now, "right")
        places = np.arange(begin, end, dtype=np.int64)
        return lambda shown: rows.clicks(send, shown), places[send.links[places] == link - 1]

    def _activity(self, send: Send, query: Query, now: float) -> Scan:
        """The rows of a scan, each shown as it is at the time of its page."""
        kind, start = query.get("activityType"), _moment(query.get("startDate"))
        if kind and self._reading == "refused":
            raise Refusal("activityType")
        if email := query.get("emailAddress"):
            number = np.array([number_of(email)], dtype=np.int64)
            places = number[send.sent[number] <= now]
        elif kind and self._reading == "filters":
            places = self._moments.between(send, TIMES_OF[kind], 0.0, now)
            places = places[send.sent[places] >= start]
        elif start and query.get("dateType") == "Activity" and not send.conversation:
            places = self._moments.between(send, "first", start, now)
        else:
            end = min(now, _moment(query.get("endDate")) or now)
            places = self._moments.between(send, "sent", start, end)
        return lambda shown: rows.activity_rows(send, shown, self._now()), places


def path_of(send: Send) -> str:
    """Its place in Listrak's API."""
    if send.conversation:
        return f"List/{LIST}/Conversation/{CONVERSATION}/Message/{send.number}"
    return f"List/{LIST}/Message/{send.number}"


def _moment(text: str | None) -> float:
    if not text:
        return 0.0
    return times.seconds(text if text.endswith("Z") else f"{text}Z")


def _answer(data: Any, status: int = 200) -> Answer:
    return Answer(msgspec.json.encode(data), status)

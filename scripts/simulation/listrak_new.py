"""Listrak over HTTP, of one list: answers its REST API from the population, on a virtual clock."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from email.utils import formatdate
from typing import Any

import msgspec
import numpy as np
from aiohttp import web

from bridge.listrak import times, wire
from bridge.sandbox.listrak import API_PATH, TOKEN_PATH
from simulation.audience import Audience
from simulation.bridge import LIST, path_of
from simulation.listrak import TIMES_OF, Places, Reading, activity_rows, address, number_of, texts
from simulation.population import LINKS, Moments, Send

Query = dict[str, str]

CONVERSATION = 1

# Resources of a list that it has none of.
NOTHING_OF = ("Campaign", "SegmentationFieldGroup", "SplitTest", "TransactionalMessage")


class Refusal(Exception):  # noqa: N818 - an answer, no fault of the program
    """A request that is answered with 400."""


class Account:
    """An account with a list of people, at whatever time `now` tells (seconds since 1970, UTC).

    page: most rows of a page, whatever is asked for.
    app: the application to be served.
    calls: by resource.
    rows: by resource.
    digest: of all calls so far, each with its time.
    """

    def __init__(
        self, sends: Sequence[Send], now: Callable[[], float], *, page: int, reading: Reading
    ) -> None:
        self.calls: Counter[str] = Counter()
        self.rows: Counter[str] = Counter()
        self.digest = hashlib.blake2b()
        self.audience = Audience(sends)
        self._sends = sorted(sends, key=lambda send: send.begins)
        self._paths = {path_of(send): send for send in sends}
        self._now = now
        self._page = page
        self._reading = reading
        self._rest: dict[str, tuple[Callable[[Places], list[Any]], Places]] = {}
        self._moments = Moments()
        self.app = web.Application()
        self.app.router.add_post(TOKEN_PATH, self._token)
        self.app.router.add_get(API_PATH + "/{path:.*}", self._read)
        self.app.on_response_prepare.append(self._date)

    async def _token(self, _request: web.Request) -> web.Response:
        self.calls["token"] += 1
        return _answer({"access_token": "token", "token_type": "bearer", "expires_in": 3599})

    async def _date(self, _request: web.Request, answer: web.StreamResponse) -> None:
        answer.headers["Date"] = formatdate(self._now(), usegmt=True)

    async def _read(self, request: web.Request) -> web.Response:
        path, now = request.match_info["path"], self._now()
        self.digest.update(f"{now:.6f} {request.path_qs}\n".encode())
        try:
            return _answer({"status": 200, **self._found(path, dict(request.query), now)})
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
            return {"data": self.audience.contact(number_of(part), now)}
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
                _message(send)
                for send in self._sends
                if send.conversation == conversation and since <= send.begins <= now
            ],
            "nextPageCursor": None,
        }

    def _results(self, path: str, query: Query, now: float) -> dict[str, Any]:
        """A message, or a resource of it."""
        if path in self._paths:
            self.calls["message"] += 1
            return {"data": _message(self._paths[path])}
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
            return {"data": _summary(send, now)}
        if resource == "Link":
            self.calls["links"] += 1
            self.rows["links"] += LINKS
            return {"data": _links(send, now), "nextPageCursor": None}
        raise KeyError(path)

    def _page_of(
        self,
        resource: str,
        query: Query,
        first: Callable[[], tuple[Callable[[Places], list[Any]], Places]],
    ) -> dict[str, Any]:
        """A page, and the cursor of what is left; `first` finds all rows at a scan's beginning."""
        self.calls[resource] += 1
        cursor = query.get("cursor", wire.START)
        show, places = first() if cursor == wire.START else self._rest[cursor]
        most = min(self._page, int(query.get("count", wire.DEFAULT_ROWS)))
        rows = show(places[:most])
        self.rows[resource] += len(rows)
        following = None
        if len(places) > most:
            following = f"{sum(self.calls.values())}"
            self._rest[following] = (show, places[most:])
        # Whoever is given a page asks for that one again at the very most.
        while len(self._rest) > 1000:
            del self._rest[next(iter(self._rest))]
        return {"data": rows, "nextPageCursor": following}

    def _contacts(self, query: Query, now: float) -> tuple[Callable[[Places], list[Any]], Places]:
        subscribed = query.get("subscriptionState", "Subscribed") == "Subscribed"
        since = _moment(query.get("startDate"))
        places = self.audience.places(now, since, subscribed=subscribed)
        return lambda shown: self.audience.contacts(shown, now, subscribed=subscribed), places

    def _clickers(
        self, send: Send, link: int, query: Query, now: float
    ) -> tuple[Callable[[Places], list[Any]], Places]:
        begin = np.searchsorted(send.clicked, _moment(query.get("startDate")), "left")
        end = np.searchsorted(send.clicked, now, "right")
        places = np.arange(begin, end, dtype=np.int64)
        return lambda shown: _clicks(send, shown), places[send.links[places] == link - 1]

    def _activity(
        self, send: Send, query: Query, now: float
    ) -> tuple[Callable[[Places], list[Any]], Places]:
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
            places = self._moments.between(send, "sent", start, now)
        return lambda shown: activity_rows(send, shown, self._now()), places


def _clicks(send: Send, places: Places) -> list[wire.Clicker]:
    dates = texts(send.clicked[places])
    numbers = send.clickers[places].tolist()
    return [wire.Clicker(address(who), at) for who, at in zip(numbers, dates, strict=True)]


def _message(send: Send) -> dict[str, Any]:
    sent = None if send.conversation else texts(send.sent[:1])[0]
    return {"messageId": send.number, "sendDate": sent, "campaignId": None, "subject": "News"}


def _summary(send: Send, now: float) -> wire.Summary:
    """The counters, exact and at once."""
    return wire.Summary(
        sent_count=send.counted("sent", now),
        open_count=send.counted("opened", now),
        click_count=send.counted("clicked", now),
        bounce_count=send.counted("bounced", now),
        unsubscribe_count=send.counted("unsubscribed", now),
        conversion_count=send.counted("ordered", now),
        revenue=send.revenue(now) / 100,
    )


def _links(send: Send, now: float) -> list[wire.Link]:
    before = int(np.searchsorted(send.clicked, now, "right"))
    counts = np.bincount(send.links[:before], minlength=LINKS)
    return [
        wire.Link(number, f"https://shop.example/{number}", int(count))
        for number, count in enumerate(counts.tolist(), 1)
    ]


def _moment(text: str | None) -> float:
    if not text:
        return 0.0
    return times.seconds(text if text.endswith("Z") else f"{text}Z")


def _answer(data: Any, status: int = 200) -> web.Response:
    return web.Response(
        status=status, body=msgspec.json.encode(data), content_type="application/json"
    )

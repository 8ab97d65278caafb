"""The read routes of the emulated Listrak API: what each shows of the world."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from .account import Click, Contact, Conversation, Link, MailingList, Message, Row, SplitTest
from .clock import WallClock
from .pages import InvalidParameterError, Pages
from .shapes import Json, Shapes
from .switches import Switches
from .views import Views
from .world import World

MAX_FIELDS = 30

Test = Callable[[datetime | None], bool]

ACTIVITIES: dict[str, Callable[[Row], bool]] = {
    "abuse": lambda row: row.abuse,
    "bounce": lambda row: row.bounced,
    "click": lambda row: row.clicks > 0,
    "conver": lambda row: row.order_cents is not None,
    "open": lambda row: row.opened,
    "order": lambda row: row.order_cents is not None,
    "read": lambda row: row.read,
    "sen": lambda row: True,  # noqa: ARG005 - every row is a send
    "unsub": lambda row: row.unsubscribed,
}


class NotFoundError(LookupError):
    """There is no such resource."""


class Ask(NamedTuple):
    """A request: its path, the ids in it by their names in the route, its query."""

    path: str
    ids: Mapping[str, str]
    query: Mapping[str, str]

    def id(self, name: str) -> int:
        """An id from the path. Raises InvalidParameterError when it is no number."""
        text = self.ids[name]
        if not text.isascii() or not text.isdigit():
            raise InvalidParameterError(name)
        return int(text)

    def flag(self, name: str, *, default: bool) -> bool:
        """A boolean of the query. Raises InvalidParameterError."""
        text = self.query.get(name, str(default)).lower()
        if text not in ("true", "false"):
            raise InvalidParameterError(name)
        return text == "true"


class Api:
    """Answers by route template of the Swagger document, from the world as it stands.

    `routes[template](ask)` gives the envelope, or raises NotFoundError, InvalidParameterError,
    OversizeError.
    """

    def __init__(self, world: World, switches: Switches, pages: Pages, wall: WallClock) -> None:
        self._world = world
        self._switches = switches
        self._pages = pages
        self._wall = wall
        self._shapes = Shapes(wall, switches)
        self._views = Views(world, switches)
        one = "/v1/List/{listId}"
        message = one + "/Message/{messageId}"
        talk = one + "/Conversation/{conversationId}"
        turn = talk + "/Message/{conversationMessageId}"
        note = one + "/TransactionalMessage/{transactionalMessageId}"
        self.routes: dict[str, Callable[[Ask], Json]] = {
            "/v1/List": self._lists,
            one: lambda ask: _resource(self._shapes.mailing_list(self._list(ask))),
            one + "/Campaign": self._campaigns,
            one + "/Contact": self._contacts,
            one + "/Contact/{contactIdentifier}": self._contact,
            talk.rpartition("/")[0]: self._conversations,
            talk: lambda ask: _resource(self._shapes.conversation(self._conversation(ask))),
            talk + "/Message": self._conversation_messages,
            turn: self._message,
            turn + "/Activity": self._activity,
            turn + "/Link": self._links,
            turn + "/Link/{conversationMessageLinkId}/Clicker": self._clickers,
            turn + "/Summary": self._summary,
            one + "/Message": self._messages,
            message: self._message,
            message + "/Activity": self._activity,
            message + "/Link": self._links,
            message + "/Link/{messageLinkId}/Clicker": self._clickers,
            message + "/Status": self._status,
            message + "/Summary": self._summary,
            one + "/SegmentationFieldGroup": self._groups,
            one + "/SegmentationFieldGroup/{segmentationFieldGroupId}/SegmentationField": (
                self._fields
            ),
            one + "/SplitTest": self._split_tests,
            one + "/SplitTest/{splitTestId}/Message": self._split_messages,
            note.rpartition("/")[0]: self._transactional,
            note: lambda ask: _resource(self._shapes.transactional(self._find(ask))),
            note + "/Activity": self._activity,
        }

    # Lists and contacts

    def _lists(self, _ask: Ask) -> Json:
        return _collection(
            [self._shapes.mailing_list(owner) for owner in self._world.lists.values()]
        )

    def _campaigns(self, ask: Ask) -> Json:
        campaigns = self._list(ask).campaigns.items()
        return _collection([{"campaignId": i, "campaignName": name} for i, name in campaigns])

    def _groups(self, ask: Ask) -> Json:
        return _collection(self._shapes.groups(self._list(ask)))

    def _fields(self, ask: Ask) -> Json:
        owner = self._list(ask)
        group_id = ask.id("segmentationFieldGroupId")
        if group_id not in owner.groups:
            raise NotFoundError
        return _collection(self._shapes.fields(owner, group_id))

    def _contacts(self, ask: Ask) -> Json:
        owner, fields = self._list(ask), self._wanted_fields(ask)
        state = ask.query.get("subscriptionState", "Subscribed")
        if state not in ("Subscribed", "Unsubscribed"):
            raise InvalidParameterError("subscriptionState")
        subscribed = state == "Subscribed"
        original = ask.flag("useOriginalSubscribeDate", default=True)
        within = self._between(ask, exclusive=not original)
        external = ask.query.get("externalContactId")

        def show(contact: Contact) -> Json | None:
            date = contact.unsubscribe_date
            if subscribed:
                date = contact.subscribe_date
                if not original:
                    date = contact.resubscribe_date or date
            if (
                contact.deleted
                or contact.subscribed != subscribed
                or (external is not None and contact.external_id != external)
                or not within(date)
            ):
                return None
            return self._shapes.contact(owner, contact, fields)

        return self._page(ask, owner.register, show)

    def _contact(self, ask: Ask) -> Json:
        owner, fields = self._list(ask), self._wanted_fields(ask)
        wanted = ask.ids["contactIdentifier"]
        for contact in owner.contacts.values():
            if wanted == contact.email_key or wanted.casefold() == contact.email.casefold():
                return _resource(self._shapes.contact(owner, contact, fields))
        raise NotFoundError

    def _wanted_fields(self, ask: Ask) -> list[int]:
        parts = list(filter(None, ask.query.get("segmentationFieldIds", "").split(",")))
        if len(parts) > MAX_FIELDS or not all(p.isascii() and p.isdigit() for p in parts):
            raise InvalidParameterError("segmentationFieldIds")
        return [int(part) for part in parts]

    # Messages

    def _messages(self, ask: Ask) -> Json:
        within = self._between(ask, undated=self._switches.undated == "kept")
        tests = ask.flag("includeTestMessages", default=False)

        def show(message: Message) -> Json | None:
            if not message.listed or (message.test and not tests):
                return None
            date = message.sent_at if message.dated else None
            return self._shapes.message(message) if within(date) else None

        return self._page(ask, list(self._list(ask).messages.values()), show)

    def _conversations(self, ask: Ask) -> Json:
        talks = self._list(ask).conversations.values()
        return _collection([self._shapes.conversation(talk) for talk in talks])

    def _conversation_messages(self, ask: Ask) -> Json:
        previous = ask.flag("includePreviousVersions", default=False)

        def show(message: Message) -> Json | None:
            return self._shapes.message(message) if previous or not message.previous else None

        return self._page(ask, self._conversation(ask).messages, show)

    def _transactional(self, ask: Ask) -> Json:
        messages = self._list(ask).transactional.values()
        return _collection([self._shapes.transactional(message) for message in messages])

    def _split_tests(self, ask: Ask) -> Json:
        within = self._between(ask)

        def show(test: SplitTest) -> Json | None:
            return self._shapes.split_test(test) if within(test.start) else None

        return self._page(ask, list(self._list(ask).split_tests.values()), show)

    def _split_messages(self, ask: Ask) -> Json:
        test = self._list(ask).split_tests.get(ask.id("splitTestId"))
        if test is None:
            raise NotFoundError
        return _collection(self._shapes.split_messages(test))

    def _message(self, ask: Ask) -> Json:
        return _resource(self._shapes.detail(self._find(ask)))

    # What became of a message

    def _activity(self, ask: Ask) -> Json:
        message, switches = self._find(ask), self._switches
        date_type = "Send"
        talk = message.kind == "conversation"
        if not talk or switches.conversation_dates == "type":
            # Of conversation messages the parameter isn't documented.
            date_type = ask.query.get("dateType", date_type)
        if date_type not in ("Send", "Activity"):
            raise InvalidParameterError("dateType")
        matches = self._activity_type(ask)
        within = self._between(ask)
        if talk and switches.conversation_dates == "ignored":
            within = _always
        if talk and switches.conversation_dates == "refused":
            for name in ("startDate", "endDate"):
                if name in ask.query:
                    raise InvalidParameterError(name)
        email = None if message.kind == "conversation" else ask.query.get("emailAddress")

        def show(row: Row) -> Json | None:
            date: datetime | None = row.sent_at
            if date_type == "Activity":
                first = switches.date_type == "first"
                date = row.first_activity if first else row.latest_activity
            if not within(date) or not matches(row) or (email is not None and row.email != email):
                return None
            return self._shapes.activity(message, row)

        return self._page(ask, self._views.rows(message), show)

    def _activity_type(self, ask: Ask) -> Callable[[Row], bool]:
        wanted = ask.query.get("activityType")
        if wanted is None or self._switches.activity_type == "ignored":
            return ACTIVITIES["sen"]
        if self._switches.activity_type == "filters":
            for name, test in ACTIVITIES.items():
                if wanted.lower().startswith(name):
                    return test
        raise InvalidParameterError("activityType")

    def _links(self, ask: Ask) -> Json:
        message = self._find(ask)
        counted = self._views.counted(message).clicks

        def show(link: Link) -> Json:
            return self._shapes.link(link, len(counted.get(link.link_id, [])))

        return self._page(ask, message.links, show)

    def _clickers(self, ask: Ask) -> Json:
        message, within = self._find(ask), self._between(ask)
        name = "messageLinkId" if message.kind == "message" else "conversationMessageLinkId"
        link = next((one for one in message.links if one.link_id == ask.id(name)), None)
        if link is None:
            raise NotFoundError

        def show(click: Click) -> Json | None:
            return self._shapes.click(click) if within(click.at) else None

        return self._page(ask, self._views.clicks(message, link.link_id), show)

    def _summary(self, ask: Ask) -> Json:
        view = self._views.counted(self._find(ask))
        return _resource(self._shapes.summary(view.sent, view.totals))

    def _status(self, ask: Ask) -> Json:
        return _resource(self._shapes.status(self._find(ask)))

    # Finding things

    def _list(self, ask: Ask) -> MailingList:
        owner = self._world.lists.get(ask.id("listId"))
        if owner is None:
            raise NotFoundError
        return owner

    def _conversation(self, ask: Ask) -> Conversation:
        talk = self._list(ask).conversations.get(ask.id("conversationId"))
        if talk is None:
            raise NotFoundError
        return talk

    def _find(self, ask: Ask) -> Message:
        """The message of whatever kind that the path names."""
        if "conversationMessageId" in ask.ids:
            wanted = ask.id("conversationMessageId")
            messages = {one.message_id: one for one in self._conversation(ask).messages}
        elif "transactionalMessageId" in ask.ids:
            wanted = ask.id("transactionalMessageId")
            messages = self._list(ask).transactional
        else:
            wanted = ask.id("messageId")
            messages = self._list(ask).messages
        if wanted not in messages:
            raise NotFoundError
        return messages[wanted]

    def _page(self, ask: Ask, rows: list[Any], show: Callable[[Any], Json | None]) -> Json:
        return self._pages.page(ask.path, ask.query, rows, show, self._world.now)

    def _between(self, ask: Ask, *, exclusive: bool = False, undated: bool = False) -> Test:
        """A test of startDate and endDate on local time; `undated`: None passes a filter."""
        start, end = self._date(ask, "startDate"), self._date(ask, "endDate")
        if start is None and end is None:
            return _always

        def within(date: datetime | None) -> bool:
            if date is None:
                return undated
            local = self._wall.at(date)
            if start is not None and local < start:
                return False
            return end is None or local < end or (local == end and not exclusive)

        return within

    def _date(self, ask: Ask, name: str) -> datetime | None:
        text = ask.query.get(name)
        if not text:
            return None
        try:
            return self._wall.read(text)
        except ValueError as error:
            raise InvalidParameterError(name) from error


def _always(_: datetime | None) -> bool:
    return True


def _collection(data: list[Json]) -> Json:
    return {"status": 200, "data": data}


def _resource(data: Json) -> Json:
    return {"status": 200, "data": data}

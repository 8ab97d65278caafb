"""The read routes of the emulated Listrak API."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from .account import Click, Contact, Conversation, Link, MailingList, Message, Row, SplitTest
from .clock import WallClock
from .pages import InvalidParameterError, Pages
from .read_request import ReadRequest, always
from .shapes import Json, Shapes
from .switches import Switches
from .views import Views
from .world import World

MAX_FIELDS = 30

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
    """The resource does not exist."""


class Api:
    """Answers by route template of the Swagger document, from the world as it is.

    routes: by template, a function that makes a request's envelope. It raises NotFoundError,
        InvalidParameterError, OversizeError.
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
        self.routes: dict[str, Callable[[ReadRequest], Json]] = {
            "/v1/List": self._lists,
            one: lambda request: _resource(self._shapes.mailing_list(self._list(request))),
            one + "/Campaign": self._campaigns,
            one + "/Contact": self._contacts,
            one + "/Contact/{contactIdentifier}": self._contact,
            talk.rpartition("/")[0]: self._conversations,
            talk: lambda request: _resource(self._shapes.conversation(self._conversation(request))),
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
            note: lambda request: _resource(self._shapes.transactional(self._find(request))),
            note + "/Activity": self._activity,
        }

    # Lists and contacts

    def _lists(self, _request: ReadRequest) -> Json:
        return _collection(
            [
                self._shapes.mailing_list(owner)
                for owner in self._world.lists.values()
                if not owner.removed
            ]
        )

    def _campaigns(self, request: ReadRequest) -> Json:
        campaigns = self._list(request).campaigns.items()
        return _collection([{"campaignId": i, "campaignName": name} for i, name in campaigns])

    def _groups(self, request: ReadRequest) -> Json:
        return _collection(self._shapes.groups(self._list(request)))

    def _fields(self, request: ReadRequest) -> Json:
        owner = self._list(request)
        group_id = request.id("segmentationFieldGroupId")
        if group_id not in owner.groups:
            raise NotFoundError
        return _collection(self._shapes.fields(owner, group_id))

    def _contacts(self, request: ReadRequest) -> Json:
        owner, fields = self._list(request), self._wanted_fields(request)
        state = request.query.get("subscriptionState", "Subscribed")
        if state not in ("Subscribed", "Unsubscribed"):
            raise InvalidParameterError("subscriptionState")
        subscribed = state == "Subscribed"
        original = request.flag("useOriginalSubscribeDate", default=True)
        within = request.between(self._wall, exclusive=not original)
        external = request.query.get("externalContactId")

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

        return self._page(request, owner.register, show)

    def _contact(self, request: ReadRequest) -> Json:
        owner, fields = self._list(request), self._wanted_fields(request)
        wanted = request.ids["contactIdentifier"]
        for contact in owner.contacts.values():
            if wanted == contact.email_key or wanted.casefold() == contact.email.casefold():
                return _resource(self._shapes.contact(owner, contact, fields))
        raise NotFoundError

    def _wanted_fields(self, request: ReadRequest) -> list[int]:
        parts = list(filter(None, request.query.get("segmentationFieldIds", "").split(",")))
        if len(parts) > MAX_FIELDS or not all(p.isascii() and p.isdigit() for p in parts):
            raise InvalidParameterError("segmentationFieldIds")
        return [int(part) for part in parts]

    # Messages

    def _messages(self, request: ReadRequest) -> Json:
        within = request.between(self._wall, undated=self._switches.undated == "kept")
        tests = request.flag("includeTestMessages", default=False)

        def show(message: Message) -> Json | None:
            if not message.listed or (message.test and not tests):
                return None
            date = message.sent_at if message.dated else None
            return self._shapes.message(message) if within(date) else None

        return self._page(request, list(self._list(request).messages.values()), show)

    def _conversations(self, request: ReadRequest) -> Json:
        talks = self._list(request).conversations.values()
        return _collection([self._shapes.conversation(talk) for talk in talks])

    def _conversation_messages(self, request: ReadRequest) -> Json:
        previous = request.flag("includePreviousVersions", default=False)

        def show(message: Message) -> Json | None:
            return self._shapes.message(message) if previous or not message.previous else None

        return self._page(request, self._conversation(request).messages, show)

    def _transactional(self, request: ReadRequest) -> Json:
        messages = self._list(request).transactional.values()
        return _collection([self._shapes.transactional(message) for message in messages])

    def _split_tests(self, request: ReadRequest) -> Json:
        within = request.between(self._wall)

        def show(test: SplitTest) -> Json | None:
            return self._shapes.split_test(test) if within(test.start) else None

        return self._page(request, list(self._list(request).split_tests.values()), show)

    def _split_messages(self, request: ReadRequest) -> Json:
        test = self._list(request).split_tests.get(request.id("splitTestId"))
        if test is None:
            raise NotFoundError
        return _collection(self._shapes.split_messages(test))

    def _message(self, request: ReadRequest) -> Json:
        return _resource(self._shapes.detail(self._find(request)))

    # Results of a message

    def _activity(self, request: ReadRequest) -> Json:
        message, switches = self._find(request), self._switches
        date_type = "Send"
        talk = message.kind == "conversation"
        if not talk or switches.conversation_dates == "type":
            # The parameter isn't documented for conversation messages.
            date_type = request.query.get("dateType", date_type)
        if date_type not in ("Send", "Activity"):
            raise InvalidParameterError("dateType")
        matches = self._activity_type(request)
        within = request.between(self._wall)
        if talk and switches.conversation_dates == "ignored":
            within = always
        if talk and switches.conversation_dates == "refused":
            for name in ("startDate", "endDate"):
                if name in request.query:
                    raise InvalidParameterError(name)
        email = None if talk else self._email_address(request)

        def show(row: Row) -> Json | None:
            date: datetime | None = row.sent_at
            if date_type == "Activity":
                first = switches.date_type == "first"
                date = row.first_activity if first else row.latest_activity
            if not within(date) or not matches(row) or (email is not None and row.email != email):
                return None
            return self._shapes.activity(message, row)

        return self._page(request, self._views.rows(message), show)

    def _email_address(self, request: ReadRequest) -> str | None:
        """The address that rows are asked of, None for all of them."""
        email = request.query.get("emailAddress")
        if email is not None and self._switches.email_address == "refused":
            raise InvalidParameterError("emailAddress")
        return email if self._switches.email_address == "filters" else None

    def _activity_type(self, request: ReadRequest) -> Callable[[Row], bool]:
        wanted = request.query.get("activityType")
        if wanted is None or self._switches.activity_type == "ignored":
            return ACTIVITIES["sen"]
        if self._switches.activity_type == "filters":
            for name, test in ACTIVITIES.items():
                if wanted.lower().startswith(name):
                    return test
        raise InvalidParameterError("activityType")

    def _links(self, request: ReadRequest) -> Json:
        message = self._find(request)
        counted = self._views.counted(message).clicks

        def show(link: Link) -> Json:
            return self._shapes.link(link, len(counted.get(link.link_id, [])))

        return self._page(request, message.links, show)

    def _clickers(self, request: ReadRequest) -> Json:
        message, within = self._find(request), request.between(self._wall)
        name = "messageLinkId" if message.kind == "message" else "conversationMessageLinkId"
        link = next((one for one in message.links if one.link_id == request.id(name)), None)
        if link is None:
            raise NotFoundError

        def show(click: Click) -> Json | None:
            return self._shapes.click(click) if within(click.at) else None

        return self._page(request, self._views.clicks(message, link.link_id), show)

    def _summary(self, request: ReadRequest) -> Json:
        view = self._views.counted(self._find(request))
        return _resource(self._shapes.summary(view.sent, view.totals))

    def _status(self, request: ReadRequest) -> Json:
        return _resource(self._shapes.status(self._find(request)))

    # Resources of a path

    def _list(self, request: ReadRequest) -> MailingList:
        owner = self._world.lists.get(request.id("listId"))
        if owner is None or owner.removed:
            raise NotFoundError
        return owner

    def _conversation(self, request: ReadRequest) -> Conversation:
        talk = self._list(request).conversations.get(request.id("conversationId"))
        if talk is None:
            raise NotFoundError
        return talk

    def _find(self, request: ReadRequest) -> Message:
        """The message that the path names, of any kind."""
        if "conversationMessageId" in request.ids:
            wanted = request.id("conversationMessageId")
            messages = {one.message_id: one for one in self._conversation(request).messages}
        elif "transactionalMessageId" in request.ids:
            wanted = request.id("transactionalMessageId")
            messages = self._list(request).transactional
        else:
            wanted = request.id("messageId")
            messages = self._list(request).messages
        if wanted not in messages:
            raise NotFoundError
        return messages[wanted]

    def _page(
        self, request: ReadRequest, rows: list[Any], show: Callable[[Any], Json | None]
    ) -> Json:
        return self._pages.page(request.path, request.query, rows, show, self._world.now)


def _collection(data: list[Json]) -> Json:
    return {"status": 200, "data": data}


def _resource(data: Json) -> Json:
    return {"status": 200, "data": data}

"""Listrak's read operations, one method a resource."""

from typing import Literal, NamedTuple

from bridge.errors import MissingError
from bridge.listrak import requests, shapes, wire
from bridge.listrak.calls import Calls
from bridge.listrak.pages import PageOf


class RowFilter(NamedTuple):
    """The activity rows that are asked for.

    activity_type: only rows with that activity.
    date_type: the date of a row that `since` and `until` are compared with.
    since: naive time of the earliest row.
    until: likewise of the latest.
    """

    activity_type: str | None = None
    date_type: Literal["Send", "Activity"] | None = None
    since: str | None = None
    until: str | None = None


class Listrak(Calls):
    """A client of the account, read only; for what its methods raise, see Calls."""

    # What the account holds

    async def lists(self) -> PageOf[wire.MailingList]:
        """All lists of the account."""
        return await self.listing("List", shapes.LISTS, "lists")

    async def campaigns(self, list_id: int) -> PageOf[wire.Campaign]:
        """The campaigns of a list, without those whose name means none (FACTS.md: Lists)."""
        page = await self.listing(f"List/{list_id}/Campaign", shapes.CAMPAIGNS, "campaigns")
        return page._replace(rows=[row for row in page.rows if row.campaign_name])

    async def profile_fields(self, list_id: int) -> PageOf[wire.ProfileField]:
        """The profile fields of a list, of all groups."""
        path = f"List/{list_id}/SegmentationFieldGroup"
        groups = await self.listing(path, shapes.FIELD_GROUPS, "profile field groups")
        rows: list[wire.ProfileField] = []
        unread = list(groups.unread)
        for group in groups.rows:
            inner = f"{path}/{group.segmentation_field_group_id}/SegmentationField"
            fields = await self.listing(inner, shapes.FIELDS, "profile fields")
            rows += fields.rows
            unread += fields.unread
        return PageOf(rows, None, None, unread)

    async def messages(self, list_id: int, since: str | None = None) -> list[wire.Message]:
        """The broadcast messages of a list, thin; with `since` (a naive time) those sent later.

        Messages of split tests, or without a date, may be missing (FACTS.md: Messages).
        """
        return await self.collection(
            f"List/{list_id}/Message", shapes.MESSAGES, "messages", startDate=since
        )

    async def split_tests(self, list_id: int) -> list[wire.SplitTest]:
        """All split tests of a list."""
        return await self.collection(f"List/{list_id}/SplitTest", shapes.SPLIT_TESTS, "split tests")

    async def split_test_messages(self, list_id: int, test_id: int) -> list[int]:
        """Message ids of a split test."""
        path = f"List/{list_id}/SplitTest/{test_id}/Message"
        answer = await self.get(path, shapes.SPLIT_TEST_MESSAGES, "split test messages")
        return [row.message_id for row in answer.data]

    async def conversations(self, list_id: int) -> list[wire.Conversation]:
        """All conversations of a list."""
        path = f"List/{list_id}/Conversation"
        return (await self.get(path, shapes.CONVERSATIONS, "conversations")).data

    async def conversation_messages(self, list_id: int, conversation: int) -> list[wire.Message]:
        """The messages of a conversation, those of its previous versions among them, thin."""
        return await self.collection(
            f"List/{list_id}/Conversation/{conversation}/Message",
            shapes.MESSAGES,
            "conversation messages",
            includePreviousVersions="true",
        )

    async def transactional_messages(self, list_id: int) -> list[wire.TransactionalMessage]:
        """All transactional messages of a list."""
        path = f"List/{list_id}/TransactionalMessage"
        return (await self.get(path, shapes.TRANSACTIONAL, "transactional messages")).data

    # One message; `path` as of state.records.Message.path

    async def message(self, path: str) -> wire.Message:
        """A message in full."""
        return (await self.get(path, shapes.MESSAGE, "message")).data

    async def started(self, path: str) -> str | None:
        """The naive time at which a broadcast began to be sent, for one without a sendDate."""
        return (await self.get(f"{path}/Status", shapes.STATUS, "message status")).data.start_date

    async def summary(self, path: str) -> wire.Summary:
        """A message's counters."""
        return (await self.get(f"{path}/Summary", shapes.SUMMARY, "summary")).data

    async def links(self, path: str) -> list[wire.Link]:
        """The links of a message."""
        return await self.collection(f"{path}/Link", shapes.LINKS, "links")

    async def activity(
        self, path: str, cursor: str, only: RowFilter | None = None
    ) -> PageOf[wire.Activity]:
        """A page of a message's activity rows, filtered if Listrak does so (FACTS.md: Filters).

        cursor: of the page; wire.START for the first.
        only: the rows that are asked for; None for all.
        """
        asked = only or RowFilter()
        # Send is the default, and conversation messages have no dateType (FACTS.md: Filters).
        return await self.page(
            f"{path}/Activity",
            shapes.ACTIVITIES,
            "activity",
            cursor,
            activityType=asked.activity_type,
            dateType=asked.date_type if asked.date_type == "Activity" else None,
            startDate=asked.since,
            endDate=asked.until,
        )

    async def activity_of(self, path: str, email: str, cursor: str) -> PageOf[wire.Activity]:
        """A page of the rows of one address, as Listrak filters them (FACTS.md: Filters).

        Not for conversation messages. Nothing promises that no other rows come.
        """
        return await self.page(
            f"{path}/Activity", shapes.ACTIVITIES, "activity", cursor, emailAddress=email
        )

    async def clickers(
        self, path: str, link_id: int, cursor: str, *, since: str | None = None
    ) -> PageOf[wire.Clicker]:
        """A page of the clicks on a link; with `since` (a naive time) of those from then on."""
        path = f"{path}/Link/{link_id}/Clicker"
        return await self.page(path, shapes.CLICKERS, "clickers", cursor, startDate=since)

    # Contacts

    async def contacts(
        self, list_id: int, state: str, cursor: str, field: int | None, start: str | None
    ) -> PageOf[wire.Contact]:
        """A page of a list's contacts.

        state: Subscribed or Unsubscribed.
        cursor: of the page; wire.START for the first.
        field: id of the profile field to be read with them.
        start: naive time from which on they came into that state (FACTS.md: Contacts).
        """
        return await self.page(
            f"List/{list_id}/Contact",
            shapes.CONTACTS,
            "contacts",
            cursor,
            subscriptionState=state,
            segmentationFieldIds=field,
            startDate=start,
            useOriginalSubscribeDate="false" if start else None,
        )

    async def contact(self, list_id: int, email: str, field: int | None) -> PageOf[wire.Contact]:
        """One contact, as a page; without a row if the list doesn't have it (any more)."""
        path = f"List/{list_id}/Contact/{requests.quoted(email)}"
        try:
            answer = await self._fetch(
                path, shapes.CONTACT, "contact", {"segmentationFieldIds": field}
            )
        except MissingError:
            return PageOf([], None)
        return PageOf([answer.envelope.data], None, None, answer.unread)

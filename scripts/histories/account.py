"""The account of a history: what its people do, and who edits it."""

from datetime import UTC, datetime, timedelta
from typing import Final

from bridge.sandbox.account import Contact, MailingList, Profile
from bridge.sandbox.world import World

LISTS: Final = (12345, 13456, 14567)

MAIL: Final = ("broadcast", "broadcast", "split_test", "conversation", "transactional")
PEOPLE_DO: Final = (
    *("open", "click", "click", "order", "open", "click", "order"),
    *("complain", "bounce", "opt_out", "unsubscribe", "resubscribe", "resubscribe"),
    *("subscribe", "delete", "profile"),
)
EDITS: Final = (
    *("rename_list", "rename_campaign", "change_subject", "change_google_analytics"),
    *("rename_field", "remove_list", "put_back_list", "put_back_list"),
)
DEEDS: Final = (*PEOPLE_DO, "respell", *EDITS)
"""The deeds of people, and of who edits the account; the more often, the likelier."""

START: Final = datetime(2024, 7, 1, 12, tzinfo=UTC)
"""The beginning of the world: long ago, so that no instant of a history is yet to come here."""

PEOPLE: Final = 6
"""Contacts of each list at the beginning; the first two are on all of them."""

RECENT: Final = 12
"""The latest sends, with one of which most things happen."""

REASONS: Final = ("Mailbox Full", "Invalid Address")
URLS: Final = ("https://shop.example/a", "https://shop.example/b?c=d&e")


def drawn_account() -> World:
    """An account of three lists, of which nothing was sent yet."""
    world = World(start=START)
    for list_id in LISTS:
        world.add_list(f"List {list_id}", list_id=list_id)
        fields = [world.add_field(list_id, name).field_id for name in ("Customer ID", "Loyalty")]
        for number in range(PEOPLE):
            where = "" if number < 2 else f"-{list_id}"
            values = {field: f"{field}-{number}" for field in fields if number % 3 != 2}
            profile = Profile(values)
            email = f"person{number}{where}@example.com"
            world.subscribe(list_id, email, profile=profile, at=START - timedelta(days=100))
        world.unsubscribe(list_id, email, at=START - timedelta(days=20))
        campaign = world.add_campaign(list_id, "Sale")
        talk = world.add_conversation(list_id, "Welcome", campaign_id=campaign)
        for number in range(2):
            subject = f"Welcome {number}"
            world.add_message(
                list_id, "conversation", subject=subject, conversation=talk, links=URLS
            )
        world.add_message(list_id, "transactional", subject="Order №1", name="Order")
    return world


class DrawnAccount:
    """The deeds of the people of an account. What can't happen doesn't.

    world: empty but for what `drawn_account` makes.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self._born = 0

    def do(self, what: str, luck: int) -> None:
        """Does a deed of MAIL or DEEDS."""
        owner = self.world.lists[LISTS[luck % len(LISTS)]]
        luck //= len(LISTS)
        if what in MAIL:
            self._send(what, owner, luck)
        elif what in ("open", "click", "order", "complain", "bounce", "opt_out"):
            self._react(what, luck)
        elif what in ("unsubscribe", "resubscribe", "subscribe", "delete", "profile", "respell"):
            self._change_contact(what, owner, luck)
        else:
            self._edit(what, owner, luck)

    # Mail

    def _send(self, what: str, owner: MailingList, luck: int) -> None:
        world, list_id = self.world, owner.list_id
        people = [one.email for one in owner.contacts.values() if one.subscribed]
        some = [email for place, email in enumerate(people) if (luck >> place) & 1]
        some = [email for email in some if email] or people[:1]
        if what in ("conversation", "transactional"):
            of_kind = [message for message in owner.emails() if message.kind == what]
            world.send(of_kind[luck % len(of_kind)], some[:3])
            return
        message = world.add_message(
            list_id,
            subject=f"Broadcast {luck % 100}",
            links=URLS[: 1 + luck % 2],
            campaign_id=next(iter(owner.campaigns)) if luck % 3 else 0,
            google_analytics=f"ga-{luck % 10}" if luck % 4 == 0 else None,
            listed=what == "broadcast",
            dated=luck % 5 != 1,
            rows_dated=luck % 7 != 2 or luck % 5 == 1,
        )
        if what == "split_test":
            test = world.add_split_test(list_id, f"Test {luck % 100}")
            test.messages.append(("A", message))
        world.send(message, some)

    def _react(self, what: str, luck: int) -> None:
        sends = [fact for fact in self.world.log if fact.what == "send"]
        if not sends:
            return
        recent = sends if luck % 3 == 0 else sends[-RECENT:]
        fact = recent[luck // 3 % len(recent)]
        message, row = fact.message, fact.row
        assert message is not None
        assert row is not None
        world, email = self.world, row.email
        contact = world.lists[message.list_id].contact(email)
        if what == "open":
            world.open(message, email, row=row)
        elif what == "click":
            link = message.links[luck % len(message.links)] if message.links else None
            world.click(message, email, link, row=row)
        elif what == "order":
            world.order(message, email, 100 + luck % 9_900, row=row)
        elif what == "complain" and not row.abuse:
            world.complain(message, email, row=row)
        elif what == "bounce" and not row.bounced:
            world.bounce(message, email, REASONS[luck % 2], row=row)
        elif what == "opt_out" and contact is not None and contact.subscribed:
            world.opt_out(message, email, row=row)

    # Contacts

    def _change_contact(self, what: str, owner: MailingList, luck: int) -> None:
        world, list_id = self.world, owner.list_id
        contacts = list(owner.contacts.values())
        if what == "resubscribe":
            contacts = [one for one in contacts if not one.subscribed]
        if what == "subscribe" or not contacts:
            self._born += 1
            world.subscribe(list_id, f"newcomer{self._born}@example.com", method="Web form")
            return
        contact = contacts[luck % len(contacts)]
        if what == "unsubscribe" and contact.subscribed:
            world.unsubscribe(list_id, contact.email)
        elif what == "resubscribe":
            world.resubscribe(list_id, contact.email)
        elif what == "delete":
            world.delete_contact(list_id, contact.email)
        elif what == "profile":
            fields = list(owner.fields)
            values = (None, "", "n/a", f"C-{luck % 1000}", f"C-{luck % 1000}")
            world.set_profile(list_id, contact.email, fields[luck % 2], values[luck // 2 % 5])
        elif what == "respell":
            world.respell(list_id, contact.email, _respelled(contact))

    # Edits

    def _edit(self, what: str, owner: MailingList, luck: int) -> None:
        world, list_id = self.world, owner.list_id
        messages = owner.emails()
        message = messages[luck % len(messages)]
        if what == "rename_list":
            world.rename_list(list_id, f"List {list_id} as of {luck % 1000}")
        elif what == "rename_campaign":
            world.rename_campaign(list_id, next(iter(owner.campaigns)), f"Sale {luck % 1000}")
        elif what == "change_subject":
            world.change_subject(message, f"{message.subject.split(',')[0]}, {luck % 1000}")
        elif what == "rename_field":
            field_id = list(owner.fields)[luck % 2]
            name = ("Customer ID", "Loyalty")[luck % 2]
            was_renamed = owner.fields[field_id].name != name
            world.rename_field(list_id, field_id, name if was_renamed else f"{name} (old)")
        elif what in ("remove_list", "put_back_list"):
            if owner.removed == (what == "put_back_list"):
                (world.put_back_list if owner.removed else world.remove_list)(list_id)
        elif message.kind != "transactional":
            # The API has none of those.
            analytics = f"ga-{luck % 1000}" if luck % 3 else None
            world.change_google_analytics(message, analytics)


def _respelled(contact: Contact) -> str:
    email = contact.email
    return email.upper() if email == email.lower() else email.lower()

"""The people of the world, who open, click, buy, complain, come and leave, and their mail."""

from __future__ import annotations

import gc
import random
from datetime import datetime, timedelta

from .account import Contact, MailingList, Message, Origin, Profile, Row
from .world import World

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0

DOUBLE_CLICK_EVERY = 11  # clicks on a link, of which one is two within the same instant

LIST_NAMES = ("Newsletter", "Café & Größe — акции 🎁", "VIP")
CAMPAIGNS = ("Summer sale", "Осенняя распродажа", "Back in stock")
SUBJECTS = (
    "Your weekly picks",
    "🔥 Last chance: 50% off 🎉",
    "Новинки недели — только сегодня",
    'He said "yes" \\ she said no',
    "Line\u2028separator & <b>markup</b>",
    "Größenberatung für Sie",
)
URLS = (
    "https://shop.example/?utm_source=listrak&utm_medium=email",
    "https://shop.example/größe/schuhe?farbe=blau&q=a%20b",
    "https://shop.example/акции?id=7#start",
    "https://shop.example/account",
)
DESCRIPTIONS = dict(zip(URLS, ("Header logo", "Größe: Schuhe", "Акции", ""), strict=True))
REASONS = ("Mailbox Full", "General Hard Bounce", "Auto Reply", "Invalid Address")
DEPARTURES = ("Administrator", "Subscriber", "API", "Import")
AGENTS = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Thunderbird/115.12",
)


def populated_world(
    *,
    start: datetime,
    seed: int = 0,
    contacts: int = 200,
    lists: int = 2,
    history: timedelta = timedelta(days=3),
) -> World:
    """A world with `history` before `start` (aware), which goes on living."""
    world = World(start=start - history)
    collecting = gc.isenabled()
    gc.disable()  # nothing here becomes garbage, and searching for it doubles the time
    try:
        Population(world, seed=seed, contacts=contacts, lists=lists).populate()
        world.advance(start)
    finally:
        if collecting:
            gc.enable()
    return world


class Population:
    """The population of a world, and its plans. The same seed makes the same people do the same.

    contacts: number on each list.
    lists: number of lists.
    activity: factor of how often things happen by themselves.
    """

    def __init__(
        self,
        world: World,
        *,
        seed: int = 0,
        contacts: int = 200,
        lists: int = 2,
        activity: float = 1.0,
    ) -> None:
        if activity <= 0 or not 1 <= lists <= len(LIST_NAMES):
            raise ValueError(f"activity must be above 0, lists 1 to {len(LIST_NAMES)}")
        self._world = world
        self._rng = random.Random(seed)
        self._contacts = contacts
        self._lists = lists
        self._pace = 1 / activity
        self._born = 0
        self._sent = 0

    def populate(self) -> None:
        """Makes the lists and their people, and begins."""
        for name in LIST_NAMES[: self._lists]:
            owner = self._world.add_list(name)
            self._world.add_field(owner.list_id, "Customer ID", group="Customer")
            self._world.add_field(owner.list_id, "Birthday", group="Personal", data_type="Date")
            for campaign in CAMPAIGNS:
                self._world.add_campaign(owner.list_id, campaign)
            for _ in range(self._contacts):
                self._join(owner, newcomer=False)
            self._set_up_mail(owner)

    def _set_up_mail(self, owner: MailingList) -> None:
        world, campaigns = self._world, list(owner.campaigns)
        world.plan(self._pace * HOUR * self._rng.uniform(0.5, 3), self._broadcast, owner)
        for name, campaign in (("Welcome", campaigns[0]), ("Корзина", 0)):
            talk = world.add_conversation(owner.list_id, name, campaign_id=campaign)
            for step in range(3):
                world.add_message(
                    owner.list_id,
                    "conversation",
                    subject=f"{name} {step + 1} 👋",
                    links=URLS[: step + 1],
                    conversation=talk,
                    campaign_id=campaigns[1] if step == 1 else 0,
                    google_analytics=f"{name.lower()}-{step + 1}" if step else None,
                    previous=step == 2,
                )
            for message in talk.messages:
                _describe_links(message)
                world.plan(self._rng.uniform(0, 2 * HOUR), self._drip, owner, message)
        for name, campaign in (("Order confirmation", campaigns[2]), ("Password reset", 0)):
            message = world.add_message(
                owner.list_id,
                "transactional",
                subject=f"{name} №1",
                name=name,
                campaign_id=campaign,
            )
            world.plan(self._rng.uniform(0, 2 * HOUR), self._drip, owner, message)
        world.plan(self._pace * HOUR, self._churn, owner)

    # Contacts

    def _join(self, owner: MailingList, *, newcomer: bool) -> None:
        """Adds a contact; one that is no newcomer subscribed within two years before the world."""
        rng, world = self._rng, self._world
        email = self._address(owner)
        if owner.contact(email) is not None:
            return
        customer, birthday = owner.fields
        values: dict[int, str] = {}
        if (luck := rng.random()) < 0.75:
            values[customer] = "" if luck < 0.05 else f"C-{rng.randrange(10**8):08d}"
        if rng.random() < 0.3:
            values[birthday] = (
                f"{rng.randint(1950, 2005)}-0{rng.randint(1, 9)}-1{rng.randint(0, 9)}"
            )
        since = None if newcomer else world.now - timedelta(seconds=rng.uniform(30, 730) * DAY)
        external_id = f"ext-{rng.randrange(10**6)}" if rng.random() < 0.3 else None
        world.subscribe(
            owner.list_id,
            email,
            method="Web form" if newcomer else "Import",
            profile=Profile(values, external_id),
            at=since,
        )
        if since is not None and rng.random() < 0.1:
            left = since + timedelta(seconds=rng.uniform(0, 29) * DAY)
            world.unsubscribe(owner.list_id, email, rng.choice(DEPARTURES), at=left)

    def _address(self, owner: MailingList) -> str:
        """A new address, or in one case of six one that another list has."""
        others = [other for other in self._world.lists.values() if other is not owner]
        if others and self._rng.random() < 1 / 6:
            return self._rng.choice(self._rng.choice(others).register).email
        self._born += 1
        n = self._born
        odd = (
            f"anna+news{n}@example.com",
            f"мария{n}@почта.example",
            f"Bob.O'Neil{n}@Example.COM",
            f"josé{n}@bücher.example",
        )
        return odd[n // 8 % len(odd)] if n % 8 == 0 else f"user{n}@example.net"

    def _churn(self, owner: MailingList) -> None:
        """Lets a few contacts come, go, come back, change."""
        rng, world, list_id = self._rng, self._world, owner.list_id
        for _ in range(1 + len(owner.register) // 400):
            contact = self._someone(owner)
            deed = rng.random()
            if deed < 0.35 or contact is None:
                self._join(owner, newcomer=True)
            elif deed < 0.5 and contact.subscribed:
                world.unsubscribe(list_id, contact.email, rng.choice(DEPARTURES))
            elif deed < 0.65 and not contact.subscribed:
                world.resubscribe(list_id, contact.email)
            elif deed < 0.92:
                value = rng.choice((None, "", f"C-{rng.randrange(10**8):08d}"))
                world.set_profile(list_id, contact.email, next(iter(owner.fields)), value)
            else:
                world.delete_contact(list_id, contact.email)
        world.plan(self._pace * HOUR * rng.uniform(0.3, 1.7), self._churn, owner)

    def _someone(self, owner: MailingList) -> Contact | None:
        contact = self._rng.choice(owner.register) if owner.register else None
        return None if contact is None or contact.deleted else contact

    # Mail

    def _broadcast(self, owner: MailingList) -> None:
        """Schedules a message or a split test for a part of the list, and the next broadcast."""
        rng, world, list_id = self._rng, self._world, owner.list_id
        self._sent += 1
        share = rng.uniform(0.3, 1)
        audience = [c.email for c in owner.contacts.values() if rng.random() < share]
        audience = [email for email in audience if owner.contacts[email].subscribed]
        rng.shuffle(audience)
        wait = rng.uniform(10, 60) * MINUTE
        if self._sent % 3 == 0:
            test = world.add_split_test(list_id, f"Subject test {self._sent}")
            fifth = len(audience) // 5
            parts = (audience[:fifth], audience[fifth : 2 * fifth], audience[2 * fifth :])
            for group, part in zip(("A", "B", None), parts, strict=True):
                message = self._compose(owner, listed=group is None)
                test.messages.append((group, message))
                world.plan(wait + (2 * HOUR if group is None else 0), self._mail, message, part)
        else:
            world.plan(wait, self._mail, self._compose(owner), audience)
        world.plan(self._pace * DAY * rng.uniform(0.3, 1.2), self._broadcast, owner)

    def _compose(self, owner: MailingList, *, listed: bool = True) -> Message:
        rng, number = self._rng, self._sent
        message = self._world.add_message(
            owner.list_id,
            subject=f"{rng.choice(SUBJECTS)} #{number}",
            links=rng.sample(URLS, rng.randint(1, 3)),
            campaign_id=rng.choice((0, *owner.campaigns)),
            google_analytics=rng.choice((None, "", f"ga_{number}", f"кампания-{number}")),
            listed=listed,
            dated=number % 5 != 0,
            rows_dated=number % 7 != 2 or number % 5 == 0,
        )
        _describe_links(message)
        return message

    def _mail(self, message: Message, audience: list[str]) -> None:
        """Sends most messages within minutes; with send-time optimisation within a day."""
        rng, world = self._rng, self._world
        if not audience:
            return
        message.sent_at = world.now
        over_a_day = message.message_id % 4 == 3
        for email in audience:
            wait = rng.uniform(0, DAY) if over_a_day else min(rng.expovariate(1 / 90), 900)
            world.plan(wait, self._deliver, message, email)

    def _drip(self, owner: MailingList, message: Message) -> None:
        """Sends a conversation's or a transactional message to some contacts, again and again."""
        rng, world = self._rng, self._world
        # Few contacts, so that the same message comes to the same contact again.
        pool = owner.register[: max(5, len(owner.register) // 10)]
        for _ in range(1 + len(owner.register) // 200):
            contact = rng.choice(pool) if pool else None
            if contact is not None and contact.subscribed and not contact.deleted:
                wait = rng.uniform(0, self._pace * 2 * HOUR)
                world.plan(wait, self._deliver, message, contact.email)
        world.plan(self._pace * rng.uniform(1, 3) * HOUR, self._drip, owner, message)

    def _deliver(self, message: Message, email: str) -> None:
        """Sends a message to a contact and plans its fate."""
        rng, world = self._rng, self._world
        last = message.latest.get(email)
        if last is not None and last.sent_at >= world.now:
            return
        world.send(message, [email])
        row = message.latest[email]
        fate = rng.random()
        if fate < 0.04:
            wait = rng.expovariate(1 / (2 * MINUTE))
            world.plan(wait, self._bounce, message, row)
        elif fate < 0.055:
            world.plan(rng.expovariate(1 / (4 * HOUR)), self._complain, message, row)
        elif fate < 0.07:
            world.plan(rng.expovariate(1 / (5 * HOUR)), self._leave, message, row)
        if fate >= 0.045 and rng.random() < 0.45:
            # Most open within hours, some within days.
            mean = 3 * HOUR if rng.random() < 0.8 else 2 * DAY
            world.plan(rng.expovariate(1 / mean), self._open, message, row)

    def _bounce(self, message: Message, row: Row) -> None:
        self._world.bounce(message, row.email, self._rng.choice(REASONS), row=row)

    def _complain(self, message: Message, row: Row) -> None:
        self._world.complain(message, row.email, row=row)

    def _leave(self, message: Message, row: Row) -> None:
        contact = self._world.lists[message.list_id].contact(row.email)
        if contact is not None and contact.subscribed:
            self._world.opt_out(message, row.email, row=row)

    def _open(self, message: Message, row: Row) -> None:
        rng, world = self._rng, self._world
        origin = self._origin()
        read = rng.random() < 0.6
        world.open(message, row.email, row=row, read=read, origin=origin)
        if rng.random() < 0.35:
            for _ in range(rng.randint(1, 3)):
                world.plan(rng.expovariate(1 / (20 * MINUTE)), self._click, message, row)

    def _click(self, message: Message, row: Row) -> None:
        rng, world = self._rng, self._world
        origin = self._origin()
        link = rng.choice(message.links) if message.links else None
        world.click(message, row.email, link, row=row, origin=origin)
        if link is not None and len(link.clicks) % DOUBLE_CLICK_EVERY == 0:
            # Nothing but its count tells the second from the first.
            world.click(message, row.email, link, row=row, origin=origin)
        if rng.random() < 0.25:
            world.plan(rng.expovariate(1 / HOUR), self._order, message, row)

    def _order(self, message: Message, row: Row) -> None:
        cents = self._rng.randint(199, 39_999)
        self._world.order(message, row.email, cents, row=row)

    def _origin(self) -> Origin:
        rng = self._rng
        return Origin(f"203.0.113.{rng.randint(1, 254)}", rng.choice(AGENTS))


def _describe_links(message: Message) -> None:
    for link in message.links:
        link.description = DESCRIPTIONS[link.url]

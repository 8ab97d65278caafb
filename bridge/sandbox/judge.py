"""The judge: compares what Segment received with what truly happened."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from .account import Message
from .envelopes import Envelopes
from .evidence import CLICKED, CONVERTED, ROW_EVENTS, Duty, Evidence, Key, Life, Slot, properties
from .expectations import Expectations
from .history import History
from .history_judge import judge_history
from .identities import Identities
from .verdict import Event, Verdict, cents_of, moment_of
from .world import World

UNSUBSCRIBED = "Unsubscribed"


def judge(world: World, received: Iterable[Event], expectations: Expectations | History) -> Verdict:
    """Judges the decoded Segment events, in their order of arrival, against the world as it is.

    Where the configuration or the world's texts changed, only a history knows what was due.

    KeyError for a list that the world hasn't.
    """
    if isinstance(expectations, History):
        return judge_history(world, received, expectations)
    return _Court(world, expectations).hear(received)


class _Court:
    def __init__(self, world: World, expectations: Expectations) -> None:
        self._world = world
        self._evidence = evidence = Evidence(world, expectations)
        self._lists = expectations.lists
        self._strict_cause = expectations.strict_cause
        self._verdict = Verdict()
        self._envelopes = Envelopes(self._verdict, extra_fields=expectations.extra_fields)
        self._by_id: defaultdict[tuple[str, str], list[Message]] = defaultdict(list)
        for message in evidence.messages.values():
            self._by_id[str(message.list_id), str(message.message_id)].append(message)
        self._told = {
            key: properties(world.lists[message.list_id], message)
            for key, message in evidence.messages.items()
        }

    def hear(self, received: Iterable[Event]) -> Verdict:
        identities = Identities(self._evidence, self._lists, self._verdict)
        departures: defaultdict[tuple[int, str], list[Event]] = defaultdict(list)
        buckets: defaultdict[Key, list[Event]] = defaultdict(list)
        for event in self._envelopes.distinct(received):
            if event.get("type") == "identify":
                identities.add(event)
            elif self._envelopes.is_proper_track(event):
                self._sort_track(event, departures, buckets)
        for key in self._evidence.slots.keys() | buckets.keys():
            if key.event == CONVERTED:
                continue
            self._match(key, buckets.get(key, []))
        converted = {(key.message, key.email) for key in buckets if key.event == CONVERTED}
        for message, email in self._evidence.orders.keys() | converted:
            self._add_up(message, email, buckets.get(Key(CONVERTED, message, email), []))
        for person in self._evidence.lives.keys() | departures.keys():
            life = self._evidence.lives.get(person, Life())
            self._match_departures(person, life, departures.get(person, []))
        identities.match()
        for sentences in (self._verdict.missing, self._verdict.extra, self._verdict.wrong):
            sentences.sort()
        return self._verdict

    # One event by itself

    def _sort_track(
        self,
        event: Event,
        departures: defaultdict[tuple[int, str], list[Event]],
        buckets: defaultdict[Key, list[Event]],
    ) -> None:
        name, email, told = event.get("event"), event["anonymousId"], dict(event["properties"])
        list_id = next((i for i in self._lists if str(i) == told.get("list_id")), None)
        if list_id is None:
            self._verdict.refuse(event, f"is of list {told.get('list_id')!r}")
        elif name == UNSUBSCRIBED:
            departures[list_id, email].append(event)
        elif name in (*ROW_EVENTS.values(), CLICKED, CONVERTED):
            link = {key: told.pop(key) for key in ("link_id", "link_url") if key in told}
            if name == CONVERTED:
                told.pop("order_total", None)
            message = self._message(event, told)
            if message is not None:
                link_id = self._link(event, message, link)
                buckets[Key(str(name), message, email, link_id)].append(event)
        else:
            self._verdict.refuse(event, "is no event of the contract")

    def _message(self, event: Event, told: Mapping[str, object]) -> Message | None:
        """The message that the properties name."""
        list_id, email_id = told.get("list_id"), told.get("email_id")
        candidates = self._by_id.get((str(list_id), str(email_id)), [])
        for message in candidates:
            if told == self._told[id(message)]:
                return message
        if not candidates:
            self._verdict.refuse(event, f"is of email {email_id!r}, which list {list_id} hasn't")
            return None
        self._verdict.add_wrong(
            event, f"has properties {told}, not {self._told[id(candidates[0])]}"
        )
        return candidates[0]

    def _link(self, event: Event, message: Message, link: Mapping[str, object]) -> int | None:
        links = {str(one.link_id): one for one in message.links}
        known = links.get(str(link.get("link_id")))
        if event.get("event") != CLICKED or not links:
            if link:
                self._verdict.add_wrong(event, f"has {link}")
            return None
        if known is None or link != {"link_id": str(known.link_id), "link_url": known.url}:
            self._verdict.add_wrong(event, f"has {link}, no link of its message")
        return known.link_id if known is not None else None

    # All events of a kind

    def _match(self, key: Key, events: list[Event]) -> None:
        """Fills a slot that accepts its timestamp with each event; reports slots left empty."""
        slots = sorted(self._evidence.slots.get(key, []), key=lambda s: (s.latest, -s.duty))
        self._verdict.expected[key.event] += sum(s.duty is Duty.REQUIRED for s in slots)
        left: list[Event] = []
        for event in sorted(events, key=moment_of):
            at = moment_of(event)
            slot = next((s for s in slots if not s.filled and s.accepts(at)), None)
            if slot is None:
                left.append(event)
            else:
                self._fill(slot, event, slots)
        for event in left:
            open_slots = [s for s in slots if not s.filled]
            if open_slots:
                slot = max(open_slots, key=lambda s: s.duty)
                self._verdict.add_wrong(event, f"has timestamp {event['timestamp']}, not {slot}")
                self._fill(slot, event, slots)
            else:
                self._verdict.refuse(event, "happened less often, or before the horizon")
        for slot in slots:
            if not slot.filled and slot.duty is Duty.REQUIRED:
                subject = f"email {key.message.message_id} ({key.message.kind}) to {key.email}"
                self._verdict.missing.append(f"{key.event} of {subject} at {slot}")

    def _fill(self, slot: Slot, event: Event, slots: list[Slot]) -> None:
        slot.filled = True
        # Slots of a key whose timestamps are not exact can't be told apart.
        sources = [slot.source] if slot.span is None else [each.source for each in slots]
        self._envelopes.check_client(event, sources, addressed=slot.addressed)

    def _add_up(self, message: Message, email: str, events: list[Event]) -> None:
        """Checks the order totals of a message and a contact, to the cent."""
        orders = [
            order
            for order in self._evidence.orders.get((message, email), [])
            if order.duty is not Duty.FORBIDDEN
        ]
        required = sum(order.cents for order in orders if order.duty is Duty.REQUIRED)
        self._verdict.expected[CONVERTED] += bool(required)
        subject = f"{CONVERTED} of email {message.message_id} to {email}"
        if not orders:
            for event in events:
                self._verdict.refuse(event, "nothing was ordered since the horizon")
            return
        amounts = [cents_of(event["properties"].get("order_total")) for event in events]
        for event, amount in zip(events, amounts, strict=True):
            if amount is None or amount <= 0:
                self._verdict.add_wrong(
                    event, f"has order_total {event['properties'].get('order_total')!r}"
                )
        total = sum(amount or 0 for amount in amounts)
        optional = [order.cents for order in orders if order.duty is Duty.OPTIONAL]
        runs = {
            sum(optional[i:j]) for i in range(len(optional)) for j in range(i, len(optional) + 1)
        }
        allowed = {required + run for run in runs | {0}}
        if required and not events:
            self._verdict.missing.append(f"{subject}: {required / 100:.2f}")
        elif total not in allowed:
            self._verdict.wrong.append(f"{subject}: {total / 100:.2f}, not {required / 100:.2f}")
        if len(events) > len(orders):
            text = f"{subject}: {len(events)} events for {len(orders)} orders"
            self._verdict.extra.append(text)
        spans = [self._evidence.span(order.at, order.row) for order in orders]
        earliest, latest = min(s[0] for s in spans), max(s[1] for s in spans)
        for event in events:
            if not earliest <= moment_of(event) <= latest:
                self._verdict.add_wrong(
                    event, f"has timestamp {event['timestamp']}, not {earliest}..{latest}"
                )
            self._envelopes.check_client(event, [order.row for order in orders])

    def _match_departures(self, person: tuple[int, str], life: Life, events: list[Event]) -> None:
        list_id, email = person
        required = [d for d in life.departures if d.duty is Duty.REQUIRED]
        self._verdict.expected[UNSUBSCRIBED] += len(required)
        open_ones = [d for d in life.departures if d.duty is not Duty.FORBIDDEN]
        causes = [d.cause for d in life.departures if d.cause is not None]
        for event in events:
            fitting = (d for d in open_ones if not d.filled and moment_of(event) in d.points)
            departure = next(fitting, None)
            if departure is None:
                self._verdict.refuse(event, f"{email} didn't leave list {list_id} then")
                continue
            departure.filled = True
            self._envelopes.check_client(event, [each.row for each in life.departures])
            told = dict(event["properties"])
            if (method := told.pop("unsubscribe_type", "")) != departure.method:
                self._verdict.add_wrong(
                    event, f"has unsubscribe_type {method!r}, not {departure.method!r}"
                )
            allowed = [self._told[id(cause)] for cause in causes]
            if departure.cause is None or not (departure.told and self._strict_cause):
                owner = self._world.lists[list_id]
                allowed.append({"list_id": str(list_id), "list_name": owner.name})
            if told not in allowed:
                self._verdict.add_wrong(event, f"has properties {told}, not one of {allowed}")
        for departure in required:
            if not departure.filled:
                at = min(departure.points).isoformat()
                text = f"{UNSUBSCRIBED} of {email} from list {list_id} at {at}"
                self._verdict.missing.append(text)

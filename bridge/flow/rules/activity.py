"""How activity rows and clicks become events: pure decisions, a page at a time.

An activity row is a state, not an event: of what it shows, only what is new becomes one.
"""

from dataclasses import dataclass

import msgspec

from bridge.flow.look import Look
from bridge.flow.page import ActivityPage, ClickPage, Mapped
from bridge.listrak import wire
from bridge.listrak.times import Instant, Zone, canonical
from bridge.segment import events
from bridge.state.records import DeadLetter, Total
from bridge.vocabulary import BOUNCED, CLICKED, CONVERTED, OPENED, SENT, SPAM

MOST_CLICKS_AT_ONCE = 10_000
"""A clickCount that rises by more at once is taken for damage, not for that many clicks."""

_CAUSE = "cause"
_TOTAL = "total"


@dataclass(frozen=True)
class ActivityRules:
    """Maps the pages of looks. `wanted`: names of the events to send."""

    zone: Zone
    wanted: frozenset[str]

    def map_activity(self, page: ActivityPage) -> Mapped:
        """Activity rows: what they show for the first time, and totals that rose."""
        mapped = Mapped()
        look = page.look
        draft = _Draft(self, look, mapped, look.message.properties or "{}")
        heads = {name: look.identity(name) for name in (SENT, OPENED, BOUNCED, SPAM, _CAUSE)}
        transactional = look.message.kind == "transactional"
        # Every flag that is set, as (name, row's number, bucket, fingerprint): asked for at once.
        flags: list[tuple[str, int, int, int]] = []
        for number, row in enumerate(page.rows):
            send = canonical(row.send_date)
            bucket = look.bucket(send)
            if bucket < look.floor:
                mapped.filtered += 1
                continue
            tail = f"{send}\x1f{row.email_address or ''}"
            flags.append((SENT, number, bucket, events.digest(heads[SENT] + tail)))
            if row.open:
                flags.append((OPENED, number, bucket, events.digest(heads[OPENED] + tail)))
            if row.bounce:
                flags.append((BOUNCED, number, bucket, events.digest(heads[BOUNCED] + tail)))
            if row.abuse:
                flags.append((SPAM, number, bucket, events.digest(heads[SPAM] + tail)))
            if row.unsubscribe:
                flags.append((_CAUSE, number, bucket, events.digest(heads[_CAUSE] + tail)))
            if row.order_total or (look.totals and row.order_total == 0):
                draft.order(row, tail, bucket, _origin(page, number))
            if transactional and row.click_count:
                draft.counted_clicks(row, tail, bucket, _origin(page, number))
        unknown = look.known.unknown(events.key(flag[3]) for flag in flags)
        if not any(unknown):
            mapped.known += sum(flag[0] is not _CAUSE for flag in flags)
            return mapped
        for (name, number, bucket, fingerprint), new in zip(flags, unknown, strict=True):
            row = page.rows[number]
            if name is _CAUSE:
                if new:
                    draft.cause(row, bucket, fingerprint)
            elif new:
                draft.flag(name, row, bucket, fingerprint, _origin(page, number))
            else:
                mapped.known += 1
        return mapped

    def map_clicks(self, page: ClickPage) -> Mapped:
        """Rows of one link's clickers: one a click."""
        mapped = Mapped()
        look = page.look
        link = {"link_id": str(page.link.link_id), "link_url": page.link.link_url}
        properties = events.merged(look.message.properties or "{}", link)
        draft = _Draft(self, look, mapped, properties)
        head = look.identity(CLICKED) + f"{page.link.link_id}\x1f"
        clicks: list[tuple[int, int, int]] = []
        for number, row in enumerate(page.rows):
            date = canonical(row.click_date)
            bucket = look.bucket(date)
            if bucket < look.floor:
                mapped.filtered += 1
                continue
            fingerprint = events.digest(f"{head}{date}\x1f{row.email_address or ''}")
            clicks.append((number, bucket, fingerprint))
        unknown = look.known.unknown(events.key(click[2]) for click in clicks)
        for (number, bucket, fingerprint), new in zip(clicks, unknown, strict=True):
            if new:
                draft.click(page.rows[number], bucket, fingerprint, _origin(page, number))
            else:
                mapped.known += 1
        return mapped


class _Draft:
    """Fills in what one page comes to; `properties` are JSON text, the same for all its rows."""

    def __init__(self, rules: ActivityRules, look: Look, mapped: Mapped, properties: str) -> None:
        self._zone = rules.zone
        self._wanted = rules.wanted
        self._look = look
        self._mapped = mapped
        self._properties = properties

    def flag(
        self,
        name: str,
        row: wire.Activity,
        bucket: int,
        fingerprint: int,
        origin: wire.Origin | None,
    ) -> None:
        """Something a row shows for the first time."""
        key = events.key(fingerprint)
        try:
            # A send doesn't depend on what else its row says.
            sent = self._sent(row)
            activity = "" if name is SENT else self._zone.instant(row.activity_date, sent)
        except ValueError as error:
            self._mapped.keys.setdefault(bucket, []).append(key)
            self._bury(name, fingerprint, f"a date of its row is no date: {error}", row)
            return
        own = sent or self._look.message.sent_at if name is SENT else activity
        # A complaint carries no date of its own: the first activity may have been an open.
        own = "" if name is SPAM else own
        happened = own or self._look.best_known(activity, sent)
        keys = self._mapped.keys if own else self._mapped.planned_keys
        keys.setdefault(bucket, []).append(key)
        # What a send's own date says is true at any look; an activity's only at the first.
        early = happened < self._look.horizon and (name is SENT or not self._look.previous)
        self._emit(name, row.email_address, fingerprint, happened, origin, early, planned=not own)

    def cause(self, row: wire.Activity, bucket: int, fingerprint: int) -> None:
        """A contact that unsubscribed through this message, unless perhaps long ago."""
        self._mapped.keys.setdefault(bucket, []).append(events.key(fingerprint))
        try:
            sent = self._sent(row)
        except ValueError:
            sent = ""
        early = (
            not self._look.previous and (sent or self._look.message.sent_at) < self._look.horizon
        )
        (self._mapped.old_causes if early else self._mapped.causes).append(row.email_address or "")

    def click(
        self, row: wire.Clicker, bucket: int, fingerprint: int, origin: wire.Origin | None
    ) -> None:
        """A click on a link that wasn't known."""
        key = events.key(fingerprint)
        try:
            own = self._zone.instant(row.click_date, not_before=self._look.message.sent_at)
        except ValueError as error:
            self._mapped.keys.setdefault(bucket, []).append(key)
            self._bury(CLICKED, fingerprint, f"its clickDate is no date: {error}", row)
            return
        happened = own or self._look.best_known("", "")
        keys = self._mapped.keys if own else self._mapped.planned_keys
        keys.setdefault(bucket, []).append(key)
        early = happened < self._look.horizon and (bool(own) or not self._look.previous)
        self._emit(
            CLICKED, row.email_address, fingerprint, happened, origin, early, planned=not own
        )

    def order(self, row: wire.Activity, tail: str, bucket: int, origin: wire.Origin | None) -> None:
        """A row with an order total: an event where it rose since it was last looked at."""
        key, before = self._total(tail)
        total = row.order_total or 0.0
        # Cents, not what binary fractions make of them.
        rise = round(total - before.order_total, 6)
        if rise == 0:
            self._mapped.known += 1
            return
        after = Total(total, before.rises + (rise > 0), before.clicks)
        self._set_total(key, bucket, after)
        if rise < 0:
            self._mapped.filtered += 1
            return
        what = f"{self._look.identity(CONVERTED)}{after.rises}\x1f{total!r}\x1f{tail}"
        properties = events.merged(self._properties, {"order_total": rise})
        self._rise(CONVERTED, row, events.digest(what), properties, origin)

    def counted_clicks(
        self, row: wire.Activity, tail: str, bucket: int, origin: wire.Origin | None
    ) -> None:
        """A transactional row with clicks: an event for each that was not yet counted."""
        key, before = self._total(tail)
        clicks = row.click_count or 0
        self._mapped.known += min(clicks, before.clicks, MOST_CLICKS_AT_ONCE)
        if clicks <= before.clicks:
            return
        self._set_total(key, bucket, Total(before.order_total, before.rises, clicks))
        head = self._look.identity(CLICKED)
        if clicks - before.clicks > MOST_CLICKS_AT_ONCE:
            fingerprint = events.digest(f"{head}{clicks}\x1f{tail}")
            self._bury(
                CLICKED,
                fingerprint,
                f"clickCount rose by {clicks - before.clicks}",
                row,
                planned=True,
            )
            return
        for number in range(before.clicks + 1, clicks + 1):
            fingerprint = events.digest(f"{head}{number}\x1f{tail}")
            self._rise(CLICKED, row, fingerprint, self._properties, origin)

    def _rise(
        self,
        name: str,
        row: wire.Activity,
        fingerprint: int,
        properties: str,
        origin: wire.Origin | None,
    ) -> None:
        try:
            sent = self._sent(row)
            activity = self._zone.instant(row.activity_date, not_before=sent)
        except ValueError as error:
            self._bury(
                name, fingerprint, f"a date of its row is no date: {error}", row, planned=True
            )
            return
        happened = self._look.best_known(activity, sent)
        early = happened < self._look.horizon and not self._look.previous
        self._emit(name, row.email_address, fingerprint, happened, origin, early, True, properties)

    def _sent(self, row: wire.Activity) -> Instant:
        """When a row's email was sent, as it says. Raises ValueError for what is no date."""
        return self._zone.instant(row.send_date, not_before=self._look.message.sent_at)

    def _total(self, tail: str) -> tuple[int, Total]:
        key = events.key(events.digest(self._look.identity(_TOTAL) + tail))
        return key, self._look.totals.get(key) or Total()

    def _set_total(self, key: int, bucket: int, total: Total) -> None:
        # The look remembers at once: the same row may stand on a later page again.
        self._look.totals[key] = total
        self._mapped.totals[key] = (bucket, total)

    def _emit(
        self,
        name: str,
        email: str | None,
        fingerprint: int,
        happened: Instant,
        origin: wire.Origin | None,
        early: bool,
        planned: bool,
        properties: str | None = None,
    ) -> None:
        if early or name not in self._wanted:
            self._mapped.filtered += 1
            return
        event = events.track(
            name,
            fingerprint,
            events.literal(email or ""),
            happened,
            properties or self._properties,
            origin,
        )
        if reason := events.problem(email, event):
            dead = self._mapped.planned_dead if planned else self._mapped.dead
            dead.append(DeadLetter(name, events.message_id(fingerprint), reason, event))
            return
        (self._mapped.planned if planned else self._mapped.derived).append(event)
        self._mapped.names[name] += 1

    def _bury(
        self, name: str, fingerprint: int, reason: str, row: object, *, planned: bool = False
    ) -> None:
        if name not in self._wanted:
            self._mapped.filtered += 1
            return
        body = msgspec.json.encode(row)
        dead = self._mapped.planned_dead if planned else self._mapped.dead
        dead.append(DeadLetter(name, events.message_id(fingerprint), reason, body))


def _origin(page: ActivityPage | ClickPage, number: int) -> wire.Origin | None:
    return page.origins[number] if page.origins else None

"""The configuration that the state file remembers, and how it differs from the present one: pure.

Each difference has one consequence. It is acted on in `flow/reconfiguration.py` and nowhere else,
and is told by the sentence of its Change.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from bridge.clock import DAY
from bridge.listrak.times import Instant


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a run, as far as the data depends on them.

    lists: by id, the profile field that holds the userId, None for none.
    resting: the same of lists that were read once and are not configured any more.
    events: the names of the events to be sent, sorted.
    track: seconds after a send for which a message is polled.
    zone: name of the zone of Listrak's times.
    write_key: a fingerprint of the write key.
    since: BRIDGE_SINCE as it is written.
    extra_properties: names of the extra properties, sorted; None where it isn't known.
    ignored_user_ids: a fingerprint of the values, which may be personal; None likewise.
    fields: by list id, the profile field as LISTRAK_LISTS has it, by id or name.
    """

    lists: dict[int, int | None]
    events: tuple[str, ...]
    track: float
    zone: str
    write_key: str
    since: str
    resting: dict[int, int | None] = {}
    extra_properties: tuple[str, ...] | None = None
    ignored_user_ids: str | None = None
    fields: dict[int, str] = {}


@dataclass(frozen=True)
class Change:
    """One difference between two configurations.

    kind: a stable name.
    list_id: the list that it is of, None for all.
    sentence: what follows from it, for people.
    """

    kind: str
    list_id: int | None
    sentence: str


def changes(
    before: Configuration, present: Configuration, known: Mapping[int, Instant]
) -> list[Change]:
    """The differences between the remembered configuration and the present one.

    known: start horizon by the id of each list that was ever read.
    """
    found = [*_list_changes(before, present, known), *_event_changes(before, present)]
    if present.track != before.track:
        found.append(_tracking_change(before.track, present.track))
    if present.zone != before.zone:
        text = (
            f"LISTRAK_TIMEZONE {before.zone} -> {present.zone}: what is read from now on gets its "
            "timestamps by the new zone; ids stay, and nothing is sent again"
        )
        found.append(Change("zone", None, text))
    if present.write_key != before.write_key:
        text = (
            "another SEGMENT_WRITE_KEY: events go to that source from now on. Contacts are not "
            "identified there: `listrak-bridge identify --all` does that. Ids go on as those of "
            "the first key: a second environment needs a state file of its own, not a copy of one"
        )
        found.append(Change("write_key", None, text))
    if present.since != before.since:
        text = (
            f"BRIDGE_SINCE {before.since} -> {present.since}: counts for lists that are added; "
            "those that were read before keep their start horizon. `listrak-bridge backfill` "
            "brings what happened before it"
        )
        found.append(Change("since", None, text))
    return [*found, *_identity_changes(before, present), *_property_changes(before, present)]


def _list_changes(
    before: Configuration, present: Configuration, known: Mapping[int, Instant]
) -> Iterator[Change]:
    fields = before.resting | before.lists
    for list_id, field in present.lists.items():
        if list_id not in known:
            text = "added: what happens from its start horizon on is sent, its subscribed contacts "
            yield Change("list_added", list_id, f"{text}are identified")
            continue
        if list_id not in fields:
            # It began while it could not be read: nothing of it is lost.
            text = f"is read for the first time, from its start horizon {known[list_id]} on: its "
            yield Change("list_begun", list_id, f"{text}subscribed contacts are identified")
        elif list_id not in before.lists:
            text = f"is back: it goes on where it was (start horizon {known[list_id]})"
            yield Change("list_back", list_id, text)
        if (old := fields.get(list_id, field)) != field:
            was, now = _field(old), _field(field)
            text = f"userId from {now} instead of {was}: all its contacts are swept at once"
            yield Change("profile_field", list_id, f"{text}, those with another userId identified")
    for list_id in before.lists.keys() - present.lists.keys():
        text = "removed: it rests where it is; what profiles have of it stays. Configured again, "
        yield Change("list_removed", list_id, f"{text}it goes on from there")


def _event_changes(before: Configuration, present: Configuration) -> Iterator[Change]:
    was, now = set(before.events), set(present.events)
    if less := _names(was - now):
        text = (
            f"no longer in BRIDGE_EVENTS: {less}. What is seen of them from now on is withheld, "
            "also of what happened before"
        )
        yield Change("events_narrowed", None, text)
    if more := _names(now - was):
        text = (
            f"now in BRIDGE_EVENTS: {more}. What is seen of them from now on is sent, also of what "
            "happened before; `listrak-bridge backfill --events` brings what was withheld of "
            "emails that are still tracked"
        )
        yield Change("events_widened", None, text)


def _identity_changes(before: Configuration, present: Configuration) -> Iterator[Change]:
    if before.ignored_user_ids in (None, present.ignored_user_ids):
        return
    for list_id, field in present.lists.items():
        if field is not None and list_id in before.lists:
            text = (
                "other values in BRIDGE_IGNORED_USER_IDS: all its contacts are swept at once, "
                "those with another userId identified"
            )
            yield Change("ignored_user_ids", list_id, text)


def _property_changes(before: Configuration, present: Configuration) -> Iterator[Change]:
    was, now = before.extra_properties, present.extra_properties or ()
    if was is not None and was != now:
        text = (
            f"BRIDGE_EXTRA_PROPERTIES {_names(was) or 'none'} -> {_names(now) or 'none'}: holds "
            "for what is found from now on; ids stay, and nothing is sent again"
        )
        yield Change("extra_properties", None, text)


def _tracking_change(before: float, present: float) -> Change:
    text = f"BRIDGE_TRACK_DAYS {before / DAY:g} -> {present / DAY:g}: "
    if present > before:
        text += "holds for sends that are still remembered; forgotten ones don't come back"
    else:
        text += (
            "older sends are read a last time, then forgotten; what happens with them later is not "
            "sent, nor what was withheld of them"
        )
    return Change("tracking", None, text)


def _field(field_id: int | None) -> str:
    return "no profile field" if field_id is None else f"profile field {field_id}"


def _names(events: Collection[str]) -> str:
    return ", ".join(sorted(events))

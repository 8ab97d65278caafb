"""Shows an estimate, to people and to programs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from bridge.clock import DAY, HOUR, MINUTE
from bridge.event_types import CLICKED, IDENTIFY, OPENED, SENT, TRACKS, UNSUBSCRIBED
from bridge.flow.forecast.billing import MONTH, Billing
from bridge.flow.forecast.figures import AccountFigures, Terms
from bridge.flow.forecast.first_sync import FirstSync
from bridge.flow.forecast.forecast import Forecast
from bridge.flow.forecast.freshness import AGES
from bridge.flow.scheduling import schedule
from bridge.output import texts

WAITS: Final = {
    "Listrak": "the calls that are allowed",
    "Segment": "the events that Segment takes",
    "contacts": "a list's contacts are read one page after the other",
}
"""The words for what a first synchronisation waits for."""


@dataclass(frozen=True)
class Estimate:
    """An estimate, and how it came about.

    names: of the lists, by id.
    calls_taken: calls that it took.
    are_all: tells whether it is of all lists as none are configured.
    notes: what was not asked for.
    problems: why something could not be read, by what.
    """

    forecast: Forecast
    account: AccountFigures
    terms: Terms
    names: Mapping[int, str]
    calls_taken: int
    are_all: bool
    notes: Sequence[str]
    problems: Mapping[str, str]

    @property
    def is_too_much(self) -> bool:
        """Tells whether it takes more calls than are allowed."""
        return 0 < self.terms.rate < self.forecast.calls_a_second


def as_json(estimate: Estimate) -> dict[str, Any]:
    """An estimate for programs."""
    expected, terms = estimate.forecast, estimate.terms
    return {
        "calls_taken": estimate.calls_taken,
        "lists": [
            {
                "list": one.list_id,
                "contacts": round(one.contacts.subscribed),
                "contacts_counted": one.contacts.is_counted,
            }
            for one in estimate.account.lists
        ],
        "broadcasts_a_day": round(expected.broadcasts, 2),
        "calls_a_second": round(expected.calls_a_second, 3),
        "calls_a_second_allowed": terms.rate,
        "calls_a_day": _rounded(expected.cost.calls),
        "rows_a_day": _rounded(expected.cost.rows),
        "events_a_day": _rounded(expected.events),
        "first_sync": _first(expected.first),
        "segment": {
            "first_month": _billed(expected.first_month),
            "later_month": _billed(expected.later_month),
        },
        "freshness_seconds": [
            {
                "event": one.event,
                "age": one.age,
                "p50": round(one.half, 1),
                "p95": round(one.most, 1),
            }
            for one in expected.freshness
        ],
        "assumptions": list(assumptions(estimate)),
        "problems": dict(estimate.problems),
    }


def show(estimate: Estimate, console: Console) -> None:
    """Prints an estimate for people."""
    expected, terms = estimate.forecast, estimate.terms
    console.print(_lists(estimate))
    allowed = f"of {terms.rate:g} that are allowed" if terms.rate else "no limit is set"
    console.print(
        f"Calls to Listrak: {expected.calls_a_second:.2f} a second, {allowed}; "
        f"{_number(expected.cost.all_calls)} a day."
    )
    if estimate.is_too_much:
        console.print(
            "That is more than is allowed: all is read less often, and what follows comes later by "
            f"a factor of {expected.calls_a_second / terms.rate:.1f}."
        )
    console.print(_days(expected))
    console.print(_first_words(expected.first))
    console.print(_bills(expected))
    if expected.freshness:
        console.print(_freshness(expected))
    console.print(_contacts_words(estimate))
    for sentence in (*assumptions(estimate), *_told(estimate.problems)):
        console.print(f"- {sentence}.")
    console.print(f"This estimate took {estimate.calls_taken:,} calls. Nothing was sent or stored.")


def assumptions(estimate: Estimate) -> Iterator[str]:
    """The assumptions of an estimate, in sentences without a full stop."""
    behaviour, account = estimate.account.behaviour, estimate.account
    yield (
        f"The days to come are taken to be like the last {account.window / DAY:.0f}, and emails to "
        "spread over the lists as then"
    )
    if estimate.are_all:
        yield "LISTRAK_LISTS isn't set: all lists of the account were estimated"
    yield from estimate.notes
    for event, what in ((SENT, "sending takes"), (OPENED, "opens take"), (CLICKED, "clicks take")):
        if not behaviour.spread(event).is_measured:
            yield f"How long {what} could not be measured; it is taken to be as usual"
    yield "When orders come is not shown by Listrak; half within a day of the click are assumed"
    refused = sorted(behaviour.unfiltered)
    if refused:
        yield (
            f"The account doesn't filter by activityType {', '.join(refused)}: more rows are read, "
            "and what only they show comes later"
        )
    yield (
        "Summaries are taken to be up to date, and dates to filter; the time that reading and "
        "sending take is not in the times: of a large send it is a minute or more"
    )
    yield "Contacts of whom only a profile value changes are not among the identifies"
    yield f"What Segment bills is as its documentation has it; a month has {MONTH} days"


def _lists(estimate: Estimate) -> Table:
    table = Table("list", "name", title="Lists")
    for column in ("contacts", "new a day", "left a day"):
        table.add_column(column, justify="right")
    for one in estimate.account.lists:
        contacts = one.contacts
        name = texts.without_addresses(estimate.names.get(one.list_id, ""))
        about = "" if contacts.is_counted else "about "
        table.add_row(
            str(one.list_id),
            name[:30],
            f"{about}{contacts.subscribed:,.0f}",
            _number(contacts.new),
            _number(contacts.left),
        )
    return table


def _days(expected: Forecast) -> Table:
    """Rows and events a day, side by side."""
    table = Table("event", title="A day")
    table.add_column("a day", justify="right")
    table.add_column("a month", justify="right")
    for name in (*TRACKS, IDENTIFY):
        if name in expected.events:
            number = expected.events[name]
            table.add_row(name, _number(number), _number(number * MONTH))
    table.add_row("all events", _number(sum(expected.events.values())), "")
    table.add_row("rows read", _number(expected.cost.all_rows), "")
    return table


def _first_words(first: FirstSync) -> str:
    return (
        f"First synchronisation: {_number(first.cost.all_calls)} calls, "
        f"{_number(first.cost.all_rows)} rows, {_number(first.identifies)} identifies, "
        f"{_number(first.tracks)} other events; {_span(first.seconds)} at least "
        f"({WAITS[first.waits_for]})."
    )


def _bills(expected: Forecast) -> Table:
    table = Table("Segment counts, as far as known", title="A month")
    table.add_column("MTUs", justify="right")
    table.add_column("API calls", justify="right")
    for name, bill in (
        ("first month, with all contacts", expected.first_month),
        ("each later month", expected.later_month),
    ):
        least, most = map(_number, bill.users)
        users = most if least == most else f"{least} to {most}"
        table.add_row(name, users, _number(bill.calls))
    return table


def _freshness(expected: Forecast) -> Table:
    table = Table("event", title="From happening to being read: 95 % within")
    for name, _ in AGES:
        table.add_column(name, justify="right")
    by_event = {(one.event, one.age): one for one in expected.freshness}
    for event in TRACKS:
        cells = [by_event.get((event, name)) for name, _ in AGES]
        if any(cells):
            table.add_row(event, *(_span(one.most) if one else "" for one in cells))
    return table


def _contacts_words(estimate: Estimate) -> str:
    """The freshness of contacts, which no life of a message tells."""
    interval = _span(estimate.terms.interval)
    told = f"Who subscribes or leaves is told within {interval}"
    if UNSUBSCRIBED in estimate.terms.events:
        wait = _span(schedule.LONGEST_ATTRIBUTION_WAIT + estimate.terms.interval)
        told += f" (Unsubscribed, with its message, within {wait})"
    return f"{told}; other changes of a profile within {_span(schedule.SWEEP_INTERVAL)}."


def _told(problems: Mapping[str, str]) -> Iterator[str]:
    for what, problem in problems.items():
        yield f"Not read, and left out: {what}: {problem.rstrip('.')}"


def _first(first: FirstSync) -> dict[str, Any]:
    return {
        "calls": round(first.cost.all_calls),
        "rows": round(first.cost.all_rows),
        "identifies": round(first.identifies),
        "tracks": round(first.tracks),
        "seconds": round(first.seconds),
        "waits_for": first.waits_for,
    }


def _billed(bill: Billing) -> dict[str, Any]:
    least, most = bill.users
    return {"mtus": [round(least), round(most)], "api_calls": round(bill.calls)}


def _rounded(numbers: Mapping[str, float]) -> dict[str, float]:
    return {name: round(number, 1) for name, number in sorted(numbers.items()) if number}


def _number(number: float) -> str:
    """A number as exact as an estimate is: three digits count."""
    if number < 100:
        return f"{round(number, 2):.3g}"
    unit = 10 ** max(0, len(str(int(number))) - 3)
    return f"{round(number / unit) * unit:,}"


def _span(seconds: float) -> str:
    """Seconds as people say them."""
    for size, unit in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= 2 * size:
            return (
                f"{seconds / size:.2g} {unit}"
                if seconds < 99 * size
                else f"{seconds / size:,.0f} {unit}"
            )
    return f"{seconds:.0f} s"

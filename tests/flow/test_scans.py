"""Which scans a message gets: as a whole, against a model of a message under every reading."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, Literal

import pytest
from flow_parts import case_of, message_of
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.flow.scans.case import Case, Plan, Scan
from bridge.flow.scans.doubt import GRACE, Parameter, blame, unfiltered
from bridge.flow.scans.outcome import learn
from bridge.flow.scans.plan import plan
from bridge.flow.scans.step import DAY, HOUR, LADDERS, MINUTE
from bridge.flow.scans.survey import Survey
from bridge.flow.scans.trust import MOST_MISSES, Trust
from bridge.flow.scans.watch import LATE, Watch, Watching, copy_of, watching_of
from bridge.flow.scheduler import check_delay
from bridge.listrak import times
from bridge.state.records import Kind
from bridge.vocabulary import BOUNCED, CLICKED, CONVERTED, OPENED, SENT, SPAM, UNSUBSCRIBED

NEVER = float("inf")
BEGAN = times.seconds("2026-05-10T12:00:00.000Z")
SHOWN_BY = {
    "open": OPENED,
    "bounce": BOUNCED,
    "abuse": SPAM,
    "unsubscribe": UNSUBSCRIBED,
    "conversion": CONVERTED,
    "click": CLICKED,
}
ROW_EVENTS = (SENT, OPENED, BOUNCED, UNSUBSCRIBED, CONVERTED, SPAM)


@dataclass
class Row:
    """A send to a contact and when what became of it happened; amounts are all 10."""

    happened: dict[str, float]

    def dated(self, by: str, until: float, reading: str) -> float:
        """The date that a filter goes by."""
        if by == "Send":
            return self.happened[SENT]
        # Complaints and orders don't count as a first activity.
        first = (OPENED, BOUNCED, UNSUBSCRIBED) if reading == "first" else ROW_EVENTS[1:]
        dates = [
            self.happened[event] for event in first if self.happened.get(event, NEVER) <= until
        ]
        if not dates:
            return float("-inf")
        return min(dates) if reading == "first" else max(dates)

    def is_strange(self, scan: Scan, until: float) -> bool:
        """Whether it tells that a scan's date was ignored."""
        if scan.step.by == "Activity":
            return all(at > until for event, at in self.happened.items() if event != SENT)
        return scan.since is not None and self.happened[SENT] < scan.since - GRACE


@dataclass
class Model:
    """A message, its rows, and Listrak as it reads the parameters; `run` lives through its time.

    `late`: seconds until what happened shows in rows; `lag`: until it is counted; `extra`: counted
    and never shown.
    """

    rows: list[Row]
    clicks: list[float]
    kind: Kind = "broadcast"
    activity_type: Literal["filters", "ignored", "refused"] = "filters"
    date_type: Literal["first", "latest", "none"] = "first"
    dates: Literal["go", "ignored", "refused"] = "go"
    late: float = 0.0
    lag: float = 0.0
    extra: dict[str, int] = field(default_factory=dict)
    trust: Trust = field(default_factory=Trust)
    found: dict[str, dict[int, float]] = field(default_factory=dict)
    read: Counter[str] = field(default_factory=Counter)
    calls: Counter[int] = field(default_factory=Counter)
    retired: bool = False
    unshown: Counter[str] = field(default_factory=Counter)

    def happened(self, event: str, until: float) -> dict[int, float]:
        """By number, the events of a name until a time."""
        if event == CLICKED:
            return {n: at for n, at in enumerate(self.clicks) if at <= until}
        return {
            number: row.happened[event]
            for number, row in enumerate(self.rows)
            if row.happened.get(event, NEVER) <= until
        }

    def counted(self, now: float) -> dict[str, float]:
        """The Summary, in the terms of the scans."""
        found = {
            event: float(len(self.happened(event, now - self.lag)))
            for event in (SENT, OPENED, BOUNCED, UNSUBSCRIBED, CLICKED)
        }
        found[CONVERTED] = 10.0 * len(self.happened(CONVERTED, now - self.lag))
        return {event: number + self.extra.get(event, 0) for event, number in found.items()}

    def seen(self) -> dict[str, float]:
        """What was found so far, likewise."""
        return {
            event: len(found) * (10.0 if event == CONVERTED else 1.0)
            for event, found in self.found.items()
        }

    def scan(self, scan: Scan | None, now: float) -> tuple[int, Parameter | str]:
        """Reads rows; returns how many, and what Listrak refused or ignored ("" if nothing)."""
        visible = now - self.late
        rows = {n: row for n, row in enumerate(self.rows) if row.happened[SENT] <= visible}
        if scan is not None:
            if scan.only and self.activity_type == "refused":
                return 0, "refused"
            if scan.since is not None and self.dates == "refused":
                return 0, "refused"
            rows = {n: row for n, row in rows.items() if self.lets_through(row, scan, visible)}
            if self.activity_type == "ignored" and scan.only:
                shown = SHOWN_BY[scan.only]
                if any(row.happened.get(shown, NEVER) > visible for row in rows.values()):
                    return min(len(rows), 100), "activityType"
            doubtful = self.dates == "ignored" and scan.since is not None
            if doubtful and any(row.is_strange(scan, visible) for row in rows.values()):
                return min(len(rows), 100), "startDate"
        for number, row in rows.items():
            for event in ROW_EVENTS:
                if row.happened.get(event, NEVER) <= visible:
                    self.found.setdefault(event, {}).setdefault(number, now)
        return len(rows), ""

    def lets_through(self, row: Row, scan: Scan, visible: float) -> bool:
        """Whether a row passes the filters."""
        shown = scan.only is None or row.happened.get(SHOWN_BY[scan.only], NEVER) <= visible
        if self.activity_type == "filters" and not shown:
            return False
        if scan.since is None or self.dates == "ignored":
            return True
        dated = scan.step.by if scan.step.by and self.kind != "conversation" else "Send"
        if self.date_type == "none" and dated == "Activity":
            return False
        return row.dated(dated, visible, self.date_type) >= scan.since

    def click_scan(self, scan: Scan | None, now: float) -> int:
        """Reads clicks, of a single link."""
        since = scan.since if scan is not None and scan.since is not None else 0.0
        seen = [n for n, at in enumerate(self.clicks) if since <= at <= now - self.late]
        for number in seen:
            self.found.setdefault(CLICKED, {}).setdefault(number, now)
        return len(seen)

    def run(self, until: float, *, track: float = 30 * DAY) -> None:
        """Checks at the times that the scheduler says, to the message's end if that comes."""
        message = message_of(self.kind, sent_at=times.from_seconds(BEGAN), found_at=BEGAN)
        watching, now = Watching(), BEGAN + 30
        while now < until and not self.retired:
            last = self.kind == "broadcast" and now >= BEGAN + track
            watching = watching_of(message.watch) if random.Random(now).random() < 0.1 else watching
            case = Case(
                message=message,
                counted={} if self.kind == "transactional" else self.counted(now),
                seen=self.seen(),
                watching=watching,
                trust=self.trust,
                now=now,
                track=track,
                last=last,
            )
            chosen = plan(case)
            day = int((now - BEGAN) // DAY)
            self.calls[day] += 1
            if chosen:
                survey = Survey(case, chosen)
                self._read(survey, now, day)
                outcome = survey.settle(self.seen())
                learn(self.trust, case, outcome.lessons)
                self.unshown.update(outcome.unshown.keys())
                watching = outcome.watching
                moved = now if self.seen() != case.seen else message.moved_at
                message = replace(message, watch=watching.text(), moved_at=moved)
                if chosen.whole:
                    message = replace(message, looked_at=now)
                self.retired = last and (chosen.whole or outcome.agrees)
            now += check_delay(message, now, MINUTE)

    def _read(self, survey: Survey, now: float, day: int) -> None:
        if survey.plan.whole:
            self.read["whole"] += self.scan(None, now)[0] + self.click_scan(None, now)
            self.calls[day] += 1
        for scan in survey.plan.scans:
            if scan.step.clicks:
                self.calls[day] += 1
                number = self.click_scan(scan, now)
                survey.rows[scan.step.name] += number
                self.read[scan.step.name] += number
            else:
                self._read_scan(survey, scan, now, day)

    def _read_scan(self, survey: Survey, scan: Scan, now: float, day: int) -> None:
        """As the reader of rows does it."""
        self.calls[day] += 1
        number, refusal = self.scan(scan, now)
        survey.rows[scan.step.name] += number
        self.read[scan.step.name] += number
        if not refusal:
            return
        parameter: Any = None if refusal == "refused" else refusal
        other = unfiltered(scan, parameter)
        if other is None:
            survey.undone.add(scan.step.name)
        else:
            self._read_scan(survey, other, now, day)
            if scan.step.name in survey.undone:
                return
            parameter = "activityType"
        blame(self.trust, self.kind, scan, parameter, now)


MANY: dict[str, tuple[float, float]] = {
    BOUNCED: (0.05, 600),
    OPENED: (0.3, DAY),
    UNSUBSCRIBED: (0.03, DAY),
    CONVERTED: (0.03, 3 * DAY),
    SPAM: (0.02, 2 * DAY),
}
"""By event: the share of sends that it happens to, and its mean delay in seconds."""

USUAL = MANY | {
    BOUNCED: (0.01, 600),
    UNSUBSCRIBED: (0.001, DAY),
    CONVERTED: (0.001, 2 * DAY),
    SPAM: (0.0004, DAY),
}


def people(
    rng: random.Random,
    number: int,
    days: float,
    spread: float,
    fates: dict[str, tuple[float, float]],
) -> list[Row]:
    """Sends within `spread` seconds, and what becomes of them within so many days."""
    rows = []
    for _ in range(number):
        sent = BEGAN + rng.uniform(0, spread)
        happened = {SENT: sent}
        for event, (share, mean) in fates.items():
            at = sent + rng.expovariate(1 / mean)
            if rng.random() < share and at < BEGAN + days * DAY:
                happened[event] = at
        rows.append(Row(happened))
    return rows


def model_of(
    seed: int,
    number: int = 300,
    days: float = 25,
    fates: dict[str, tuple[float, float]] = MANY,
    **options: Any,
) -> Model:
    """A message whose people are the same for the same seed."""
    rng = random.Random(seed)
    spread = 20 * MINUTE if options.get("kind", "broadcast") == "broadcast" else days * DAY
    rows = people(rng, number, days, spread, fates)
    clicks = [BEGAN + rng.expovariate(1 / DAY) for _ in range(number // 10)]
    if options.get("kind") == "transactional":
        clicks = []
    return Model(rows, clicks, **options)


def missing(model: Model, until: float) -> Iterator[str]:
    """What happened by then and was not found."""
    for event in (*ROW_EVENTS, CLICKED):
        lost = model.happened(event, until).keys() - model.found.get(event, {}).keys()
        if lost:
            yield f"{len(lost)} x {event}"


READINGS = list(product(("filters", "ignored", "refused"), ("first", "latest", "none")))


@pytest.mark.parametrize(("activity_type", "date_type"), READINGS)
@pytest.mark.parametrize(
    "trouble",
    [{}, {"late": 200.0}, {"lag": 200.0}, {"extra": {SENT: 3, OPENED: 2, CLICKED: 1}}],
    ids=lambda trouble: next(iter(trouble), "none"),
)
def test_everything_is_found_before_a_message_is_given_up(
    activity_type: Any, date_type: Any, trouble: dict[str, Any]
) -> None:
    """Whatever the parameters mean, and however late rows or counters are."""
    model = model_of(5, activity_type=activity_type, date_type=date_type, **trouble)
    model.run(BEGAN + 32 * DAY)
    assert model.retired
    assert not list(missing(model, BEGAN + 32 * DAY))


@settings(max_examples=30)
@given(
    st.integers(0, 10**6),
    st.sampled_from(READINGS),
    st.sampled_from(("broadcast", "conversation", "transactional")),
    st.sampled_from(("go", "ignored", "refused")),
    st.sampled_from((0.0, 100.0, 2000.0)),
    st.sampled_from((0.0, 100.0, 2000.0)),
)
def test_everything_is_found_in_the_end(
    seed: int, reading: Any, kind: Kind, dates: Any, late: float, lag: float
) -> None:
    """Also of messages that go on sending, within days of the last event."""
    activity_type, date_type = reading
    model = model_of(
        seed,
        number=150,
        days=6,
        kind=kind,
        activity_type=activity_type,
        date_type=date_type,
        dates=dates,
        late=late,
        lag=lag,
    )
    model.run(BEGAN + (32 if kind == "broadcast" else 25) * DAY)
    assert not list(missing(model, BEGAN + 20 * DAY))


def ages(model: Model, event: str, chosen: Callable[[float], bool]) -> list[float]:
    """Seconds from happening to being found, of events at those seconds after the send, sorted."""
    happened = model.happened(event, BEGAN + 99 * DAY)
    return sorted(
        found - happened[number]
        for number, found in model.found[event].items()
        if chosen(happened[number] - BEGAN)
    )


def test_likely_reading_is_quick_and_cheap() -> None:
    """Filters work: hardly a row is read twice, and what happened is seen within minutes."""
    model = model_of(7, number=2500, fates=USUAL)
    model.run(BEGAN + 31 * DAY)
    events = sum(len(found) for found in model.found.values())
    # One whole look was to prove that complaints can be asked for.
    assert sum(model.read.values()) - 2500 <= 2 * events
    for event in (OPENED, BOUNCED, CLICKED):
        fresh = ages(model, event, lambda age: age < DAY)
        assert fresh[int(len(fresh) * 0.95)] <= 2 * MINUTE
        week = ages(model, event, lambda age: DAY <= age < 7 * DAY)
        assert not week or week[int(len(week) * 0.95)] <= HOUR
    for event in (CONVERTED, SPAM):
        late = ages(model, event, lambda age: age >= 0)
        assert late[int(len(late) * 0.95)] <= 6 * HOUR


@pytest.mark.parametrize("activity_type", ["ignored", "refused"])
def test_worst_reading_is_complete_within_a_day(activity_type: Any) -> None:
    """Nothing filters by type: orders are seen within a day, at far fewer rows than re-reading."""
    model = model_of(8, number=1500, fates=USUAL, activity_type=activity_type)
    model.run(BEGAN + 31 * DAY)
    assert not list(missing(model, BEGAN + 31 * DAY))
    orders = ages(model, CONVERTED, lambda age: age >= 0)
    assert orders
    assert orders[-1] <= DAY
    hourly_for_a_week = 7 * 24 * 1500
    assert sum(model.read.values()) * 5 <= hourly_for_a_week


@pytest.mark.parametrize(
    "extra",
    [{SENT: 40}, {OPENED: 7, CLICKED: 3}, {CONVERTED: 5}, {SENT: -3, OPENED: -2}, {CLICKED: -2}],
)
def test_a_summary_that_never_adds_up_is_given_up_upon(extra: dict[str, int]) -> None:
    """What is counted and never shown, or shown and never counted, costs little, and is told."""
    plain, odd = model_of(9, number=800), model_of(9, number=800, extra=extra)
    for model in (plain, odd):
        model.run(BEGAN + 31 * DAY)
    assert not list(missing(odd, BEGAN + 31 * DAY))
    assert odd.unshown.keys() == extra.keys()
    assert not plain.unshown
    assert max(odd.calls[day] - plain.calls[day] for day in odd.calls) < 10
    assert odd.read["whole"] <= plain.read["whole"] + 15 * 800


def test_a_quiet_message_is_hardly_asked() -> None:
    """Nothing happens: no row is read again, and calls become fewer with age."""
    model = model_of(3, number=50, days=0.001)
    model.clicks.clear()
    model.run(BEGAN + 30 * DAY)
    assert sum(model.calls.values()) < 30 * 24 * 12
    assert model.calls[0] > model.calls[2] > model.calls[5] > 0
    assert model.calls[1] <= 24 * 12


# Details


def test_first_look_is_whole() -> None:
    """Of a message that was never read nothing is known; the same if somebody asked for it."""
    assert plan(case_of()).whole
    assert plan(case_of(message_of(looked_at=BEGAN, asked=1))).whole


def known(event: str, lack: float, **changes: Any) -> Case:
    """A broadcast message, looked at an hour ago, of which something is lacking since."""
    now = BEGAN + 12 * HOUR
    counted = {SENT: 1e6, OPENED: 1000.0, BOUNCED: 10.0, UNSUBSCRIBED: 5.0, CLICKED: 40.0}
    counted[CONVERTED] = 60.0
    watching = Watching()
    for name, ladder in LADDERS["broadcast"].items():
        watch = watching.watch(name)
        watch.agreed_at = watch.proven_at = now - HOUR
        watch.counted = counted.get(name, -1.0)
        for number in range(len(ladder)):
            attempt = watch.attempt(number)
            attempt.at = now - HOUR
    values: dict[str, Any] = {
        "message": message_of(looked_at=now - HOUR, moved_at=now - HOUR),
        "counted": {**counted, event: counted.get(event, 0) + lack},
        "seen": counted,
        "watching": watching,
        "now": now,
    }
    return case_of(**values | changes)


@pytest.mark.parametrize(
    ("event", "scans"),
    [
        (SENT, ["recent Send"]),
        (OPENED, ["recent Activity"]),
        (BOUNCED, ["recent Activity"]),
        (CLICKED, ["recent clicks"]),
        (UNSUBSCRIBED, ["only unsubscribe"]),
        (CONVERTED, ["only conversion"]),
    ],
)
def test_the_narrowest_scan_comes_first(event: str, scans: list[str]) -> None:
    """Each counter has its own; a recent one begins a little before the latest proof."""
    chosen = plan(known(event, 5))
    assert [scan.step.name for scan in chosen.scans] == scans
    for scan in chosen.scans:
        assert scan.since is None or scan.since == BEGAN + 11 * HOUR - 15


def test_what_agrees_is_not_read() -> None:
    """All that is counted was seen: nothing is read, and that is a proof of its own."""
    case = known(OPENED, 0)
    assert not plan(case)
    assert case.watching.watch(OPENED).proven_at == case.now


def test_links_whose_clicks_are_late_are_read_again() -> None:
    """How many clicks a link has is remembered once these were seen."""
    case = known(CLICKED, 5)
    recent = plan(case)
    assert [scan.step.name for scan in recent.scans] == ["recent clicks"]
    for number, links in ((40.0, {}), (43.0, {}), (45.0, {7: 45})):
        survey = Survey(case, recent, links={7: 45})
        watching = survey.settle({**case.seen, CLICKED: number}).watching
        assert watching.links == links
        case = replace(case, watching=watching, seen={**case.seen, CLICKED: number})
        case = replace(case, now=case.now + 6 * MINUTE)


def test_what_goes_on_sending_is_assured_of_now_and_then() -> None:
    """Counters that agree may be off: all tracked rows are read once a week, whole if need be."""
    message = message_of("conversation", looked_at=BEGAN, moved_at=BEGAN)
    case = case_of(message, counted={SENT: 1e6}, seen={SENT: 1e6}, now=BEGAN + 7 * DAY - 1)
    for events, ladder in LADDERS["conversation"].items():
        for number in range(len(ladder)):
            case.watching.watch(events).attempt(number).at = BEGAN
    case = replace(case, ignore=frozenset(LADDERS["conversation"]) - {SENT})
    assert not plan(case)
    week = replace(case, now=BEGAN + 7 * DAY)
    assert [scan.step.name for scan in plan(week).scans] == ["tracked"]
    case.trust.refuse("conversation", LADDERS["conversation"][SENT][1], week.now)
    assert plan(week).whole
    watching = Survey(week, plan(week)).settle(week.seen).watching
    assert not plan(replace(week, watching=watching, now=week.now + DAY))
    broadcast = message_of(looked_at=BEGAN, moved_at=BEGAN)
    assert not plan(replace(case, message=broadcast, now=BEGAN + 20 * DAY))


def test_scans_for_two_counters_are_one() -> None:
    """Opens and bounces are in the same rows: the earlier beginning serves both."""
    case = known(OPENED, 5)
    case = replace(case, counted={**case.counted, BOUNCED: 12.0})
    case.watching.watch(BOUNCED).proven_at -= HOUR
    (scan,) = plan(case).scans
    assert scan.since == BEGAN + 10 * HOUR - 15


def test_what_a_scan_left_is_looked_for_wider() -> None:
    """A dear scan waits until enough is missing, or long enough."""
    case = known(OPENED, 400)
    seen = {**case.seen, OPENED: 1000.0 + 380}
    survey = Survey(case, plan(case))
    after = replace(case, seen=seen, watching=survey.settle(seen).watching, now=case.now + MINUTE)
    # 20 are missing: worth the 10 rows of bounces, not the opens or the whole million.
    assert [scan.step.name for scan in plan(after).scans] == ["only bounce"]
    survey = Survey(after, plan(after))
    survey.rows["only bounce"] = 10
    later = replace(after, watching=survey.settle(seen).watching, now=after.now + MINUTE)
    assert not plan(later)
    # As much again moves, none of which recent scans find: that is worth all opens there are.
    more = {**later.counted, OPENED: 1400.0 + 80}
    many = replace(later, counted=more)
    assert [scan.step.name for scan in plan(many).scans] == ["recent Activity"]
    survey = Survey(many, plan(many))
    still = replace(many, watching=survey.settle(seen).watching, now=many.now + MINUTE)
    assert [scan.step.name for scan in plan(still).scans] == ["only bounce"]
    survey = Survey(still, plan(still))
    still = replace(still, watching=survey.settle(seen).watching, now=still.now + MINUTE)
    assert [scan.step.name for scan in plan(still).scans] == ["only open"]


def test_complaints_have_a_cadence() -> None:
    """No counter moves for them: they are asked for by the clock."""
    case = known(OPENED, 0)
    assert not plan(replace(case, now=case.now + 2 * HOUR)).scans
    (scan,) = plan(replace(case, now=case.now + 3 * HOUR)).scans
    assert scan.only == "abuse"


def test_a_proof_before_the_end() -> None:
    """A message is given up when all counters agree and complaints were asked for."""
    case = replace(known(OPENED, 0), last=True)
    assert plan(case).whole, "nothing has shown yet that complaints can be asked for"
    case.trust.prove("broadcast", LADDERS["broadcast"][SPAM][0], case.now)
    assert [scan.only for scan in plan(case).scans] == ["abuse"]
    assert plan(replace(known(OPENED, 1), last=True, trust=case.trust)).whole
    uncounted = {event: number for event, number in case.counted.items() if event != BOUNCED}
    assert plan(replace(case, counted=uncounted)).whole, "nothing tells of bounces"
    assert not plan(replace(case, counted=uncounted, ignore=frozenset({BOUNCED}))).whole


def test_what_is_long() -> None:
    """A look of more rows than a page, or of nobody knows how many, takes long."""
    case = known(OPENED, 5)
    assert not Survey(case, plan(case)).is_long
    assert Survey(case, plan(case, whole=True)).is_long
    few = replace(case, counted={SENT: 5000.0}, seen={SENT: 5000.0})
    assert not Survey(few, plan(few, whole=True)).is_long
    assert Survey(case_of(), plan(case_of())).is_long


def test_trust_in_scans() -> None:
    """A scan that misses again and again is left out for a while, and so is a refused filter."""
    trust, step = Trust(), LADDERS["broadcast"][OPENED][0]
    for _ in range(MOST_MISSES - 1):
        trust.miss("broadcast", step, BEGAN)
    trust.found("broadcast", step)
    for _ in range(MOST_MISSES - 1):
        trust.miss("broadcast", step, BEGAN)
    assert trust.useful("broadcast", step, BEGAN)
    trust.miss("broadcast", step, BEGAN)
    trust = Trust(trust.text())
    assert not trust.useful("broadcast", step, BEGAN + DAY - 1)
    assert trust.useful("broadcast", step, BEGAN + DAY)
    assert trust.useful("conversation", step, BEGAN)
    bounces, complaints = LADDERS["broadcast"][BOUNCED][1], LADDERS["broadcast"][SPAM][0]
    trust.refuse_filter("bounce", BEGAN)
    assert not trust.useful("conversation", bounces, BEGAN + DAY)
    assert trust.useful("broadcast", bounces, BEGAN + 7 * DAY)
    assert trust.useful("broadcast", complaints, BEGAN)
    lately = LADDERS["conversation"][BOUNCED][0]
    assert trust.useful("conversation", lately, BEGAN), "it needs no filter"
    trust.refuse("conversation", lately, BEGAN)
    assert not trust.useful("conversation", lately, BEGAN + DAY)


def test_a_watch_survives_the_state_file() -> None:
    """As it is written, so it is read; nothing yet is an empty one."""
    watching = known(OPENED, 3).watching
    watching.links[7] = 9
    assert watching_of(watching.text()) == watching
    assert watching_of("") == Watching()
    other = copy_of(watching)
    other.watch(OPENED).attempt(0).rows = 99
    assert watching.watch(OPENED).attempt(0).rows == 0


def test_late_rows_move_the_proof_all_the_same() -> None:
    """Where rows trail behind the counters, recent scans begin with what was reached."""
    watch = Watch(agreed_at=10.0, proven_at=10.0)
    watch.mark(20.0, 100, 90)
    assert watch.proven_at == 10.0
    watch.mark(30.0, 120, 95)
    assert (watch.proven_at, watch.marked_at) == (10.0, 20.0)
    watch.mark(40.0, 130, 101)
    assert (watch.proven_at, watch.marked_at, watch.left) == (20.0, 40.0, 0.0)


def test_what_no_recent_scan_shows_does_not_hold_up_the_proof() -> None:
    """What doesn't turn up is left for wider scans; recent ones begin where they would anyway."""
    watch = Watch(agreed_at=10.0, proven_at=10.0)
    for at in (20.0, 20.0 + LATE - 1, 20.0 + LATE):
        watch.mark(at, 100, 97)
    assert (watch.proven_at, watch.left) == (20.0, 3.0)
    watch.mark(700.0, 120, 117)
    assert (watch.proven_at, watch.left) == (700.0, 3.0)
    watch.mark(710.0, 120, 118)
    assert (watch.proven_at, watch.left) == (710.0, 2.0)
    watch.agree(800.0)
    assert (watch.proven_at, watch.left) == (800.0, 0.0)


def test_plans_are_empty_or_not() -> None:
    """A plan without anything to read is none."""
    assert not Plan()
    assert Plan(whole=True)

"""The simulation: the bridge finds everything in it, and the alternatives' sums are right."""

import math
from pathlib import Path

import numpy as np
import pytest
from simulation.bridge import live
from simulation.listrak import Reading
from simulation.population import DAY, HOUR, LINKS, NEVER, Send, people, send_of
from simulation.report import Scale, costs, freshness, picture_of, state
from simulation.strategies import WEEK, reread
from simulation.targets import judged, targets

BEGIN = 1_780_272_000.0
PAGE = 20


def some(days: int = 3) -> list[Send]:
    """A few people."""
    return people(seed=3, begin=BEGIN, days=days, audience=150, talks=2)


@pytest.mark.anyio
@pytest.mark.parametrize("reading", ["filters", "refused"])
async def test_the_bridge_finds_everything(tmp_path: Path, reading: Reading) -> None:
    """Each event once, at a fraction of the rows; the tables can be made of it."""
    sends = some()
    result = await live(
        "bridge",
        sends,
        tmp_path,
        begin=BEGIN,
        days=3,
        page=PAGE,
        seconds=0.5,
        reading=reading,
    )
    assert not result.missing
    assert result.freshness.seen > 450
    assert result.freshness.of("opened", 0, DAY) is not None
    again = reread("again", sends, begin=BEGIN, days=3, window=WEEK, page=PAGE)
    assert result.rows * 4 < again.rows
    for table in (costs([result, again], Scale(5, 100, 3)), freshness([result]), state([result])):
        assert table.row_count
    assert picture_of([result], Scale(5, 100, 3))["bridge"]["rows"] > 1
    figures = list(judged(result, [result], again, Scale(5, 100, 3)))
    assert targets(figures).row_count == len(figures)
    met = {one.what: one.met for one in figures}
    assert met["events missed"]
    assert met["calls a second"]


def test_targets_can_be_missed() -> None:
    """Reading a week again each hour meets hardly one of them."""
    again = reread("again", some(), begin=BEGIN, days=3, window=WEEK, page=PAGE)
    missed = {one.what for one in judged(again, [again], again, Scale(5, 100, 3)) if not one.met}
    assert "rows read per new event" in missed
    assert "seconds until seen, p95: opened within a day" in missed
    assert "times fewer rows than again" in missed


@pytest.mark.anyio
async def test_a_quiet_account_is_hardly_polled(tmp_path: Path) -> None:
    """Messages of which nothing happens cost a call each in five minutes at the very most.

    They are of all ages up to four weeks; without the younger ones, they cost less.
    """
    calls: list[int] = []
    for number, youngest in enumerate((0, 2, 7)):
        rng = np.random.default_rng(1)
        sends = [
            send_of(
                rng,
                place,
                np.array([BEGIN - DAY * (youngest + (28 - youngest) * place / 100)]),
                until=0,
                conversation=False,
            )
            for place in range(100)
        ]
        folder = tmp_path / str(number)
        folder.mkdir()
        result = await live(
            "bridge",
            sends,
            folder,
            begin=BEGIN,
            days=1,
            page=5000,
            seconds=0.2,
            reading="filters",
        )
        calls.append(result.calls)
    assert calls[0] <= 100 * DAY / (5 * 60)
    assert sorted(calls, reverse=True) == calls


def test_the_alternatives_by_brute_force() -> None:
    """Row by row and hour by hour the same comes out."""
    days, window = 3, DAY
    sends = some(days)
    result = reread("again", sends, begin=BEGIN, days=days, window=window, page=PAGE)
    rows = calls = seen_at_all = missed = 0
    for send in sends:
        seen: set[tuple[str, int]] = set()
        due: set[tuple[str, int]] = set()
        for hour in range(1, days * 24 + 1):
            now = BEGIN + hour * HOUR
            if send.conversation:
                shown = [at for at in send.sent if now - window < at <= now]
            else:
                shown = [at for at in send.sent if at <= now <= send.begins + window]
            clicks = sum(at <= now for at in send.clicked)
            read = bool(shown) or (send.conversation and any(at <= now for at in send.sent))
            rows += len(shown) + (clicks if read else 0)
            if shown:
                calls += math.ceil(len(shown) / PAGE) + 1 + LINKS
            for kind, (happened, sent) in send.sent_of.items():
                for place, (at, sent_at) in enumerate(zip(happened, sent, strict=True)):
                    if at >= BEGIN + days * DAY:
                        continue
                    due.add((kind, place))
                    begins = sent_at if send.conversation else send.begins
                    if at <= now <= begins + window:
                        seen.add((kind, place))
        seen_at_all += len(seen)
        missed += len(due - seen)
    assert (result.rows, result.freshness.seen, result.missed) == (rows, seen_at_all, missed)
    assert result.calls == calls


def test_people() -> None:
    """What follows from something comes after it, and all counters add up."""
    for send in some():
        assert ((send.opened >= send.sent) | (send.opened == NEVER)).all()
        assert (send.clicked >= send.opened[send.clickers]).all()
        assert (send.ordered[send.ordered < NEVER] >= send.sent[send.ordered < NEVER]).all()
        assert send.revenue(BEGIN + 99 * DAY) == send.cents.sum()
        assert send.counted("sent", BEGIN + 99 * DAY) == len(send.sent)

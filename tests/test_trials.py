"""Trials of real processes, in their shortest form; `make crash` and `make soak` are the long ones.

Tests of their own hold that each finds what it is there to find.
"""

from collections import Counter
from pathlib import Path
from random import Random

import pytest
from crash import cuts, report, soak, storm
from crash.outcome import Outcome, total
from crash.recording import Deed, left_by, recorded_deeds
from crash.soak import MEASURES, courses_of
from crash.sweeps import KINDS, spread_over
from proofs.__main__ import page_of
from proofs.proof import Proof, keep, kept

pytestmark = pytest.mark.anyio

LINES = r"""
7 1764590501.5 pwrite64(3<\x2f\x61\x2f\x62\x2e\x64\x62>, "\x41\x42", 2, 4) = 2
8 1764590501.6 fdatasync(3<\x2f\x61\x2f\x62\x2e\x64\x62>) = 0
7 1764590501.7 pwrite64(4<\x2f\x61\x2f\x62\x2e\x64\x62\x2d\x73\x68\x6d>, "\x00", 1, 0) = 1
7 1764590501.8 pwrite64(3<\x2f\x61\x2f\x62\x2e\x64\x62>, "\x43", 1, 0) = -1 ENOSPC (No space left on device)
7 1764590501.9 ftruncate(3<\x2f\x61\x2f\x62\x2e\x64\x62>, 5) = 0
7 1764590502.0 rename("\x2f\x61\x2f\x62\x2e\x64\x62", "\x2f\x61\x2f\x62\x2e\x6e\x65\x77") = 0
7 1764590502.1 unlink("\x2f\x61\x2f\x63") = 0
""".lstrip()  # noqa: E501  # as the tracer writes them


async def test_a_storm() -> None:
    """Kills at any moment, judged."""
    outcome = await storm.storm(1, 3)
    assert outcome.findings == []
    assert outcome.counts["kills"] == 3
    assert outcome.counts["events delivered"] > 0


async def test_a_power_loss() -> None:
    """What a catch-up wrote, cut at some places, judged."""
    outcome = await cuts.cuts(1, 2)
    if not outcome.counts:
        pytest.skip("this machine has no strace")
    assert outcome.findings == []
    assert outcome.counts["power losses"] == 2


def test_what_was_written_is_read(tmp_path: Path) -> None:
    """Only what was done, on the files that are asked for."""
    log = tmp_path / "log"
    log.write_text(LINES, encoding="ascii")
    deeds = recorded_deeds(log, "b")
    assert [(one.what, one.name) for one in deeds] == [
        ("write", "b.db"),
        ("sync", "b.db"),
        ("truncate", "b.db"),
        ("rename", "b.db"),
    ]
    assert deeds[0][3:] == (4, b"AB")
    assert deeds[2].at == 5
    assert deeds[3].data == b"b.new"


def test_what_was_synced_is_never_lost() -> None:
    """What came after may be, or a part of it."""
    deeds = [
        Deed(0, "write", "a", 0, b"first"),
        Deed(0, "sync", "a"),
        Deed(0, "write", "a", 5, b"second"),
        Deed(0, "rename", "a", data=b"b"),
        Deed(0, "write", "c", 2, b"x"),
        Deed(0, "unlink", "c"),
    ]
    found = {left_by(deeds, Random(seed))["b"] for seed in range(40)}
    assert found == {b"first", b"firstsecond", b"firstsec"}
    assert all(left_by(deeds, Random(seed)).keys() == {"b"} for seed in range(40))


def test_sweeps_are_spread() -> None:
    """Evenly over what is done at the calls, from the first to the last of them."""
    trials = spread_over(Counter(fdatasync=60, pwrite64=900), 24)
    assert Counter(trial[:2] for trial in trials) == dict.fromkeys(KINDS, 4)
    places = [nth for call, _, nth in trials if call == "pwrite64"]
    assert min(places) == 1
    assert max(places) > 600


def test_what_grows_is_found() -> None:
    """By its slope, of whatever is measured."""
    flat = [tuple(1e8 for _ in MEASURES)] * 50
    assert all(course.grew <= course.may_grow for course in courses_of(flat))
    for place, measure in enumerate(MEASURES):
        step = (1e8 * measure.share + measure.least) / 10
        rising = [
            tuple(1e8 + step * number * (place == each) for each in range(len(MEASURES)))
            for number in range(50)
        ]
        grown = [course.measure for course in courses_of(rising) if course.grew > course.may_grow]
        assert grown == [measure]


async def test_a_short_soak() -> None:
    """It runs, and tells what it has measured."""
    outcome, courses = await soak.soak(1, 2.5)
    grew = [finding for finding in outcome.findings if "grew" in finding]
    assert outcome.findings == grew, "so short a time is no measure"
    assert [course.measure for course in courses] == [*MEASURES]
    assert all(course.middle > 0 for course in courses)


def test_proofs_are_kept_and_shown(tmp_path: Path) -> None:
    """In the order of the page, each with its findings."""
    outcome = total([Outcome(findings=["lost"]), Outcome(seconds={"well/well": [0.5]})])
    outcome.counts["kills"] = 1234
    proofs = [Proof("Soak", "About it.", {"minutes": 2}), report.proof_of("SIGKILL", outcome, 90)]
    keep(proofs, tmp_path)
    assert [one.title for one in kept(tmp_path)] == ["SIGKILL", "Soak"]
    page = "\n".join(page_of(kept(tmp_path)))
    assert "| kills | 1,234 |" in page
    assert "| **findings** | **1** |" in page
    assert "- lost" in page
    keep(proofs, None)

"""The benchmark's runs: whoever is measured brings the same events, or the run fails."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from bench.contenders import BARE, SERVICE, SPENT, WATCHED
from bench.run import Bench, BenchmarkError, Contender, fresh_folder, serving

EVENTS = 3000


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with serving(EVENTS) as servers:
        yield Bench(servers, limit=60)


@pytest.mark.parametrize("contender", [BARE, SERVICE, WATCHED], ids=lambda one: one.name)
def test_every_contender_brings_the_same(bench: Bench, contender: Contender) -> None:
    with fresh_folder() as folder:
        run = bench.run(contender, folder)
    assert run.report.events == run.report.distinct == EVENTS


def test_the_stopwatch_shows_a_part_of_the_whole(bench: Bench) -> None:
    with fresh_folder() as folder:
        run = bench.run(WATCHED, folder)
        spent = float((folder / SPENT).read_text())
    assert 0 < spent < run.cpu


def test_what_is_remembered_is_not_brought_again(bench: Bench) -> None:
    with fresh_folder() as folder:
        bench.run(SERVICE, folder)
        assert bench.run_again(SERVICE, folder).report.events == 0
        with pytest.raises(BenchmarkError, match=f"0 events with 0 ids; {EVENTS:,} were due"):
            bench.run(SERVICE, folder)


def test_a_contender_that_fails_is_no_result(bench: Bench, tmp_path: Path) -> None:
    wrong = replace(SERVICE, environment=lambda _address, _folder: {"LISTRAK_LISTS": "none"})
    with pytest.raises(BenchmarkError, match="the service ended with 78"):
        bench.run_empty(wrong, tmp_path)

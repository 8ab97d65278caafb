"""Weeks of a large retailer and of a small one: what it costs to find everything, and how soon it
is found.

The large retailer: 2 million contacts on each of 5 lists, a send a day to each, 40 conversation
messages; emails are tracked for 30 days, so that some 300 million activity rows are within the
window. The small one has 50,000 contacts on each list. Some contacts leave, some come, some come
back; who isn't subscribed gets no email.

The whole service lives through the days, from its first start on, between a Listrak and a Segment
that answer it over HTTP; only its machine is replaced: clock, network, threads (`virtual`). Lists
are alike and have nothing to do with each other: one is simulated, with a fifth of the budget of 5
calls a second, and counted five times. The audience is scaled down together with the page (5,000
rows at full size), so that calls are what they would be; rows and events are scaled up again, but
for those that don't depend on the audience (lists of links). Its calls are all there are, with
those for contacts and for finding messages; those of the alternatives are for emails alone.
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec
from rich.console import Console

from simulation.lives import Life, live_all, lives, page_of, people_of
from simulation.one_by_one import one_by_one
from simulation.prediction import Prediction, of_retailer, predicted_beside_measured
from simulation.prediction import judged as judged_prediction
from simulation.report import calls, contacts, costs, digests, freshness, picture_of, state
from simulation.result import Result, Retailer
from simulation.strategies import MONTH, WEEK, reread
from simulation.targets import judged, targets

SCRIPTS = Path(__file__).parents[1]


@click.command(help=__doc__)
@click.option("--days", default=60, show_default=True, help="Days of the main life.")
@click.option("--others", default=14, show_default=True, help="Days of the other lives.")
@click.option(
    "--scale", default=200, show_default=True, help="The large audience is so much smaller."
)
@click.option("--small-scale", default=10, show_default=True, help="Likewise the small one.")
@click.option("--seed", default=1, show_default=True)
@click.option("--processes", default=2, show_default=True, help="Lives at a time.")
@click.option("--only", multiple=True, help="Names of lives; all of them unless told.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=SCRIPTS.parent / "simulation-results",
    help="Folder of tables and picture; simulation-results beside the scripts unless told.",
)
def main(
    *,
    days: int,
    others: int,
    scale: int,
    small_scale: int,
    seed: int,
    processes: int,
    only: Sequence[str],
    out: Path,
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    console = Console(record=True, width=None if sys.stdout.isatty() else 150)
    large = Retailer("large", 2_000_000, scale)
    small = Retailer("small", 50_000, small_scale)
    wanted = lives(large, small, days=days, others=others, seed=seed)
    wanted = [life for life in wanted if not only or life.name in only]
    began = time.perf_counter()
    found: dict[str, Result] = {}
    for result in live_all(wanted, processes):
        found[result.name] = result
        a_day = result.seconds / result.days
        console.print(
            f"{result.name}: {result.days} days, {result.seconds:,.0f} s, {a_day:.1f} a day"
        )
    console.print(f"all of them: {time.perf_counter() - began:,.0f} s, {processes} at a time")
    prediction = None if only else of_retailer(large, seed=seed)
    sys.exit(not told(console, [found[life.name] for life in wanted], wanted, out, prediction))


def told(
    console: Console,
    results: Sequence[Result],
    wanted: Sequence[Life],
    out: Path,
    prediction: Prediction | None,
) -> bool:
    """Prints and saves all tables; tells whether all is as it should be."""
    eventful = [life for life in wanted if life.eventful]
    weeks = {life.name: alternative(life, "7 days", WEEK) for life in eventful}
    # A retailer is shown once: in its longest life, which comes first.
    shown = {life.retailer: weeks[life.name] for life in reversed(eventful)}
    month = [alternative(life, "30 days", MONTH) for life in eventful[:1]]
    own = [result for result in results if result.name in weeks]
    quiet = [result for result in results if result.name not in weeks]
    both = [*own, *reversed(shown.values()), *month]
    judgements = list(judged({result.name: result for result in results}, weeks))
    if prediction is not None:
        judgements += judged_prediction(prediction)
        console.print(predicted_beside_measured(prediction))
    for table in (
        costs([*both, *quiet]),
        calls(results),
        freshness(both),
        contacts(own),
        state(own),
        one_by_one(),
        digests(results),
        targets(judgements),
    ):
        console.print(table)
    for result in results:
        for sentence in (*result.missing[:5], *result.warnings[:5]):
            console.print(f"{result.name}: {sentence}", style="red")
    (out / "simulation.txt").write_text(console.export_text(), encoding="utf-8")
    draw(picture_of(both), out / "simulation.png")
    return all(one.met for one in judgements)


def alternative(life: Life, name: str, window: float) -> Result:
    """Reading everything of so many seconds again each hour, in the same days."""
    retailer, page = life.retailer, page_of(life.retailer)
    full = f"{name} hourly" if retailer.name == "large" else f"{retailer.name}, {name} hourly"
    return reread(full, retailer, people_of(life), days=life.days, window=window, page=page)


def draw(figures: object, file: Path) -> None:
    """With the environment of the benchmark's peers, which has matplotlib."""
    peers = SCRIPTS.parent / ".venv-bench" / "bin" / "python"
    subprocess.run(
        [str(peers), "-m", "simulation.picture", str(file)],
        input=msgspec.json.encode(figures),
        cwd=SCRIPTS,
        check=True,
    )


if __name__ == "__main__":
    main()

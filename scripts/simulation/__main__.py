"""Sixty days of a large retailer: what it costs to find everything, and how soon it is found.

The retailer: 2 million contacts on each of 5 lists, a send a day to each list, 40 conversation
messages; emails are tracked for 30 days, so that some 300 million activity rows are within the
window. Lists are alike and have nothing to do with each other: one is simulated, with a fifth of
the budget of 5 calls a second, and counted five times. The audience is scaled down by `--scale`
together with the page (5,000 rows at full size), so that calls are what they would be; rows are
scaled up again, but for those that don't depend on the audience (lists of links). Contacts are read
the same way by every strategy and left out; with `--service` the whole service lives through the
days, and its calls include those for contacts and for finding messages.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import anyio
import click
import msgspec
from rich.console import Console

from simulation.bridge import live
from simulation.listrak import Reading
from simulation.population import Send, people
from simulation.report import Scale, costs, freshness, picture_of, state
from simulation.service import Course
from simulation.service import lived as service_lived
from simulation.strategies import MONTH, WEEK, Result, reread
from simulation.targets import judged, targets

BEGIN = 1_780_272_000.0  # 1 June 2026, midnight UTC
CONTACTS, LISTS, TALKS, PAGE, BUDGET = 2_000_000, 5, 40, 5000, 5.0
SCRIPTS = Path(__file__).parents[1]
# What activityType may do: filter rows, as is likely, or nothing, or it is refused.
READINGS: dict[str, Reading] = {
    "bridge: filters": "filters",
    "bridge: ignored": "ignored",
    "bridge: refused": "refused",
}


@click.command(help=__doc__)
@click.option("--days", default=60, show_default=True, help="How many days are lived.")
@click.option("--scale", default=100, show_default=True, help="The audience is so much smaller.")
@click.option("--seed", default=1, show_default=True)
@click.option("--service", is_flag=True, help="Live as the whole service, over HTTP; slower.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=SCRIPTS.parent / "simulation-results",
    help="Folder of tables and picture; simulation-results beside the scripts unless told.",
)
def main(*, days: int, scale: int, seed: int, service: bool, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    console = Console(record=True, width=None if sys.stdout.isatty() else 118)
    page = max(1, PAGE // scale)
    sends = people(
        seed=seed, begin=BEGIN, days=days, audience=CONTACTS // scale, talks=TALKS // LISTS
    )
    bridge: list[Result] = []
    for name, reading in READINGS.items():
        course = Course(BEGIN, days, page, BUDGET / LISTS, reading)
        bridge.append(lived(name, sends, course, service=service))
        seconds = bridge[-1].seconds
        console.print(f"{name}: {seconds:,.0f} s, {seconds / days:.1f} s a day")
    week, month = (
        reread(f"{name}, hourly", sends, begin=BEGIN, days=days, window=window, page=page)
        for name, window in (("7 days", WEEK), ("30 days", MONTH))
    )
    results = [*bridge, week, month]
    how = Scale(LISTS, scale, days)
    likely, *worst = bridge
    judgements = list(judged(likely, worst, week, how))
    for table in (costs(results, how), freshness(results), state(results), targets(judgements)):
        console.print(table)
    for result in results:
        for sentence in result.missing[:5]:
            console.print(f"{result.name}: {sentence}", style="red")
    (out / "simulation.txt").write_text(console.export_text(), encoding="utf-8")
    draw(picture_of(results, how), out / "simulation.png")
    sys.exit(not all(one.met for one in judgements))


def lived(name: str, sends: list[Send], course: Course, *, service: bool) -> Result:
    """A life of the bridge, or of the whole service, from its first start to its end."""
    with tempfile.TemporaryDirectory(prefix="listrak-bridge-simulation-") as folder:
        if service:
            return service_lived(name, sends, Path(folder), course)

        async def run() -> Result:
            return await live(
                name,
                sends,
                Path(folder),
                begin=course.begin,
                days=course.days,
                page=course.page,
                seconds=1 / course.rate,
                reading=course.reading,
            )

        return anyio.run(run)


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

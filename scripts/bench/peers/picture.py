"""Draws the bars of a benchmark: events a second, the least and the most as whiskers.

Run with the peers' environment, which has matplotlib. Standard input is a JSON object: name ->
events a second of each round.

    python -m bench.peers.picture FILE.png < RATES
"""

import json
import sys
from statistics import median

from matplotlib.figure import Figure

BAR, OWN_BAR, OWN = "#9aa5b1", "#1f7a8c", "the service"


def draw(rates: dict[str, list[float]], file: str) -> None:
    """One bar a contender, the fastest on top."""
    ordered = sorted(rates.items(), key=lambda item: median(item[1]))
    middles = [median(values) for _, values in ordered]
    whiskers = [
        [middle - min(values) for middle, (_, values) in zip(middles, ordered, strict=True)],
        [max(values) - middle for middle, (_, values) in zip(middles, ordered, strict=True)],
    ]
    figure = Figure(figsize=(9, 0.8 + 0.55 * len(ordered)), layout="constrained")
    axes = figure.subplots()
    names = [name for name, _ in ordered]
    colours = [OWN_BAR if name == OWN else BAR for name in names]
    bars = axes.barh(names, middles, xerr=whiskers, color=colours, ecolor="#52606d", capsize=3)
    axes.bar_label(bars, [f"{middle:,.0f}" for middle in middles], padding=8)
    axes.set_xlabel("events a second, median of the rounds (least to most)")
    axes.margins(x=0.15)
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    figure.savefig(file, dpi=150)


if __name__ == "__main__":
    draw(json.load(sys.stdin), sys.argv[1])

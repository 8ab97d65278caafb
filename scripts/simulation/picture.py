"""Draws what the strategies cost and how soon they see things.

Run with the environment of the benchmark's peers, which has matplotlib. Standard input is a JSON
object: strategy -> rows (per new event), opens (p95 in minutes) and orders (in hours).

    python -m simulation.picture FILE.png < FIGURES
"""

import json
import sys

from matplotlib.figure import Figure

BAR, OWN_BAR = "#9aa5b1", "#1f7a8c"
PANELS = {
    "rows": "rows read per new event",
    "opens": "minutes until 95 % of first-day opens are seen",
    "orders": "hours until 95 % of orders are seen",
}


def draw(figures: dict[str, dict[str, float]], file: str) -> None:
    """Three panels of bars, a bar a strategy; logarithmic, as they are far apart."""
    names = list(figures)
    figure = Figure(figsize=(12, 0.9 + 0.5 * len(names)), layout="constrained")
    for axes, (key, title) in zip(figure.subplots(1, 3, sharey=True), PANELS.items(), strict=True):
        values = [figures[name][key] for name in names]
        colours = [OWN_BAR if name.startswith("bridge") else BAR for name in names]
        bars = axes.barh(names, values, color=colours)
        axes.bar_label(bars, [f"{value:.3g}" for value in values], padding=4)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.set_xlabel(title)
        axes.margins(x=0.25)
        if key == "rows":
            axes.invert_yaxis()
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=150)


if __name__ == "__main__":
    draw(json.load(sys.stdin), sys.argv[1])

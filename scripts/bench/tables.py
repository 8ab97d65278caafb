"""Tables of a benchmark: on the terminal, as Markdown, and as what a picture is drawn from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.table import Table
from rich.text import Text


@dataclass(frozen=True)
class Target:
    """What a figure should come to: `most` for a ceiling, else it is the least."""

    value: float
    most: bool = False

    def met(self, figure: float) -> bool:
        """Whether a figure is as it should be."""
        return figure <= self.value if self.most else figure >= self.value

    def judge(self, figure: float, form: str) -> str:
        """The figure beside its target: "0.78 (target 0.70)"; a miss is said."""
        sign = "at most " if self.most else ""
        verdict = "" if self.met(figure) else ", missed"
        return f"{figure:{form}} (target {sign}{self.value:g}{verdict})"


def table(title: str, *columns: str) -> Table:
    """An empty table: the first column names the row, the others are figures."""
    made = Table(title=title, show_lines=True)
    for number, column in enumerate(columns):
        made.add_column(column, justify="right" if number else "left")
    return made


def spread(values: Sequence[float], form: str) -> str:
    """Median, and below it the least and the most."""
    return f"{median(values):{form}}\n[dim]{min(values):{form}} - {max(values):{form}}[/]"


def markdown(shown: Table) -> str:
    """A table as Markdown."""
    columns = [[_plain(str(cell)) for cell in column.cells] for column in shown.columns]
    heads = [_plain(str(column.header)) for column in shown.columns]
    lines = [heads, ["---"] + ["---:"] * (len(heads) - 1), *map(list, zip(*columns, strict=True))]
    return f"## {shown.title}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def save(folder: Path, name: str, shown: Sequence[Table]) -> Path:
    """Writes tables into a Markdown file of the folder, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.md"
    file.write_text("\n".join(map(markdown, shown)), encoding="utf-8")
    return file


def _plain(marked: str) -> str:
    """Text without rich's markup, in one line."""
    median_of, _, bounds = Text.from_markup(marked).plain.partition("\n")
    return f"{median_of} ({bounds})" if bounds else median_of

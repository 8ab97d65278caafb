"""The command `settings`: prints the environment table."""

from rich.table import Table

from bridge.commands.terminal import terminal
from bridge.environment.settings import DECLARATIONS


def show_settings() -> None:
    """Prints every setting with its default and meaning."""
    table = Table("variable", "default", "meaning")
    for declared in DECLARATIONS.values():
        default = "required" if declared.default is None else declared.default
        meaning = declared.help.replace("`", "")
        if declared.secret:
            meaning += f"; also as {declared.variable}_FILE or a systemd credential"
        table.add_row(declared.variable, default, meaning)
    terminal().print(table)

"""The tables on a terminal."""

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from .tables import TextTable


def drawn(table: TextTable) -> Group:
    """Return a table with its notes, ready for a rich console."""
    grid = Table(title=Text(table.title, style="bold"), title_justify="left", box=box.SIMPLE)
    for number, head in enumerate(table.heads):
        grid.add_column(Text(head), justify="left" if number == 0 else "right")
    for row in table.rows:
        grid.add_row(*map(Text, row))
    return Group(grid, *(Text(f"  {note}") for note in table.notes), Text(""))

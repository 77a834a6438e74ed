"""Prints a comparison for a terminal of 80 columns."""

from rich.console import Console

from ..report import terminal
from .view import View


def show(found: View, console: Console) -> None:
    """Print what each model sustains, what traffic costs on either, and the verdict."""
    for part in found.parts:
        console.print(f"\n{part.title}", style="bold", markup=False, end="")
        console.print(f" ({part.where})", markup=False)
        console.print(f"  {part.found}", markup=False, soft_wrap=True)
        console.print(f"  {part.price}", style="dim", markup=False, soft_wrap=True)
    if found.rows:
        table = terminal.table(*found.heads)
        for cells, cheaper in zip(found.rows, found.cheaper, strict=True):
            table.add_row(*cells, style="green" if cheaper == "gpu" else "")
        console.print()
        console.print(table)
    for limit in found.limits:
        console.print(limit, style="yellow", markup=False, soft_wrap=True)
    console.print(f"\n{found.verdict}", style="bold", soft_wrap=True)
    console.print(found.caveat, style="dim", soft_wrap=True)

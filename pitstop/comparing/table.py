"""Prints a comparison for a terminal of 80 columns."""

from rich.console import Console
from rich.table import Table

from .comparison import Comparison
from .words import CAVEAT, HEADS, limits, priced, row, sustains


def show(comparison: Comparison, console: Console) -> None:
    """Print what each model sustains, what traffic costs on either, and the verdict."""
    for name, side in (("GPU", comparison.gpu), ("CPU", comparison.cpu)):
        console.print(f"\n{name} {side.measured.model}", style="bold", markup=False, end="")
        console.print(f" on {side.measured.device or 'a device that the server does not name'}", markup=False)
        console.print(f"  {sustains(side, comparison.slo_ms)}", markup=False, soft_wrap=True)
        console.print(f"  {priced(side.price)}", style="dim", markup=False, soft_wrap=True)
    found = comparison.as_json()["costs"]
    if found:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for head in HEADS:
            table.add_column(head, justify="right")
        for each in found:
            table.add_row(*row(each), style="green" if each["cheaper"] == "gpu" else "")
        console.print()
        console.print(table)
    for limit in limits(comparison):
        console.print(limit, style="yellow", markup=False, soft_wrap=True)
    console.print(f"\n{comparison.verdict}", style="bold", soft_wrap=True)
    console.print(CAVEAT, style="dim", soft_wrap=True)

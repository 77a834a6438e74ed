"""All rows, in the order of the table."""

from . import faults, losses, overload, rollouts

CASES = (*overload.CASES, *faults.CASES, *rollouts.CASES, *losses.CASES)

"""All rows, in the order of the table."""

from . import faults, front, losses, overload, rollouts, spread

CASES = (*overload.CASES, *faults.CASES, *front.CASES, *rollouts.CASES, *losses.CASES, *spread.CASES)

"""All rows, in the order of the table."""

from . import faults, overload, rollouts

CASES = (*overload.CASES, *faults.CASES, *rollouts.CASES)

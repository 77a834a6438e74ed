"""Faults, overload and rollouts under steady load, counted: every answer is held against the known right one."""

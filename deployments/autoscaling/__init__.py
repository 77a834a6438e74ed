"""How many replicas a model needs, from the rows that wait for its devices. docs/autoscaling.md explains it.

The YAML names `deployments.autoscaling:TargetQueue`. Ray copies this package by value into its controller, where the
project need not be installed: policy.py and decide.py therefore import nothing but the standard library.
"""

from .policy import TargetQueue

__all__ = ["TargetQueue"]

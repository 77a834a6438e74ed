"""Two versions of one model: a share of the requests of one application is answered by another, its canary.

The canary is an application of its own, so that starting, changing and losing it never touches the stable version:
split.py stands before the stable model and decides, canary.py hands over and falls back, other.py watches the canary.
"""

from .split import Split

__all__ = ["Split"]

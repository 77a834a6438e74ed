"""How many replicas Serve may start of a deployment, as its part of the config says."""

from collections.abc import Mapping
from typing import Any

# Ray's own bound where num_replicas is `auto`.
_AUTO_REPLICAS = 100


def replica_bounds(replicas: Mapping[str, Any]) -> tuple[int, int]:
    """Return the least and the most replicas. `replicas` is a ModelApp's: num_replicas, autoscaling_config, …"""
    scaling, fixed = replicas.get("autoscaling_config"), replicas.get("num_replicas")
    if not isinstance(scaling, Mapping) and fixed != "auto":
        return _number(fixed, 1), _number(fixed, 1)
    given = scaling if isinstance(scaling, Mapping) else {}
    most = _AUTO_REPLICAS if fixed == "auto" else 1
    return _number(given.get("min_replicas"), 1), _number(given.get("max_replicas"), most)


def _number(value: object, default: int) -> int:
    return value if isinstance(value, int) else default

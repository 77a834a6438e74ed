"""How an app was started: read from its environment, which the runner fills the same way for every peer."""

import os
from collections.abc import Mapping
from typing import Any

from benchmarks.device import chosen

WORKLOAD = os.environ.get("BENCH_WORKLOAD", "mlp")
MAX_ROWS = int(os.environ.get("BENCH_MAX_ROWS", "1"))
WAIT_MS = float(os.environ.get("BENCH_WAIT_MS", "0"))
WORKERS = chosen().workers
PORT = int(os.environ.get("BENCH_PORT", "8000"))
IMAGES = WORKLOAD == "resnet50"

_KEY = {"mlp": "x", "minilm": "text"}.get(WORKLOAD, "")


def value_of(content: Mapping[str, Any]) -> Any:
    """Return the model's input from a request's JSON."""
    return content[_KEY]

"""What every record of a run has, whatever was measured."""

from typing import Any

import pytest


@pytest.fixture
def record() -> dict[str, Any]:
    return {
        "hardware": {"cpu": "A CPU", "cores": 2},
        "versions": {"ray": "2"},
        "commit": "abc",
        "date": "2026-11-26T12:00:00+00:00",
        "load_average": [0.1, 0.2, 0.3],
        "command": "python -m benchmarks.this",
    }

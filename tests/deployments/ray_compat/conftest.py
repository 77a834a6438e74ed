from collections.abc import Iterator
from logging import getLogger

import pytest

from deployments.ray_compat import autoscaling, names


@pytest.fixture(autouse=True)
def new_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing has been looked up or logged yet, as at the start of a replica."""
    monkeypatch.setattr(getLogger("pitstop"), "propagate", True)
    caches = (names.usable, names.say_once, autoscaling.check)
    for each in caches:
        each.cache_clear()
    yield
    for each in caches:
        each.cache_clear()

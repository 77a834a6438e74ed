import gc
from collections.abc import Iterator

import pytest

from deployments.gc_tuning import freeze


class Ring:
    """Refers to itself, so that only a collection frees it."""

    def __init__(self) -> None:
        self.own = self


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_a_collection_looks_at_nothing_that_was_there_before_the_freeze() -> None:
    before = [Ring()]
    freeze()
    assert gc.get_freeze_count() > len(gc.get_objects())
    assert not any(each is before[0] for each in gc.get_objects())


def test_what_comes_after_it_is_still_collected() -> None:
    freeze()
    gc.collect()
    Ring()
    assert gc.collect() > 0


def test_garbage_of_the_start_is_not_kept_for_ever() -> None:
    gc.collect()
    Ring()
    freeze()
    gc.unfreeze()
    assert not any(isinstance(each, Ring) for each in gc.get_objects())

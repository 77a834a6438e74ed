"""What tests of a replica's parts need where there is no replica."""

import logging

import pytest


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """The log as pytest hears it: a replica's own set-up keeps it from the root logger."""
    monkeypatch.setattr(logging.getLogger("pitstop"), "propagate", True)
    return caplog


@pytest.fixture(autouse=True)
def _no_replica(monkeypatch: pytest.MonkeyPatch) -> None:
    """`@serve.batch` asks the replica that it is in for one number, only to warn of it."""
    queue = "ray.serve.batching._BatchQueue._warn_if_max_batch_size_exceeds_max_ongoing_requests"
    monkeypatch.setattr(queue, lambda _: None)

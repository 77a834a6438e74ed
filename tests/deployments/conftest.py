"""The log as pytest hears it: a replica's own set-up keeps it from the root logger."""

import logging

import pytest


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("pitstop"), "propagate", True)
    return caplog

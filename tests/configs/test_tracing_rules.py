"""A model with tracing is refused where OpenTelemetry's exporter is missing."""

from collections.abc import Callable

import pytest

from configs.lint import tracing
from configs.problems import Problem

TRACING = "applications__1__args__tracing"


def test_tracing_without_the_exporter_is_an_error_that_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, changed: Callable[..., list[Problem]]
) -> None:
    monkeypatch.setattr(tracing, "EXPORTER", "opentelemetry.no_such.exporter")
    [found] = changed(**{TRACING: {}})
    assert (found.severity, found.keys[-1]) == ("error", "tracing")
    assert found.help == "pip install 'pitstop[tracing]', or remove tracing"


def test_tracing_with_the_exporter_is_fine_and_without_tracing_it_is_not_needed(
    monkeypatch: pytest.MonkeyPatch, changed: Callable[..., list[Problem]]
) -> None:
    assert changed(**{TRACING: {"sample": 0.5, "endpoint": "http://collector:4318"}}) == []
    monkeypatch.setattr(tracing, "EXPORTER", "opentelemetry.no_such.exporter")
    assert changed() == []

"""Rules for models with tracing: the exporter is an extra, and without it the model would not start."""

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any

from ..problems import Keys, Problem, items, mapping, where
from .applications import MODEL

EXPORTER = "opentelemetry.exporter.otlp.proto.http"


def tracing_rules(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield an error for each model that has tracing while the exporter is not installed."""
    for index, app in items(raw, "applications"):
        if app.get("import_path") != MODEL or mapping(app, "args").get("tracing") is None or _installed():
            continue
        keys: Keys = ("applications", index, "args", "tracing")
        what = "needs OpenTelemetry's exporter, which is not installed"
        yield Problem(keys, where(raw, keys), what, "pip install 'pitstop[tracing]', or remove tracing")


def _installed() -> bool:
    try:
        return find_spec(EXPORTER) is not None
    except ImportError:
        return False

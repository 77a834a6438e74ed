"""OpenTelemetry's provider for a model: spans are exported in batches by a thread of its own.

If the collector does not answer, spans wait in a bounded queue and are dropped when that is full. The sampler is ours
(observer.py), so the provider keeps every span that is begun.
"""

import os
from typing import TYPE_CHECKING, NamedTuple

from configs.schema import TracingConfig
from models.errors import ModelError

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

_SAMPLE = 0.01
_PATH = "/v1/traces"
NAME = "pitstop"


class Sampling(NamedTuple):
    """The share of requests that begin a trace, and whether a request's `traceparent` decides where it has one."""

    share: float
    by_parent: bool


def sampling(config: TracingConfig) -> Sampling:
    """Return what the config says, else OTEL_TRACES_SAMPLER and its argument; raise ModelError if that is no share."""
    name = os.environ.get("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    by_parent = name.startswith("parentbased_")
    if config.sample is not None:
        return Sampling(config.sample, by_parent)
    kind = name.removeprefix("parentbased_")
    if kind in ("always_on", "always_off"):
        return Sampling(float(kind == "always_on"), by_parent)
    given = os.environ.get("OTEL_TRACES_SAMPLER_ARG", str(_SAMPLE))
    try:
        share = float(given)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ModelError(f"OTEL_TRACES_SAMPLER_ARG is {given!r}\nhelp: use a share from 0 to 1")
    return Sampling(share, by_parent)


def tracer(config: TracingConfig) -> "Tracer | None":
    """Return a tracer that exports to the config's endpoint; None if OTEL_SDK_DISABLED says so.

    Raises:
        ModelError: the exporter is not installed.
    """
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ALWAYS_ON
    except ImportError as error:
        raise ModelError("tracing needs OpenTelemetry's exporter\nhelp: pip install 'pitstop[tracing]'") from error
    name = config.service_name or os.environ.get("OTEL_SERVICE_NAME") or NAME
    endpoint = None if config.endpoint is None else config.endpoint.rstrip("/").removesuffix(_PATH) + _PATH
    provider = TracerProvider(sampler=ALWAYS_ON, resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    return provider.get_tracer(NAME)

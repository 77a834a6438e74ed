"""OpenTelemetry's provider for a model: spans are exported in batches by a thread of its own.

If the collector does not answer, spans wait in a bounded queue and are dropped when that is full. The sampler is ours
(observer.py), so the provider keeps every span that is begun.
"""

import asyncio
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, cast

from configs.schema import TracingConfig
from models.errors import ModelError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import Tracer

_SAMPLE = 0.01
_PATH = "/v1/traces"
NAME = "pitstop"
# `pitstop run` ends its processes two seconds after the last answer, and OpenTelemetry's own delay is 5 s.
_DELAY_MS = 1000
_FLUSH_S = 1.0


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
    resource = Resource.create({"service.name": name})
    # At its exit the provider would wait for the collector, for up to 30 s.
    provider = TracerProvider(sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False)
    delay_ms = None if "OTEL_BSP_SCHEDULE_DELAY" in os.environ else _DELAY_MS
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint), schedule_delay_millis=delay_ms))
    return cast("Tracer", provider.get_tracer(NAME))


async def flush(tracer: "Tracer") -> None:
    """Send the spans that still wait; those that the collector does not take within a second are lost."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def work() -> None:
        tracer.span_processor.force_flush()  # It has a timeout, which OpenTelemetry does not keep.
        with suppress(RuntimeError):  # The loop has ended meanwhile.
            loop.call_soon_threadsafe(done.set)

    # The exit waits for an executor's threads, and not for this one.
    threading.Thread(target=work, daemon=True).start()
    with suppress(TimeoutError):
        await asyncio.wait_for(done.wait(), _FLUSH_S)

"""A model's service with tracing and an access log, without Ray, in front of a collector in the same process."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from configs.schema import AccessLogConfig, ModelConfig, TracingConfig
from deployments.canary.router import CanaryRouter
from deployments.http.rest import build
from deployments.metrics.model_metrics import ModelMetrics
from deployments.model import Model
from deployments.service import ModelService
from deployments.tracing import provider
from deployments.tracing.observer import Observer, open_observer
from deployments.tracing.provider import Sampling, sampling, tracer
from models.errors import ModelError
from models.signature import signature_of
from pitstop.ports import free_port
from tests.collector import Collector, Span, collector
from tests.deployments.test_requests_of_their_own import batcher_of
from tests.models.test_open_model import config

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED, NOT_SAMPLED = f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00"
BODY = json.dumps({"inputs": [{"name": "x", "shape": [2, 4], "datatype": "FP32", "data": [1] * 8}]}).encode()
REQUEST = {"read", "queue", "forward", "write", "infer"}
Lines = list[dict[str, Any]]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path))
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")


@pytest.fixture
def collected() -> Iterator[Collector]:
    with collector() as found:
        yield found


def observer(url: str, sample: float = 1, logged: float = 0, lines: Lines | None = None) -> Observer:
    found = tracer(TracingConfig(endpoint=url, service_name="shop"))
    write = ([] if lines is None else lines).append
    return Observer("m", "1", found, Sampling(sample, True), logged, write)


async def asked(given: ModelConfig, seen: Observer, requests: list[tuple[bytes, dict[str, str]]]) -> list[int]:
    """Ask /infer at once with bodies and headers, over the application that Serve's wrapper calls; return statuses."""
    batcher = await batcher_of(given, seen.ran)
    counts, canary = ModelMetrics({}), CanaryRouter(signature_of(given))
    app = build(ModelService(given, batcher, counts, canary, dict, observer=seen))

    async def one(body: bytes, headers: dict[str, str]) -> int:
        messages: list[Any] = []
        waiting = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Any:
            if waiting:
                return waiting.pop()
            return await asyncio.Event().wait()

        async def send(message: Any) -> None:
            messages.append(message)

        given_headers = [(name.encode(), value.encode()) for name, value in headers.items()]
        path = f"/v2/models/{given.name}/infer"
        await app({"type": "http", "method": "POST", "path": path, "headers": given_headers}, receive, send)
        status: int = messages[0]["status"]
        return status

    return await asyncio.gather(*(one(*each) for each in requests))


def within(inner: Span, outer: Span) -> bool:
    slack_ns = 5_000_000  # Each time is turned into a date by itself.
    return outer.start_ns - slack_ns <= inner.start_ns <= inner.end_ns <= outer.end_ns + slack_ns


def test_a_request_s_spans_nest_below_its_caller_s_and_say_what_ran(collected: Collector) -> None:
    assert asyncio.run(asked(config(), observer(collected.url, 0), [(BODY, {"traceparent": SAMPLED})])) == [200]
    spans = collected.trace(TRACE, REQUEST)
    root = spans["infer"]
    assert root.parent == PARENT
    assert root.service == "shop"
    assert root.attributes["pitstop.model"] == "m"
    assert root.attributes["pitstop.rows"] == 2
    assert root.attributes["http.response.status_code"] == 200
    for name in ("read", "queue", "forward", "write"):
        assert spans[name].parent == root.id
        assert spans[name].attributes["pitstop.model"] == "m"
        assert within(spans[name], root)
    order = [spans[name].start_ns for name in ("read", "queue", "forward", "write")]
    assert order == sorted(order)
    assert spans["forward"].attributes["pitstop.batch.rows"] == 2
    assert spans["forward"].attributes["pitstop.batch.size"] == 2


def test_requests_that_share_a_forward_are_linked_by_its_batch(collected: Collector) -> None:
    traces = [f"{number:032x}" for number in (1, 2)]
    requests = [(BODY, {"traceparent": f"00-{trace}-{PARENT}-01"}) for trace in traces]
    assert asyncio.run(asked(config(), observer(collected.url, 0), requests)) == [200, 200]
    spans = [collected.trace(trace, REQUEST) for trace in traces]
    [one, other] = [collected.batch_of(each["forward"]) for each in spans]
    assert one.id == other.id
    assert set(one.links) == {(each["infer"].trace, each["infer"].id) for each in spans}
    assert one.attributes["pitstop.batch.requests"] == 2
    assert one.attributes["pitstop.batch.rows"] == 4


def test_a_request_that_is_refused_has_a_span_that_failed_without_its_text(collected: Collector) -> None:
    headers = {"traceparent": SAMPLED}
    assert asyncio.run(asked(config(), observer(collected.url, 0), [(b'{"inputs": "secret"}', headers)])) == [400]
    root = collected.trace(TRACE, {"infer"})["infer"]
    assert root.failed
    assert root.attributes["error.type"] == "bad_request"
    assert "secret" not in str(collected.spans)


def test_a_traceparent_decides_and_without_one_the_share_does(collected: Collector) -> None:
    quarter = observer(collected.url, 0.25)
    assert quarter.begin("infer", NOT_SAMPLED, None) is None
    assert quarter.begin("infer", "nonsense", None) is None
    assert sum(quarter.begin("infer", None, None) is not None for _ in range(100)) == 25
    assert quarter.begin("infer", SAMPLED, None) is not None


def test_a_collector_that_does_not_answer_disturbs_no_request() -> None:
    dead = observer(f"http://127.0.0.1:{free_port()}")
    assert asyncio.run(asked(config(), dead, [(BODY, {})] * 50)) == [200] * 50


def test_the_last_spans_are_sent_before_a_replica_ends(collected: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "600000")
    seen = observer(collected.url)

    async def main() -> None:
        await asked(config(), seen, [(BODY, {"traceparent": SAMPLED})])
        assert collected.spans == []
        await Model.__del__(cast(Any, SimpleNamespace(_observer=seen)))

    asyncio.run(main())
    assert {each.name for each in collected.spans if each.trace == TRACE} == REQUEST


ENDING = """
import asyncio, sys, time
from configs.schema import TracingConfig
from deployments.tracing.provider import flush, tracer
spans = tracer(TracingConfig(endpoint=sys.argv[1]))
spans.start_span("one").end()
began = time.monotonic()
asyncio.run(flush(spans))
print(time.monotonic() - began)
"""


@pytest.mark.parametrize("hangs", [True, False])
def test_a_collector_that_hangs_or_is_down_holds_up_no_end(hangs: bool) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if hangs:
            silent.listen()
        command = [sys.executable, "-c", ENDING, f"http://127.0.0.1:{silent.getsockname()[1]}"]
        environment = {**os.environ, "OTEL_EXPORTER_OTLP_TIMEOUT": "600"}
        ended = subprocess.run(command, env=environment, capture_output=True, check=True, text=True, timeout=60)
    assert float(ended.stdout) < 5


def test_the_access_log_has_a_line_for_each_sampled_request_and_nothing_of_its_body(collected: Collector) -> None:
    lines: Lines = []
    seen = observer(collected.url, 0, 0.5, lines)
    requests = [(BODY, {}), (BODY, {}), (b"secret", {}), (b"secret", {"traceparent": SAMPLED})]
    asyncio.run(asked(config(), seen, requests))
    assert [(each["status"], each.get("error")) for each in lines if "trace" not in each] == [(200, None)]
    [traced] = [each for each in lines if "trace" in each]
    assert traced["trace"] == TRACE
    assert (traced["model"], traced["route"], traced["status"], traced["error"]) == ("m", "infer", 400, "bad_request")
    assert "secret" not in str(lines)


def test_what_the_config_leaves_out_is_read_from_opentelemetry_s_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sampling(TracingConfig()) == (0.01, True)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    assert sampling(TracingConfig()) == (0.5, True)
    assert sampling(TracingConfig(sample=0.1)) == (0.1, True)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_on")
    assert sampling(TracingConfig()) == (1, False)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "half")
    with pytest.raises(ModelError, match="OTEL_TRACES_SAMPLER_ARG is 'half'\nhelp: use a share"):
        sampling(TracingConfig())


def test_the_endpoint_and_the_name_may_come_from_the_environment(
    collected: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collected.url)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "named")
    given = config().model_copy(update={"tracing": TracingConfig()})
    seen = open_observer(given)
    assert seen is not None
    assert asyncio.run(asked(given, seen, [(BODY, {"traceparent": SAMPLED})])) == [200]
    assert collected.trace(TRACE, REQUEST)["infer"].service == "named"


def test_without_either_there_is_no_observer_and_disabled_there_is_no_tracing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_observer(config()) is None
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert open_observer(config().model_copy(update={"tracing": TracingConfig()})) is None
    logged = {"tracing": TracingConfig(), "access_log": AccessLogConfig(sample=1)}
    assert open_observer(config().model_copy(update=logged)) is not None


def test_a_start_without_the_exporter_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(ModelError, match=r"pip install 'pitstop\[tracing\]'"):
        provider.tracer(TracingConfig())

"""Traces go through a server over every way that a request takes, and a collector that is dead disturbs none."""

import json
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
import requests
import yaml

from configs.document import application
from deployments.stubs import open_inference_pb2 as pb
from deployments.stubs.open_inference_pb2_grpc import GRPCInferenceServiceStub
from pitstop.ports import free_port
from tests.collector import Collector, collector
from tests.e2e.clients import BODY, TENSOR, Load, loaded
from tests.e2e.conftest import model
from tests.serving import PROJECT, SHORT, Serving, deploy, serve_run

pytestmark = pytest.mark.ray
PARENT = "b7ad6b7169203331"
INNER = {"read", "queue", "forward", "write"}


@pytest.fixture(scope="module")
def traced(cache: object) -> Iterator[tuple[Serving, Collector]]:  # noqa: ARG001
    with collector() as found, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")

        def models(raw: dict[str, Any]) -> None:
            late = {**application(raw, "digits")["runtime_env"]["env_vars"], "OTEL_BSP_SCHEDULE_DELAY": "600000"}
            alive = {"endpoint": found.url, "sample": 0, "service_name": "shop"}
            dead = {"endpoint": f"http://127.0.0.1:{free_port()}", "sample": 1}
            raw["applications"] = [
                application(raw, "root"),
                model("one", ms=5, tracing=alive, access_log={"sample": 1}),
                model("dead", ms=5, tracing=dead),
                {**model("late", ms=5, tracing=alive), "runtime_env": {"env_vars": late}},
            ]

        with serve_run(PROJECT / "serve_config.yaml", SHORT, models) as serving:
            yield serving, found


def short_path(serving: Serving, traceparent: str, name: str = "one") -> None:
    answer = requests.post(f"{serving.model(name)}/infer", json=BODY, headers={"traceparent": traceparent}, timeout=20)
    assert answer.status_code == 200


def serves_wrapper(serving: Serving, traceparent: str) -> None:
    # The short path leaves a body in chunks to Serve's wrapper.
    chunks = iter([json.dumps(BODY).encode()])
    answer = requests.post(f"{serving.model('one')}/infer", chunks, headers={"traceparent": traceparent}, timeout=20)
    assert answer.status_code == 200


def predict(serving: Serving, traceparent: str) -> None:
    url, body = f"{serving.model('one')}/predict", {"instances": [[3]]}
    assert requests.post(url, json=body, headers={"traceparent": traceparent}, timeout=20).status_code == 200


def grpc_proxy(serving: Serving, traceparent: str) -> None:
    call(serving.grpc_port, [("traceparent", traceparent)])


def grpc_direct(serving: Serving, traceparent: str) -> None:
    port = yaml.safe_load(serving.config.read_text())["grpc_options"]["port"]
    call(port, [("application", "one"), ("traceparent", traceparent)])


def call(port: int, metadata: list[tuple[str, str]]) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub: Any = GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]
        stub.ModelInfer(pb.ModelInferRequest(model_name="one", inputs=[TENSOR]), metadata=metadata, timeout=20)


WAYS = {
    short_path: "infer",
    serves_wrapper: "infer",
    predict: "predict",
    grpc_proxy: "infer",
    grpc_direct: "ModelInfer",
}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_trace_goes_through_and_its_spans_nest(way: Any, traced: tuple[Serving, Collector]) -> None:
    serving, found = traced
    trace = f"{[*WAYS].index(way) + 1:032x}"
    way(serving, f"00-{trace}-{PARENT}-01")
    spans = found.trace(trace, INNER | {WAYS[way]})
    root = spans[WAYS[way]]
    assert (root.parent, root.service) == (PARENT, "shop")
    assert root.attributes["pitstop.model"] == "one"
    assert {spans[name].parent for name in INNER} == {root.id}
    assert spans["forward"].attributes["pitstop.batch.rows"] == 1
    assert (root.trace, root.id) in found.batch_of(spans["forward"]).links


def test_without_a_traceparent_nothing_is_traced_where_the_share_is_0(traced: tuple[Serving, Collector]) -> None:
    serving, found = traced
    assert requests.post(f"{serving.model('one')}/infer", json=BODY, timeout=20).status_code == 200
    short_path(serving, f"00-{'f' * 32}-{PARENT}-01")  # Its spans come after those of the one before.
    found.trace("f" * 32, INNER | {"infer"})
    assert {each.parent for each in found.spans if each.name == "infer"} == {PARENT}


def test_the_access_log_has_its_lines_in_the_server_s_log(traced: tuple[Serving, Collector]) -> None:
    serving, _ = traced
    short_path(serving, f"00-{'e' * 32}-{PARENT}-01")
    serving.wait_for('"trace":"' + "e" * 32, timeout_s=30)
    line = next(line for line in serving.lines if "e" * 32 in line)
    logged = json.loads(line[line.index("{") : line.rindex("}") + 1])
    assert (logged["model"], logged["route"], logged["rows"], logged["status"]) == ("one", "infer", 1, 200)


def test_the_last_spans_of_a_replica_are_sent_when_it_ends(traced: tuple[Serving, Collector]) -> None:
    serving, found = traced
    short_path(serving, f"00-{'d' * 32}-{PARENT}-01", "late")

    def without(raw: dict[str, Any]) -> None:
        raw["applications"].remove(application(raw, "late"))

    deploy(serving, without)
    found.trace("d" * 32, INNER | {"infer"})


def test_a_dead_collector_disturbs_no_request(traced: tuple[Serving, Collector]) -> None:
    serving, _ = traced
    with loaded(Load(f"{serving.model('dead')}/infer"), 8) as load:
        load.wait_for(200)

"""Replicas come and go under load, and no gRPC call is lost, on either way to them."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import grpc
import pytest
import yaml

from deployments.stubs import open_inference_pb2 as pb
from deployments.stubs.open_inference_pb2_grpc import GRPCInferenceServiceStub
from tests.e2e.test_rollout import Load, answer, replicas, two_replicas, until
from tests.serving import LONG, PROJECT, SHORT, Serving, deploy, serve_run

pytestmark = pytest.mark.ray

CONTENTS = pb.InferTensorContents(fp32_contents=[3])
TENSOR = pb.ModelInferRequest.InferInputTensor(name="x", datatype="FP32", shape=[1, 1], contents=CONTENTS)
REQUEST = pb.ModelInferRequest(model_name="slow", inputs=[TENSOR])


def client(found: Load, port: int, metadata: Any) -> None:
    """Ask one after the other on a channel of its own, and count what comes back."""
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        stub: Any = GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]
        while not found.stop.is_set():
            try:
                stub.ModelInfer(REQUEST, metadata=metadata, timeout=20)
                wrong = None
            except grpc.RpcError as error:
                failed: Any = error
                wrong = f"{port} {failed.code()} {failed.details()}"
            with found.changed:
                found.good += wrong is None
                found.bad += [wrong] if wrong else []
                found.changed.notify_all()


@contextmanager
def load(serving: Serving) -> Iterator[Load]:
    found = Load("")
    one_hop = yaml.safe_load(serving.config.read_text())["grpc_options"]["port"]
    ways = [(serving.grpc_port, None), (one_hop, (("application", "slow"),))]
    threads = [Thread(target=client, args=(found, *way)) for way in ways for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        found.wait_for(50)
        yield found
        found.wait_for(50)
    finally:
        found.stop.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("path", [SHORT, LONG])
def test_no_call_is_lost_when_a_model_scales_down_and_changes_its_weights(path: str, cache: object) -> None:  # noqa: ARG001
    def fewer(raw: dict[str, Any]) -> None:
        raw["applications"][-1]["deployments"][0]["num_replicas"] = 1

    def other_weights(raw: dict[str, Any]) -> None:
        raw["applications"][-1]["args"]["source"]["kwargs"]["factor"] = 3.0

    with serve_run(PROJECT / "serve_config.yaml", path, two_replicas) as serving, load(serving) as found:
        deploy(serving, fewer)
        until(lambda: replicas(serving) == 1, found)
        deploy(serving, other_weights)
        until(lambda: answer(serving) == [9.0], found)
        until(lambda: replicas(serving) == 1, found)
    assert found.bad == []

"""Clients that ask until they are stopped, each in a thread of its own, and count what comes back."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import grpc
import requests

from deployments.stubs import open_inference_pb2 as pb
from deployments.stubs.open_inference_pb2_grpc import GRPCInferenceServiceStub
from tests.serving import Serving

BODY = {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [3]}]}
CONTENTS = pb.InferTensorContents(fp32_contents=[3])
TENSOR = pb.ModelInferRequest.InferInputTensor(name="x", datatype="FP32", shape=[1, 1], contents=CONTENTS)
# A call is not on its way back at every moment; of so many stops of a replica one meets it.
STOPS = 10

Kind = TypeVar("Kind", bound="Load")


class Load:
    """Clients that ask a model for what becomes of a 3, one after the other, each on its kept connection."""

    body: ClassVar[dict[str, Any]] = BODY

    def __init__(self, url: str) -> None:
        self.url = url
        self.good = 0
        self.bad: list[str] = []
        self.stop = threading.Event()
        self.changed = threading.Condition()

    def client(self) -> None:
        with requests.Session() as session:
            while not self.stop.is_set():
                try:
                    self.count(self.judge(session.post(self.url, json=self.body, timeout=20)))
                except requests.RequestException as error:
                    self.count(repr(error))

    def judge(self, answer: requests.Response) -> str | None:
        """Return what is wrong with an answer; of one version it is 6, of the other 9."""
        data = answer.json()["outputs"][0]["data"] if answer.ok else answer.text
        return None if data in ([6.0], [9.0]) else f"{answer.status_code} {data}"

    def count(self, wrong: str | None) -> None:
        with self.changed:
            self.good += wrong is None
            self.bad += [] if wrong is None else [wrong]
            self.changed.notify_all()

    def wait_for(self, more: int) -> None:
        """Wait until this many more answers have come, so that a step of the test had load all along."""
        with self.changed:
            target = self.good + more
            came = self.changed.wait_for(lambda: self.good >= target or self.bad, timeout=120)
        assert self.bad == [], self.bad[:5]
        assert came, f"{self.good} answers, not {target}"

    def until(self, holds: Callable[[], bool]) -> None:
        """Go on asking until something holds, which is looked at after every twenty answers."""
        deadline = time.monotonic() + 120
        while not holds():
            assert time.monotonic() < deadline, "it never came to hold"
            self.wait_for(20)


class Calls(Load):
    """As Load, over gRPC: each client asks on a channel of its own."""

    def __init__(self, port: int, model: str, metadata: Any = None) -> None:
        super().__init__(f"127.0.0.1:{port}")
        self.call = pb.ModelInferRequest(model_name=model, inputs=[TENSOR])
        self.metadata = metadata

    def client(self) -> None:
        with grpc.insecure_channel(self.url, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            stub: Any = GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]
            while not self.stop.is_set():
                try:
                    stub.ModelInfer(self.call, metadata=self.metadata, timeout=20)
                    wrong = None
                except grpc.RpcError as error:
                    failed: Any = error
                    wrong = f"{self.url} {failed.code()} {failed.details()}"
                self.count(wrong)


@contextmanager
def load(serving: Serving, model: str, clients: int = 8) -> Iterator[Load]:
    with loaded(Load(f"{serving.model(model)}/infer"), clients) as found:
        yield found


@contextmanager
def loaded(found: Kind, clients: int) -> Iterator[Kind]:
    """As asking, with fifty answers before and after."""
    with asking(found, clients):
        found.wait_for(50)
        yield found
        found.wait_for(50)


@contextmanager
def asking(found: Kind, clients: int) -> Iterator[Kind]:
    """Let clients ask until the end of the block, of which no request may fail."""
    threads = [threading.Thread(target=found.client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        found.stop.set()
        for thread in threads:
            thread.join()
    assert found.bad == [], found.bad[:5]


def replicas(serving: Serving, application: str, deployment: str = "Model") -> list[int]:
    """Return the processes of a deployment's replicas, among those of this run."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                title = (process / "cmdline").read_bytes().decode(errors="replace")
                mine = serving.mark.encode() in (process / "environ").read_bytes()
            except OSError:
                continue
            if mine and f"ServeReplica:{application}:{deployment}" in title:
                found.append(int(process.name))
    assert found, f"no replica of {application} runs"
    return found

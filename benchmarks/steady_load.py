"""A steady load of single requests that tells apart what was refused and what was accepted and lost."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import grpc
import requests
from requests.exceptions import ConnectionError as NoConnectionError

from deployments.stubs.open_inference_pb2_grpc import GRPCInferenceServiceStub

# Calls of one process to one address share a connection, unless each channel has a pool of its own. With retries a call
# hangs whose connection is told to go away as it opens (docs/grpc.md).
_ALONE = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
_NEVER_SENT = ("failed to connect", "GOAWAY received")


class Outcomes:
    """What came of requests, each on a connection of its own: answered, refused, or accepted and lost."""

    def __init__(self) -> None:
        self.good = self.refused = 0
        self.lost: list[str] = []
        self.stop = threading.Event()
        self._lock = threading.Lock()

    def ask(self, url: str, body: Mapping[str, Any]) -> None:
        try:
            found = requests.post(url, json=body, timeout=20)
        except NoConnectionError as error:
            if "Connection refused" in str(error):
                self._count(refused=1)
            else:
                self.lost.append(repr(error))
        except requests.RequestException as error:
            self.lost.append(repr(error))
        else:
            self._count(good=int(found.ok))
            self.lost += [] if found.ok else [f"{found.status_code} {found.text}"]

    def call(self, port: int, message: Any, metadata: tuple[tuple[str, str], ...] = ()) -> None:
        """Send a ModelInferRequest to a gRPC port of this machine."""
        with grpc.insecure_channel(f"127.0.0.1:{port}", options=_ALONE) as channel:
            stub: Any = GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]
            try:
                stub.ModelInfer(message, metadata=metadata, timeout=20)
            except grpc.RpcError as error:
                # There was no connection, or it was told to go away before the call began.
                if any(each in (error.details() or "") for each in _NEVER_SENT):
                    self._count(refused=1)
                else:
                    self.lost.append(f"{error.code()} {error.details()}")
            else:
                self._count(good=1)

    def _count(self, good: int = 0, refused: int = 0) -> None:
        with self._lock:
            self.good += good
            self.refused += refused

    def put_load(self, ask: Callable[[], None], rate_rps: float) -> None:
        """Ask at a steady rate until `stop`, however long each takes; return with the last answer."""
        threads, due = list[threading.Thread](), time.monotonic()
        while not self.stop.is_set():
            threads.append(threading.Thread(target=ask))
            threads[-1].start()
            due += 1 / rate_rps
            self.stop.wait(max(0.0, due - time.monotonic()))
        for each in threads:
            each.join()

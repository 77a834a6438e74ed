"""One process that keeps a number of gRPC calls under way, over one channel, and times each."""

import asyncio
import time
from dataclasses import dataclass
from importlib import metadata
from statistics import quantiles
from typing import Any

import grpc
import numpy as np

from deployments.rpc.service import path
from deployments.stubs import open_inference_pb2 as pb

Metadata = tuple[tuple[str, str], ...] | None


@dataclass(frozen=True, slots=True)
class Found:
    count: int
    rate_rps: float
    p50_ms: float
    p99_ms: float
    cpu_s: float


def run(port: int, sent: Metadata, calls: int, seconds: float) -> Found:
    """Keep `calls` calls under way for so long; raises where one fails."""
    return asyncio.run(_run(port, sent, calls, seconds))


def versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in ("grpcio", "protobuf")}


def request() -> bytes:
    """Return one row for `mlp`, its numbers raw, as Triton's client sends it."""
    tensor = pb.ModelInferRequest.InferInputTensor(name="x", datatype="FP32", shape=[1, 64])
    row = np.random.default_rng(0).normal(size=64).astype(np.float32).tobytes()
    message = pb.ModelInferRequest(model_name="mlp", inputs=[tensor], raw_input_contents=[row])
    written: bytes = message.SerializeToString()
    return written


async def _run(port: int, sent: Metadata, calls: int, seconds: float) -> Found:
    message, took_s = request(), list[float]()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call: Any = channel.unary_unary(path("ModelInfer"))
        answer = pb.ModelInferResponse.FromString(await call(message, metadata=sent, timeout=10))
        assert len(answer.raw_output_contents[0]) == 40
        began, cpu_s = time.perf_counter(), time.process_time()

        async def one_after_the_other() -> None:
            while (start := time.perf_counter()) - began < seconds:
                await call(message, metadata=sent)
                took_s.append(time.perf_counter() - start)

        await asyncio.gather(*[one_after_the_other() for _ in range(calls)])
        over_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu_s
    cuts = quantiles(took_s, n=100)
    return Found(len(took_s), len(took_s) / over_s, 1000 * cuts[49], 1000 * cuts[98], cpu_s)

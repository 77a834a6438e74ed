"""Whether the interpreter stays free: health and metadata beside forwards of half a second on two threads.

/v2/health/live is answered by the root application, in another process on the same cores; the model's own paths are
answered by the replica that runs the forwards.
"""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from statistics import median
from typing import Any

import numpy as np
import requests

from deployments.http_client.client import HttpClient
from deployments.http_client.request import head, post
from pitstop.load.bodies import http_body
from pitstop.load.tensor import Tensor

from .. import script
from ..peers.peer import Command, Launch, Peer
from ..peers.pitstop import changed
from ..server import NotMeasuredError, running
from ..workloads import WORKLOADS
from .built import Args, Built, Way, in_process
from .slow import THREADS, WIDTH, spans

# The name of the app whose args the slow network takes the place of.
_NAME = "mlp"
PATHS = ("/v2/health/live", f"/v2/models/{_NAME}/ready", f"/v2/models/{_NAME}")
_EVERY_S, _PATIENCE_S = 0.02, 60
BACKENDS = ("aoti", "torchscript", "eager")
_THREADS = {"OMP_NUM_THREADS": str(THREADS), "MKL_NUM_THREADS": str(THREADS)}


def measured(built: Built, seconds: float) -> Iterator[dict[str, Any]]:
    """Yield the whole part after each backend, and at last with what a thread in the same process notices."""
    layers = int(in_process("slow", "layers", **_THREADS))
    record: dict[str, Any] = {"layers": layers, "seconds": seconds, "served": [], "in_process": {}}
    compiled = built.config(_way(BACKENDS[0], layers))
    for backend in BACKENDS:
        script.say(f"interpreter: {backend}")
        record["served"].append({"backend": backend, **_served(_way(backend, layers), seconds)})
        yield record
    record["in_process"] = json.loads(in_process("slow", "wakes", str(compiled), **_THREADS))
    yield record


def _way(backend: str, layers: int) -> Way:
    def edit(args: Args) -> None:
        args.clear()
        args |= {
            "name": _NAME,
            "device": "cpu",
            "num_cpus": THREADS,
            "source": {"factory": "benchmarks.forward.slow:Slow", "kwargs": {"layers": layers}},
            "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, WIDTH]}],
            "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, WIDTH]}],
            "backend": backend,
            "max_batch_size": 1,
        }

    return Way(_NAME, f"slow {backend}", edit)


def _served(way: Way, seconds: float) -> dict[str, Any]:
    try:
        with running(_on_threads(changed(way.apply)), WORKLOADS[_NAME]) as server:
            url = f"http://127.0.0.1:{server.port}{PATHS[-1]}"
            properties = requests.get(url, timeout=10).json()["properties"]
            return {"runs": properties["backend"], **asyncio.run(asked(server.port, seconds))}
    except (NotMeasuredError, OSError) as error:
        return {"not_measured": str(error)}


def _on_threads(peer: Peer) -> Peer:
    """Return the peer with its own number of threads, where all others have one."""

    def command(launch: Launch) -> Command:
        started = peer.command(launch)
        return replace(started, env={**started.env, **_THREADS})

    return replace(peer, command=command)


async def asked(port: int, seconds: float) -> dict[str, Any]:
    """Keep two requests for a forward under way, so that one always waits, and ask each path 50 times a second."""
    client, loop = HttpClient("127.0.0.1", port), asyncio.get_running_loop()
    headers, body = http_body([Tensor("x", "FP32", np.zeros((1, WIDTH), np.float32))], "binary")
    infer = post(f"{PATHS[-1]}/infer", "127.0.0.1", headers.items(), body)
    until = loop.time() + seconds

    async def took_ms(request: bytes, pause_s: float) -> list[float]:
        times = []
        while loop.time() < until:
            began = loop.time()
            reply = await client.send(request)
            times.append(1000 * (loop.time() - began))
            if reply.status != 200:
                raise NotMeasuredError(f"answered with status {reply.status}: {reply.body[:200]!r}")
            await asyncio.sleep(pause_s)
        return times

    try:
        async with asyncio.timeout(seconds + _PATIENCE_S):
            gets = [head("GET", path, "127.0.0.1", ()) for path in PATHS]
            jobs = [took_ms(infer, 0), took_ms(infer, 0), *(took_ms(each, _EVERY_S) for each in gets)]
            first, second, *others = await asyncio.gather(*jobs)
    except TimeoutError as error:
        raise NotMeasuredError(f"not all requests were answered in {_PATIENCE_S} s") from error
    finally:
        client.close()
    # Each waits for the other's forward and its own.
    forward_ms = median([*first, *second]) / 2
    return {"forward_ms": forward_ms, "asked": {path: spans(times) for path, times in zip(PATHS, others, strict=True)}}

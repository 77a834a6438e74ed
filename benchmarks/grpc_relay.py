"""The front that was not built: it reads the model's name and goes on by gRPC, to Serve's own port.

python -m benchmarks.grpc_relay PORT SERVE_PORT
"""

import asyncio
import itertools
import sys
from types import SimpleNamespace
from typing import Any

import grpc
import uvloop

from deployments.protobuf.wire import text
from deployments.rpc.service import SERVICE, add_to_server, path

_CONNECTIONS = 8


async def serve(port: int, target: int) -> None:
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(f"127.0.0.1:{target}", options=options) for _ in range(_CONNECTIONS)]
    calls: Any = itertools.cycle([channel.unary_unary(path("ModelInfer")) for channel in channels])

    async def infer(request: bytes, context: Any) -> bytes:
        metadata = (("application", text(request, 1)[0]),)
        answer: bytes = await next(calls)(request, metadata=metadata, timeout=context.time_remaining())
        return answer

    server = grpc.aio.server()
    add_to_server(SimpleNamespace(**dict.fromkeys((method.name for method in SERVICE.methods), infer)), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.install()
    asyncio.run(serve(*map(int, sys.argv[1:])))

"""The models on LitServe: FastAPI in front, and one worker process fed over ZeroMQ."""

from collections.abc import Sequence
from typing import Annotated, Any

import litserve  # type: ignore[import-not-found]
from fastapi import Depends, Request, Response

from benchmarks import networks

from . import settings


async def _read(request: Request) -> bytes:
    return await request.body()


# LitServe parses JSON by itself, and has no raw bodies: this is FastAPI's way to them.
Body = Annotated[bytes, Depends(_read)] if settings.IMAGES else Request


class Api(litserve.LitAPI):  # type: ignore[misc]
    """One request's way: decode, batch, predict, unbatch, encode."""

    def setup(self, device: str) -> None:  # noqa: ARG002
        self.model = networks.load(settings.WORKLOAD, settings.MAX_ROWS)

    def decode_request(self, request: Body) -> Any:  # type: ignore[valid-type]
        return request if settings.IMAGES else settings.value_of(request)

    def batch(self, inputs: Sequence[Any]) -> Sequence[Any]:
        return inputs

    def predict(self, x: Sequence[Any]) -> Any:
        return self.model(x)

    def unbatch(self, output: Any) -> list[Any]:
        return list(output)

    def encode_response(self, output: Any) -> Any:
        return Response(output.tobytes()) if settings.IMAGES else {"y": output.tolist()}


if __name__ == "__main__":
    api = Api(max_batch_size=settings.MAX_ROWS, batch_timeout=settings.WAIT_MS / 1000)
    # The model knows its device; LitServe would only name it.
    workers = {"accelerator": "cpu", "workers_per_device": settings.WORKERS}
    server = litserve.LitServer(api, **workers, fast_queue=True, timeout=120)
    server.run(
        host="127.0.0.1",
        port=settings.PORT,
        num_api_servers=1,
        log_level="warning",
        generate_client_file=False,
        access_log=False,
    )

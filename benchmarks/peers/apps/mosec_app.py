"""The models on mosec: a Rust front, and one worker process that parses, runs and renders."""

from typing import Any

import orjson
from mosec import Server, Worker  # type: ignore[import-not-found]

from benchmarks import networks

from . import settings


class Infer(Worker):  # type: ignore[misc]
    """Overrides the default codec, the standard library's json, as mosec's guide advises for speed."""

    resp_mime_type = "application/octet-stream" if settings.IMAGES else "application/json"

    def __init__(self) -> None:
        self.model = networks.load(settings.WORKLOAD, settings.MAX_ROWS)

    def deserialize(self, data: bytes) -> Any:
        return data if settings.IMAGES else settings.value_of(orjson.loads(data))

    def forward(self, data: list[Any]) -> list[Any]:
        return list(self.model(data))

    def serialize(self, data: Any) -> bytes:
        if settings.IMAGES:
            return bytes(data)
        return orjson.dumps({"y": data}, option=orjson.OPT_SERIALIZE_NUMPY)


if __name__ == "__main__":
    server = Server()
    # With a batch of one mosec hands `forward` a single item, so the smallest is two.
    batching = {"max_batch_size": max(2, settings.MAX_ROWS), "max_wait_time": int(settings.WAIT_MS)}
    server.append_worker(Infer, num=settings.WORKERS, **batching)
    server.run()

"""What protobuf's copies cost: an answer of 10 MB written by protobuf, and by joining its parts."""

from collections.abc import Callable
from timeit import repeat

from deployments.protobuf.wire import repeated, split
from deployments.stubs import open_inference_pb2 as pb

_BYTES = 64 * 3 * 224 * 224


def measure() -> dict[str, float]:
    """Return milliseconds, the best of ten."""
    blob = bytes(range(256)) * (_BYTES // 256)
    sent = pb.ModelInferRequest(model_name="m", raw_input_contents=[blob]).SerializeToString()

    def by_protobuf() -> bytes:
        answer = pb.ModelInferResponse(model_name="m")
        answer.raw_output_contents.append(blob)
        written: bytes = answer.SerializeToString()
        return written

    def joined() -> bytes:
        return b"".join((pb.ModelInferResponse(model_name="m").SerializeToString(), *repeated(6, [blob])))

    def read_by_protobuf() -> bytes:
        found: bytes = pb.ModelInferRequest.FromString(sent).raw_input_contents[0]
        return found

    def viewed() -> memoryview:
        rest, [raw] = split(sent, 7)
        pb.ModelInferRequest.FromString(rest)
        return raw

    assert by_protobuf() == joined()
    ways: dict[str, Callable[[], object]] = {
        "written by protobuf": by_protobuf,
        "joined": joined,
        "read by protobuf": read_by_protobuf,
        "viewed": viewed,
    }
    return {name: 1000 * min(repeat(way, number=1, repeat=10)) for name, way in ways.items()}

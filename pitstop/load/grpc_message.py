"""Writes the Open Inference Protocol's ModelInferRequest.

Tensors go as raw_input_contents, which every server of the protocol reads, in the order of the inputs.
"""

from collections.abc import Mapping, Sequence

from .tensor import Tensor

_KINDS = {bool: "bool_param", int: "int64_param", float: "double_param", str: "string_param"}


def infer_request(
    model: str,
    version: str,
    tensors: Sequence[Tensor],
    parameters: Mapping[str, bool | int | float | str] | None = None,
) -> bytes:
    """Return the request as it goes over the wire; an empty version means whichever the server has."""
    # Late: load over HTTP does without protobuf.
    from deployments.stubs import open_inference_pb2 as pb

    described = pb.ModelInferRequest.InferInputTensor
    message = pb.ModelInferRequest(
        model_name=model,
        model_version=version,
        inputs=[described(name=each.name, datatype=each.datatype, shape=each.shape) for each in tensors],
        raw_input_contents=[each.raw() for each in tensors],
    )
    for name, value in (parameters or {}).items():
        setattr(message.parameters[name], _KINDS[type(value)], value)
    written: bytes = message.SerializeToString(deterministic=True)
    return written

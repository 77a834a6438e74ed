"""Server and model metadata as the gRPC service writes them, from what HTTP writes as JSON."""

from collections.abc import Mapping
from typing import Any

import orjson

from ..protocol.server_metadata import server_metadata
from ..stubs import open_inference_pb2 as pb

# Clients use the extensions that they find here, so only those that gRPC serves are listed.
_EXTENSIONS = ("binary_tensor_data",)
_FIELDS = ("name", "versions", "platform", "inputs", "outputs")


def server_message(name: str) -> pb.ServerMetadataResponse:
    return pb.ServerMetadataResponse(**server_metadata(name, _EXTENSIONS))


def model_message(metadata: Mapping[str, Any]) -> pb.ModelMetadataResponse:
    """Write a model's metadata; properties that are not text are written as JSON."""
    properties = {name: _as_text(value) for name, value in metadata.get("properties", {}).items()}
    described = {name: metadata[name] for name in _FIELDS if name in metadata}
    return pb.ModelMetadataResponse(**described, properties=properties)


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()

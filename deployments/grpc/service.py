"""The Open Inference service as Ray Serve's gRPC servers register it: grpc_options in the YAML names `add_to_server`.

It replaces protoc's add_GRPCInferenceServiceServicer_to_server. Messages stay bytes, so that we refuse one that does
not parse (gRPC would answer with protobuf's exception text), Ray's own proxy need not pickle protobuf objects, and
tensors are not copied out of their message. In a replica's own server, calls take the short path. Proxies import this
module too: no torch, no model code.
"""

from typing import Any

import grpc

from ..http import server_protocol
from ..ray_compat.servers import answer_directly
from ..serve_request_counter import of_grpc_server
from ..stubs import open_inference_pb2

SERVICE = open_inference_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]


def add_to_server(servicer: Any, server: Any) -> None:
    """Register the service's methods, those of `servicer`, with bytes in and bytes out."""
    server_protocol.install()  # In Ray's own proxy nothing else of ours runs before its HTTP server starts.
    counter = of_grpc_server(server)
    if counter is not None:
        # Only replicas may import the model's transport.
        from . import short_path

        offered = short_path.servicer(counter)
        if offered is not None:
            servicer = offered
            answer_directly(server, SERVICE.full_name)
    handlers = {method.name: _handler(method, getattr(servicer, method.name)) for method in SERVICE.methods}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE.full_name, handlers),))


def _handler(method: Any, behavior: Any) -> Any:
    kind = grpc.stream_stream_rpc_method_handler if method.client_streaming else grpc.unary_unary_rpc_method_handler
    return kind(behavior, request_deserializer=None, response_serializer=None)

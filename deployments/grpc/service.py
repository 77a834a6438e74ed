"""The Open Inference service as Ray Serve's gRPC servers register it: grpc_options in the YAML names `add_to_server`.

It stands in for the generated function of that kind. Messages are handed on as bytes, so that one which does not parse
is refused by us (gRPC would answer with protobuf's exception text), Ray's own proxy need not pickle protobuf objects,
and tensors are not copied out of their message. And where the server is a replica's own, calls take the short path. It
must import wherever Serve has a proxy.
"""

from typing import Any

import grpc

from ..http import server_protocol
from ..ray_compat.servers import answer_directly
from ..serve_ledger import of_grpc_server
from ..stubs import open_inference_pb2

SERVICE = open_inference_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]


def add_to_server(servicer: Any, server: Any) -> None:
    """Register the service's methods, those of `servicer`, with bytes in and bytes out."""
    server_protocol.install()  # In Ray's own proxy nothing else of ours runs before its HTTP server starts.
    ledger = of_grpc_server(server)
    if ledger is not None:
        # Only a replica has what it takes to import a model's transport.
        from . import short_path

        offered = short_path.servicer(ledger)
        if offered is not None:
            servicer = offered
            answer_directly(server, SERVICE.full_name)
    handlers = {method.name: _handler(method, getattr(servicer, method.name)) for method in SERVICE.methods}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE.full_name, handlers),))


def _handler(method: Any, behavior: Any) -> Any:
    kind = grpc.stream_stream_rpc_method_handler if method.client_streaming else grpc.unary_unary_rpc_method_handler
    return kind(behavior, request_deserializer=None, response_serializer=None)

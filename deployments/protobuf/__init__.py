"""ModelInferRequest and its answer in protobuf, for gRPC and for HTTP."""

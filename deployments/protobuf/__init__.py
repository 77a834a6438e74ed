"""ModelInferRequest and its answer as protobuf has them: gRPC carries them, and HTTP can."""

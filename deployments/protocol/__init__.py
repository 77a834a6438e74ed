"""The parts of the Open Inference Protocol that HTTP and gRPC share."""

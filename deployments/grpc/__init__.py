"""The Open Inference Protocol over gRPC: in a replica, and in the gRPC proxy."""

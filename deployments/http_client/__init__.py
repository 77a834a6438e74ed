"""The HTTP/1.1 client: for the gRPC proxy, and for all load that is put on a server. No Ray, no torch."""

"""Headers and content types by which HTTP carries what the protocol and the gRPC front need."""

LENGTH = b"inference-header-content-length"
REQUEST_ID = b"x-request-id"
# With this Content-Type the body is a ModelInferRequest of the gRPC service, and the answer a ModelInferResponse.
PROTOBUF = b"application/x-protobuf"
# Beside it, the microseconds until the deadline of the call that the gRPC front passes on.
LEFT_US = b"pitstop-left-us"
# The header of an error that names its kind, for the front to tell apart what the same status stands for.
KIND = b"pitstop-error"

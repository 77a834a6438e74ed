"""HTTP headers and content types of the protocol and of the gRPC proxy."""

LENGTH = b"inference-header-content-length"
REQUEST_ID = b"x-request-id"
# With this Content-Type the body is a ModelInferRequest of the gRPC service, and the answer a ModelInferResponse.
PROTOBUF = b"application/x-protobuf"
# Sent by the gRPC proxy: the microseconds until the deadline of the call.
LEFT_US = b"pitstop-left-us"
# The kind of an error, since the gRPC proxy must tell apart errors of the same status.
KIND = b"pitstop-error"
# Sent by the root application with the questions that it asks for a page of its own; any value.
FOR_PAGE = b"pitstop-for-page"
# Asks for a Server-Timing header in the answer of /infer and /predict; any value.
TIMING = b"pitstop-timing"
# W3C Trace Context.
TRACEPARENT, TRACESTATE = b"traceparent", b"tracestate"

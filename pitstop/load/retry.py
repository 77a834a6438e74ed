"""Which failures a client may hide by sending again, and after what wait: the policy that --retries switches on."""

from .outcome import CONNECTION, PROXY, Failure

_FIRST_WAIT_S = 0.05


def wait_s(failure: Failure, tried: int) -> float | None:
    """Return how long to wait before the request is sent again, or None where it is not to be.

    Args:
        failure: how the last attempt ended.
        tried: how many attempts were made before that one.
    """
    # Inference changes nothing on the server, so what a server that died left unanswered may be asked again.
    if failure.kind in CONNECTION or failure.kind in (PROXY, "HTTP 502"):
        return _FIRST_WAIT_S * 2.0**tried
    # Only a server that names a time, or a gRPC code that invites it, is asked again.
    if failure.kind in ("HTTP 503", "gRPC UNAVAILABLE", "gRPC RESOURCE_EXHAUSTED"):
        return failure.retry_after_s
    return None

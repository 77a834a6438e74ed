"""Keys that had another name before the first release. The old name is refused, and the message has the new one."""

from collections.abc import Sequence

# By the end of the key path.
_RENAMED: dict[tuple[str, ...], str] = {
    ("max_rows",): "max_batch_size",
    ("wait_ms",): "batch_wait_timeout_s",
    ("max_queued_rows",): "max_queue_size",
    ("timeout_s",): "request_timeout_s",
    ("hang_s",): "forward_timeout_s",
    ("check_outputs",): "check_finite",
    ("access",): "auth",
    ("predict", "image"): "decode",
    ("predict", "answer"): "encode",
    ("source", "export"): "exported_program",
}


def renamed(keys: Sequence[str | int]) -> tuple[str, str] | None:
    """Return the error and the help for a key that has another name now; None for any other."""
    new = next((new for old, new in _RENAMED.items() if tuple(keys[-len(old) :]) == old), None)
    if new is None:
        return None
    return f"called {new} now", "write the new name" + ", and the value in seconds" * (keys[-1] == "wait_ms")

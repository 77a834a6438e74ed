"""Why the canary did not answer."""


class Away(Exception):  # noqa: N818  # It is no error: the stable version answers.
    """`reason` is one of few words, for counts: away, lost, slow, full, differs, or the kind of the canary's error."""

    def __init__(self, reason: str, value: tuple[object, ...] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.value = value

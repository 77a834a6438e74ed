"""Why nothing can be measured: told in one sentence with a way out, and exit code 2."""


class LoadError(Exception):
    """Two lines: what is wrong, and after `help: ` what to do."""

    def __init__(self, what: str, help_: str) -> None:
        super().__init__(f"{what}\nhelp: {help_}")


class TokenError(LoadError):
    """The server asks for a token, or for another one: to ask again changes nothing."""

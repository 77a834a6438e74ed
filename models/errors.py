"""The error of this package: a model that must not be served, and why. Who decides by an error asks its class."""

import re

_HELP = "\nhelp: "


class ModelError(Exception):
    """Says where, what, and what to do. Its text is for the operator, never for a client."""

    @property
    def what(self) -> str:
        """What is wrong."""
        return str(self).partition(_HELP)[0]

    @property
    def help(self) -> str:
        """What to do about it; "" if the text does not say."""
        return str(self).partition(_HELP)[2]


class ArgumentsError(ModelError):
    """What a factory was called with may be wrong; `{arguments}` in `advice` is where they are given."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(what, advice)  # By these another process makes it again.
        self._what, self._advice = what, advice

    def __str__(self) -> str:
        return self.given_in("source.kwargs")

    def given_in(self, arguments: str) -> str:
        """Return its text for arguments that a config, or a flag, gives."""
        return f"{self._what}{_HELP}{self._advice.format(arguments=arguments)}"


def without_folders(text: str) -> str:
    """Return a text for a client: of each absolute path the file's name."""
    return re.sub(r"(?<![\w./:~-])/(?:[^\s/:,;'\"()]+/)+", "", text)


def first_line(error: BaseException) -> str:
    """Return an exception's first line, with its type if it is not one of ours."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # There the first line says nothing, and the last one what was raised.
    place = -1 if lines and lines[0].startswith("The following operation failed in the TorchScript") else 0
    first = lines[place][:200] if lines else ""
    own = type(error).__module__.startswith(("models.", "configs."))
    return first if own and first else f"{type(error).__name__}: {first}".rstrip(": ")

"""An exception in one line, for a step that was left out or a start that was refused."""


def reason(error: Exception) -> str:
    """Return an exception's first line, with its type where that is not ours."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first = lines[0][:160] if lines else ""
    own = type(error).__module__.startswith("models.")
    return first if own and first else f"{type(error).__name__}: {first}".rstrip(": ")


def refusal_text(error: Exception) -> str:
    """Return what a start would say: a ModelError whole, with its help; anything else in a line."""
    return str(error) if type(error).__module__.startswith("models.") else reason(error)

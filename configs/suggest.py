"""Suggests a known word for a misspelt one."""

from collections.abc import Iterable
from difflib import get_close_matches

# Other tools' words, for which spelling alone would guess wrong: gpu is nearest to cpu.
_ALSO_CALLED = {"gpu": "cuda", "float16": "fp16", "float32": "fp32", "float64": "fp64", "string": "bytes"}


def closest(word: object, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the known word most like `word`, or None if none is similar. Case does not count."""
    by_lower = {name.lower(): name for name in known}
    lowered = str(word).lower()
    lowered = _ALSO_CALLED.get(lowered, lowered)
    found = get_close_matches(lowered, by_lower, n=1, cutoff=cutoff)
    return by_lower[found[0]] if found else None


def advise(word: object, known: Iterable[str]) -> str:
    """Return `did you mean 'x'?`, or the list of known words if none is similar."""
    names = list(known)
    best = closest(word, names)
    return f"did you mean {best!r}?" if best else f"known here: {', '.join(sorted(names))}"

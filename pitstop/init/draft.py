"""What was found out of a model: enough to write its config, its client and its test."""

from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["picture", "text", "sound", "tensors"]


@dataclass(frozen=True, slots=True)
class Draft:
    """A model that ran once.

    Args:
        name: its name in URLs.
        variants: `args` of its application, the preferred first; the first that a start accepts is written.
        kind: what a request for /predict is.
        outputs: what it answers, for people.
        said: what a person should know of it, a sentence each.
        deployment: keys of its deployment beside max_ongoing_requests.
        sizes: a row of each input as (name, datatype, shape), for the client.
        redrawn: whether each start has other weights.
    """

    name: str
    variants: tuple[dict[str, Any], ...]
    kind: Kind
    outputs: str
    said: tuple[str, ...] = ()
    deployment: dict[str, Any] = field(default_factory=dict)
    sizes: tuple[tuple[str, str, tuple[int, ...], float], ...] = ()
    redrawn: bool = False

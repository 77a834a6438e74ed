"""Which requests a canary gets. Pure: by the request's id where it has one, else by chance."""

import random
from hashlib import blake2b


def drawn(identity: str | None, percent: float) -> bool:
    """Whether a request belongs to the share.

    An id decides alike in every replica and at every time, and whoever is in a share stays in every larger one.
    """
    if percent <= 0:
        return False
    return (100 * random.random() if identity is None else place(identity)) < percent


def place(identity: str) -> float:
    """Return where an id lies, 0 to 100."""
    return 100 * int.from_bytes(blake2b(identity.encode("utf-8", "replace"), digest_size=6).digest()) / 2**48

"""Keeps the objects of a start out of garbage collections.

torch, Ray and a model are some hundred thousand objects that live as long as the replica. A full collection looks at
each, a tenth of a second and more with every request at a stand, and Ray has all its workers make one where resources
run short, as they do when replicas are added under load. https://docs.python.org/3/library/gc.html#gc.freeze
"""

import gc


def freeze() -> None:
    """Collect once, then exclude every object from later collections. Call it before the first request."""
    gc.collect()
    gc.freeze()

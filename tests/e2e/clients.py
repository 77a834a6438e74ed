"""Clients that ask until they are stopped, each in a thread of its own."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def asking(client: Callable[[], None], count: int, stop: threading.Event) -> Iterator[None]:
    """Run `count` clients, which end once `stop` is set, as it is on the way out."""
    threads = [threading.Thread(target=client) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()

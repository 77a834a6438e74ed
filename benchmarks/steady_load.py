"""A steady load of single requests that tells apart what was refused and what was accepted and lost."""

import threading
import time
from collections.abc import Mapping
from typing import Any

import requests
from requests.exceptions import ConnectionError as NoConnectionError


class Outcomes:
    """What came of requests, each on a connection of its own: answered, refused, or accepted and lost."""

    def __init__(self) -> None:
        self.good = self.refused = 0
        self.lost: list[str] = []
        self.stop = threading.Event()

    def ask(self, url: str, body: Mapping[str, Any]) -> None:
        try:
            found = requests.post(url, json=body, timeout=20)
        except NoConnectionError as error:
            if "Connection refused" in str(error):
                self.refused += 1
            else:
                self.lost.append(repr(error))
        except requests.RequestException as error:
            self.lost.append(repr(error))
        else:
            self.good += found.ok
            self.lost += [] if found.ok else [f"{found.status_code} {found.text}"]

    def put_load(self, url: str, body: Mapping[str, Any], rate_rps: float) -> None:
        """Send requests at a steady rate until `stop`, however long each takes; return with the last answer."""
        threads, due = list[threading.Thread](), time.monotonic()
        while not self.stop.is_set():
            threads.append(threading.Thread(target=self.ask, args=(url, body)))
            threads[-1].start()
            due += 1 / rate_rps
            self.stop.wait(max(0.0, due - time.monotonic()))
        for each in threads:
            each.join()

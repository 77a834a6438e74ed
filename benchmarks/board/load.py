"""Load that changes: quiet, busy with bursts that fill the queue, quiet again, and requests that are refused."""

import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import requests

from pitstop.project import PROJECT

from .. import script


class Phase(NamedTuple):
    """Seconds, requests a second to digits and to digits-cpu, and whether bursts come."""

    name: str
    seconds: float
    digits_rps: int
    digits_cpu_rps: int
    bursts: bool = False


PHASES = (Phase("quiet", 50, 30, 15), Phase("busy", 90, 160, 80, bursts=True), Phase("quiet again", 40, 30, 15))
# Of 384 rows at once, more than the 256 that may wait; who is refused comes again when it is told to.
BURST = ("--connections", "12", "--rows", "32", "--retries", "5")
# No multiple of the 10 s between two scrapes, or every burst could fall between them.
_BURST_S, _BURST_EVERY_S = 8.0, 27.0


def put(url: str, phases: tuple[Phase, ...] = PHASES) -> None:
    """Put the phases on a server, one after the other."""
    for phase in phases:
        script.say(f"{phase.name}: {phase.digits_rps} and {phase.digits_cpu_rps} requests a second")
        with ExitStack() as loads:
            for name, rate in (("digits", phase.digits_rps), ("digits-cpu", phase.digits_cpu_rps)):
                loads.enter_context(sending(f"{url}/v2/models/{name}", "--rate", str(rate)))
            if phase.bursts:
                loads.enter_context(refused(f"{url}/v2/models/digits"))
                _bursts(f"{url}/v2/models/digits", phase.seconds)
            else:
                time.sleep(phase.seconds)


@contextmanager
def sending(url: str, *options: str) -> Iterator[None]:
    """Run `pitstop load` on a model until the end of the block."""
    command = [sys.executable, "-m", "pitstop", "load", url, "--seconds", "3600", *options]
    process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@contextmanager
def refused(url: str, least_s: float = 1, most_s: float = 5) -> Iterator[None]:
    """Until the end of the block, send a model requests that it refuses, with a pause of `least_s` to `most_s`."""
    over, drawn = threading.Event(), random.Random(3)

    def send() -> None:
        while not over.wait(drawn.uniform(least_s, most_s)):
            requests.post(f"{url}/predict", json={"instances": 3}, timeout=30)
            requests.post(f"{url}/versions/none/infer", json={}, timeout=30)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _bursts(url: str, seconds: float) -> None:
    ends = time.monotonic() + seconds
    while time.monotonic() + _BURST_EVERY_S <= ends:
        time.sleep(_BURST_EVERY_S - _BURST_S)
        with sending(url, *BURST):
            time.sleep(_BURST_S)
    time.sleep(max(0.0, ends - time.monotonic()))

"""Starts paced_server.py as a process, and runs wrk beside our own load."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

WRK = shutil.which("wrk")
_SERVER = Path(__file__).with_name("paced_server.py")


@contextmanager
def paced(
    ms: float,
    stall_ms: float = 0,
    every_s: float = 1,
    failing: int = 0,
    retry_after: bool = False,
    one_by_one: bool = False,
) -> Iterator[str]:
    """Yield the URL of a model that takes so long, blocks so long so often, and fails every so many-th request."""
    words = [str(each) for each in (ms, stall_ms, every_s, failing)]
    words += ["retry"] * retry_after + ["one-by-one"] * one_by_one
    process = subprocess.Popen(
        [sys.executable, str(_SERVER), *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v2/models/paced"
    finally:
        process.kill()
        process.communicate()


def asked(url: str) -> int:
    """Return how many requests a paced model has had."""
    return int(requests.get(f"{url.partition('/v2/')[0]}/asked", timeout=20).text)


def wrk(url: str, connections: int, seconds: int, folder: Path) -> float:
    """Return the requests a second that wrk finds in closed loop."""
    assert WRK is not None
    script = folder / "post.lua"
    script.write_text('wrk.method = "POST"\nwrk.body = "{}"\n')
    command = [WRK, "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), f"{url}/infer"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    assert rate is not None, text
    return float(rate[1])

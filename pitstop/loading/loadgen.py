"""MLPerf's LoadGen over our sender: its own rules decide when to send and when a run is valid, its own logs are kept.

LoadGen knows of no failed query: one is answered to it like any other, and makes the run void here. Its C++ threads
call in from outside, so each query crosses into the event loop, and its answer back.
"""

import asyncio
import importlib
import os
import re
import signal
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

from .clock import new_loop
from .loadgen_bridge import Bridge
from .outcome import Sender
from .trouble import LoadError

Scenario = Literal["single-stream", "server", "offline"]
_NAMES = {"single-stream": "SingleStream", "server": "Server", "offline": "Offline"}
SUMMARY = "mlperf_log_summary.txt"
# LoadGen waits for the last answers by itself; a sender's timeout sees to it that they come.
_P99 = 0.99


@dataclass(frozen=True, slots=True)
class Rules:
    """What LoadGen is told. `expected_rps` is the rate of Server, and a guess for Offline."""

    scenario: Scenario
    seconds: float
    expected_rps: float
    slo_ms: float
    samples: int
    logs: Path


@dataclass(frozen=True, slots=True)
class Verdict:
    """`valid` is LoadGen's word, and ours that no query failed; `figures` are the first lines of its summary.

    After Ctrl-C LoadGen has no word: `figures` are then what was seen here.
    """

    valid: bool
    errors: dict[str, int]
    figures: dict[str, str]
    summary: Path
    stopped: bool = False


def load_module() -> Any:
    """Return LoadGen.

    Raises:
        LoadError: it is not installed.
    """
    try:
        return importlib.import_module("mlperf_loadgen")
    except ImportError as error:
        raise LoadError("MLPerf's LoadGen is not installed", "pip install mlcommons-loadgen") from error


def play(rules: Rules, sender: Sender, connections: int) -> Verdict:
    """Run a scenario to its end, or to Ctrl-C; LoadGen goes on then, so whoever called must `leave`."""
    module = load_module()
    try:
        rules.logs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LoadError(f"{rules.logs}: cannot be made ({error.strerror})", "name another folder by --logs") from error
    with asyncio.Runner(loop_factory=new_loop) as runner:
        bridge, stopped = runner.run(_play(module, rules, sender, connections))
    path, errors = rules.logs / SUMMARY, dict(bridge.errors)
    if stopped:
        return Verdict(False, errors, bridge.figures(), path, stopped=True)
    figures = read_summary(path.read_text(encoding="utf-8"))
    return Verdict(figures.get("Result is") == "VALID" and not errors, errors, figures, path)


def leave(status: int) -> NoReturn:
    """End the program beside a LoadGen that runs: its threads would call into an interpreter that is taken down."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def read_summary(text: str) -> dict[str, str]:
    """Return what LoadGen's summary says, by the words before the colon; of its settings, too."""
    found = re.findall(r"^([^:\n]+?)\s*:\s*(.+?)\s*$", text, re.M)
    return {name.strip(): value for name, value in found}


async def _play(module: Any, rules: Rules, sender: Sender, connections: int) -> tuple[Bridge, bool]:
    """Return what went over the bridge, and whether Ctrl-C ended it."""
    await sender.open(connections)
    loop = asyncio.get_running_loop()
    bridge, ended = Bridge(module, sender, loop), loop.create_future()
    threading.Thread(target=_run, args=(module, rules, bridge, ended), daemon=True).start()
    interrupted = asyncio.Event()
    with suppress(NotImplementedError, ValueError):  # Not on Windows, nor beside the main thread.
        loop.add_signal_handler(signal.SIGINT, interrupted.set)
    waiting = loop.create_task(interrupted.wait())
    try:
        await asyncio.wait({ended, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
        with suppress(NotImplementedError, ValueError):
            loop.remove_signal_handler(signal.SIGINT)
        bridge.over = True
        await sender.close()
    if ended.done():
        ended.result()
    return bridge, not ended.done()


def _run(module: Any, rules: Rules, bridge: Bridge, ended: "asyncio.Future[None]") -> None:
    """Run LoadGen to its end in this thread."""
    loop = ended.get_loop()
    try:
        _start(module, rules, bridge)
    except Exception as error:
        loop.call_soon_threadsafe(ended.set_exception, error)
    else:
        loop.call_soon_threadsafe(ended.set_result, None)


def _start(module: Any, rules: Rules, bridge: Bridge) -> None:
    sut = module.ConstructSUT(bridge.issue, _nothing)
    qsl = module.ConstructQSL(rules.samples, rules.samples, _nothing, _nothing)
    logs = module.LogSettings()
    logs.log_output.outdir = str(rules.logs)
    logs.log_output.copy_summary_to_stdout = False
    try:
        module.StartTestWithLogSettings(sut, qsl, _settings(module, rules), logs)
    finally:
        module.DestroyQSL(qsl)
        module.DestroySUT(sut)
        # Its logger writes on for a moment.
        time.sleep(0.1)


def _settings(module: Any, rules: Rules) -> Any:
    settings = module.TestSettings()
    settings.scenario = getattr(module.TestScenario, _NAMES[rules.scenario])
    settings.mode = module.TestMode.PerformanceOnly
    settings.min_duration_ms = int(rules.seconds * 1e3)
    settings.min_query_count = 1
    settings.single_stream_expected_latency_ns = int(1e9 / rules.expected_rps)
    settings.server_target_qps = rules.expected_rps
    settings.server_target_latency_ns = int(rules.slo_ms * 1e6)
    settings.server_target_latency_percentile = _P99
    settings.offline_expected_qps = rules.expected_rps
    return settings


def _nothing(*_: object) -> None:
    pass

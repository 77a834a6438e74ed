"""MLPerf's LoadGen over our sender: its own rules decide when to send and when a run is valid, its own logs are kept.

LoadGen knows of no failed query: one is answered to it like any other, and makes the run void here. Its C++ threads
call in from outside, so each query crosses into the event loop, and its answer back.
"""

import asyncio
import importlib
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from .clock import new_loop
from .outcome import Failure, Sender
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
    """`valid` is LoadGen's word, and ours that no query failed; `figures` are the first lines of its summary."""

    valid: bool
    errors: dict[str, int]
    figures: dict[str, str]
    summary: Path


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
    """Run a scenario to its end. LoadGen blocks and cannot be stopped: Ctrl-C ends the program."""
    module = load_module()
    try:
        rules.logs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LoadError(f"{rules.logs}: cannot be made ({error.strerror})", "name another folder by --logs") from error
    with asyncio.Runner(loop_factory=new_loop) as runner:
        errors = runner.run(_play(module, rules, sender, connections))
    path = rules.logs / SUMMARY
    figures = read_summary(path.read_text(encoding="utf-8"))
    return Verdict(figures.get("Result is") == "VALID" and not errors, dict(errors), figures, path)


def read_summary(text: str) -> dict[str, str]:
    """Return what LoadGen's summary says, by the words before the colon; of its settings, too."""
    found = re.findall(r"^([^:\n]+?)\s*:\s*(.+?)\s*$", text, re.M)
    return {name.strip(): value for name, value in found}


async def _play(module: Any, rules: Rules, sender: Sender, connections: int) -> Counter[str]:
    await sender.open(connections)
    bridge = _Bridge(module, sender, asyncio.get_running_loop())
    try:
        await asyncio.to_thread(_start, module, rules, bridge)
    finally:
        await sender.close()
    return bridge.errors


class _Bridge:
    """Carries queries from LoadGen's threads into the event loop, and answers back."""

    def __init__(self, module: Any, sender: Sender, loop: asyncio.AbstractEventLoop) -> None:
        self._module = module
        self._sender = sender
        self._loop = loop
        self.errors: Counter[str] = Counter()

    def issue(self, samples: Sequence[Any]) -> None:
        self._loop.call_soon_threadsafe(self._send, [(sample.id, sample.index) for sample in samples])

    def _send(self, samples: Sequence[tuple[int, int]]) -> None:
        for identity, index in samples:
            self._sender.send(index, partial(self._answer, identity))

    def _answer(self, identity: int, failure: Failure | None) -> None:
        if failure is not None:
            self.errors[failure.kind] += 1
        # The data's address and size: none is kept, since accuracy is not measured here.
        self._module.QuerySamplesComplete([self._module.QuerySampleResponse(identity, 0, 0)])


def _start(module: Any, rules: Rules, bridge: _Bridge) -> None:
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

"""Predictions against a real `serve run`: a forward that sleeps 25 ms, under Poisson load at two shares of capacity."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.loader import load
from pitstop.plan import serving
from pitstop.plan.choose import LatencyTarget, capacity_rps
from pitstop.plan.profile import Profile
from pitstop.plan.serving import ServingError, served
from pitstop.plan.simulate import ReplicaSetting
from pitstop.plan.verify import Check, Verifier

PROJECT = Path(__file__).resolve().parents[2]
ROWS = 8
MS = 25.0


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    raw: dict[str, Any] = yaml.safe_load((PROJECT / "configs" / "mlp.yaml").read_text())
    app = next(app for app in raw["applications"] if app["name"] == "mlp")
    app |= {"name": "sleeper", "route_prefix": "/v2/models/sleeper"}
    app["args"] |= {"name": "sleeper", "device": "cpu", "backend": "eager", "max_batch_size": ROWS}
    app["args"]["source"] = {"factory": "tests.services.slow:Slow", "kwargs": {"ms": MS}}
    app["args"]["inputs"] = [{"name": "x", "datatype": "FP32", "shape": [-1, 1]}]
    app["args"]["outputs"] = [{"name": "y", "datatype": "FP32", "shape": [-1, 1]}]
    app["deployments"][0]["user_config"] = {"max_batch_size": ROWS}
    path = tmp_path_factory.mktemp("plan") / "sleeper.yaml"
    path.write_text(yaml.safe_dump(raw, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def verifier(config: Path) -> Iterator[Verifier]:
    # Scheduling adds about a tenth of a millisecond to a sleep.
    profile = Profile("sleeper", "cpu", dict.fromkeys((1, 2, 4, 8), (MS + 0.1,)), "given")
    with served(yaml.safe_load(config.read_text()), "sleeper", lambda _: None) as url:
        found = Verifier(url, load(config).models[0].config, profile, LatencyTarget(1, 1000), ReplicaSetting(ROWS))
        assert found.device == "cpu"
        found.calibrate()
        yield found


@pytest.mark.ray
@pytest.mark.timing
@pytest.mark.parametrize("share", [0.5, 0.8])
def test_predicted_and_measured_latency_agree_within_a_fifth(verifier: Verifier, share: float) -> None:
    rate = share * capacity_rps(verifier.profile.costs, 1, ReplicaSetting(ROWS))
    tried: list[Check] = []
    for _ in range(3):
        tried += verifier.checks({f"{share:.0%}": rate}, 8.0, lambda _: None)
        if _agree(tried[-1]):
            return
    # The server is disturbed by other work as much as the client, only that it does not say so.
    if os.getloadavg()[0] > (os.cpu_count() or 1) or any(check.client_limit for check in tried):
        pytest.skip(f"this machine is busy with other work: load {os.getloadavg()[0]:.1f}")
    pytest.fail(str(tried))


# As `serve run` prints it where the model's code fails; the server itself goes on, and its root application answers.
LOG = """\x1b[36m(ServeController pid=7)\x1b[0m ERROR deployment 'Model' in application 'sleeper'
models.errors.ModelError: tests.services.slow has no 'Gone'
"""
INDEX = '[{"name": "sleeper", "version": "1", "state": "UNAVAILABLE", "reason": "see the server\'s log"}]'
# A root application; with `auth` its index of models asks for a token.
ROOT = """
import sys
from http.server import HTTPServer, SimpleHTTPRequestHandler

class Root(SimpleHTTPRequestHandler):
    def do_GET(self):
        if "abc" in sys.argv and self.path.endswith("index") and self.headers["Authorization"] != "Bearer abc":
            self.send_error(401)
        else:
            super().do_GET()

HTTPServer(("127.0.0.1", int(sys.argv[1])), Root).serve_forever()
"""


@pytest.mark.parametrize("token", ["", "abc"])
def test_a_server_that_says_so_is_not_waited_for_and_is_ended(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("PITSTOP_TOKEN", token)
    monkeypatch.setattr(serving, "_START_S", 20)
    (tmp_path / "log").write_text(LOG)
    (tmp_path / "v2" / "repository").mkdir(parents=True)
    (tmp_path / "v2" / "repository" / "index").write_text(INDEX)
    serve, pid = tmp_path / "serve", tmp_path / "pid"
    (tmp_path / "root.py").write_text(ROOT)
    serve.write_text(
        f"#!/bin/sh\necho $$ > {pid}\ncat {tmp_path / 'log'}\nport=$(sed -n 's/^  port: //p' \"$2\")\n"
        f"cd {tmp_path} && exec {sys.executable} root.py $port {token} 2>/dev/null\n"
    )
    serve.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    told = pytest.raises(ServingError, match=r"sleeper did not start: ModelError: .*has no 'Gone'")
    with told, served(yaml.safe_load(config.read_text()), "sleeper", lambda _: None):
        pytest.fail("it came up")
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


@pytest.mark.ray
@pytest.mark.long
def test_a_model_that_does_not_start_is_told_with_the_reason(config: Path) -> None:
    raw = yaml.safe_load(config.read_text())
    raw["applications"][1]["args"]["source"] = {"factory": "tests.services.slow:Gone"}
    told = pytest.raises(ServingError, match=r"sleeper did not start: .*has no 'Gone'")
    with told, served(raw, "sleeper", lambda _: None):
        pytest.fail("it came up")


def _agree(check: Check) -> bool:
    pairs = (check.p50_ms, check.p99_ms)
    return not check.failed and all(abs(predicted / measured - 1) <= 0.2 for predicted, measured in pairs)

"""`pitstop run` with a real Ray: what it shows, what it refuses, how it ends, and what --reload takes."""

import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from benchmarks.run_times import RATE_RPS
from benchmarks.steady_load import Outcomes
from configs.document import application
from deployments.stubs import open_inference_pb2 as pb
from pitstop import processes
from tests.e2e.clients import BODY, TENSOR
from tests.e2e.conftest import model
from tests.serving import PROJECT, Serving, pitstop_run, wait_until

pytestmark = pytest.mark.ray
CONFIG = PROJECT / "serve_config.yaml"
NETWORK = """
from torch import Tensor, nn
from .scale import factor

class Scaled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return factor * x
"""
SAME = "What is deployed is the same."
BROKEN = {"factory": "tests.services.slow:Slow", "kwargs": {"ms": "many"}}


def only(*apps: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    def edit(raw: dict[str, Any]) -> None:
        raw["applications"] = [application(raw, "root"), *apps]

    return edit


def own_code(folder: Path, factor: float) -> None:
    (folder / "net.py").write_text(NETWORK)
    (folder / "scale.py").write_text(f"factor = {factor}\n")


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("code")
    own_code(folder, 2)
    return folder


@pytest.fixture(scope="module")
def serving(cache: object, code: Path) -> Iterator[Serving]:  # noqa: ARG001
    """A model whose code is in two files, and one that cannot start."""
    good = model("scaled", source={"factory": f"{code / 'net.py'}:Scaled"})
    with pitstop_run(CONFIG, only(good, model("broken", source=BROKEN)), "--reload") as found:
        found.wait_for("Ready at", timeout_s=300)
        found.wait_for("  curl ", timeout_s=30)
        yield found


def answer(serving: Serving) -> Any:
    found = requests.post(f"{serving.model('scaled')}/infer", json=BODY, timeout=20)
    return found.json()["outputs"][0]["data"] if found.ok else found.status_code


def change(serving: Serving, edit: Callable[[dict[str, Any]], None]) -> None:
    raw = yaml.safe_load(serving.config.read_text())
    edit(raw)
    serving.config.write_text(yaml.safe_dump(raw, sort_keys=False))


def said_since(serving: Serving, mark: int, text: str) -> bool:
    return text in "".join(serving.lines[mark:])


def test_it_says_where_ray_s_log_is_and_keeps_it_off_the_terminal(serving: Serving) -> None:
    [line] = [line for line in serving.lines if "Ray's log: " in line]
    assert "(ServeReplica" in Path(line.partition("Ray's log: ")[2].strip()).read_text()
    assert "(ServeReplica" not in serving.log
    assert "Ray's dashboard: http://127.0.0.1:" in serving.log


def test_one_process_has_built_every_application_and_has_ended(serving: Serving) -> None:
    # Serve's log of a build: controller_build_NAME_PID.log. What comes later is built by others.
    built = {
        name: {int(path.stem.rpartition("_")[2]) for path in serving.folder.rglob(f"controller_build_{name}_*.log")}
        for name in ("root", "scaled", "broken")
    }
    [builder] = set.intersection(*built.values())
    wait_until(lambda: processes.of(builder, processes.new_mark()) == {}, f"{builder} still runs")


def test_a_model_that_is_ready_has_one_line_with_its_device_batch_and_checks(serving: Serving) -> None:
    [line] = [line for line in serving.lines if line.startswith("scaled  cpu, eager fp32, best batch ")]
    assert "✓ inference mode" in line
    assert "✓ batching" in line


def test_the_curl_that_it_prints_is_answered(serving: Serving) -> None:
    [line] = [line for line in serving.lines if line.startswith("  curl ")]
    assert "/v2/models/scaled/infer" in line
    done = subprocess.run(["bash", "-c", line.replace("curl ", "curl -sf ", 1)], capture_output=True, check=True)
    assert b'"outputs"' in done.stdout


def test_of_a_model_that_fails_only_the_sentence_is_shown(serving: Serving) -> None:
    [at] = [place for place, line in enumerate(serving.lines) if line.startswith("✗ broken: ")]
    assert "help: " in "".join(serving.lines[at : at + 3])
    assert "Traceback" not in serving.log
    assert "Not served: broken." in serving.log


def test_a_changed_file_of_the_model_s_code_is_deployed(serving: Serving, code: Path) -> None:
    own_code(code, 3)
    wait_until(lambda: answer(serving) == [9.0], serving.log, within_s=240)


def test_code_that_is_no_python_is_told_and_the_old_version_goes_on_serving(serving: Serving, code: Path) -> None:
    mark = len(serving.lines)
    (code / "scale.py").write_text("factor = = 4\n")
    wait_until(lambda: said_since(serving, mark, "The version from before goes on serving."), serving.log)
    assert said_since(serving, mark, f"{code / 'scale.py'}:1: invalid syntax\nhelp: ")
    assert answer(serving) == [9.0]
    own_code(code, 3)
    wait_until(lambda: said_since(serving, mark, SAME), serving.log)


def test_a_typo_in_the_yaml_is_told_and_the_old_version_goes_on_serving(serving: Serving) -> None:
    mark, before = len(serving.lines), serving.config.read_text()
    serving.config.write_text(before.replace("max_batch_size: 32", "max_batch_siz: 32"))
    wait_until(lambda: said_since(serving, mark, "The version from before goes on serving."), serving.log)
    assert said_since(serving, mark, "max_batch_siz: unknown key")
    assert answer(serving) == [9.0]
    serving.config.write_text(before)
    wait_until(lambda: said_since(serving, mark, SAME), serving.log)


def test_a_change_of_the_yaml_is_deployed_and_touches_no_other_application(serving: Serving) -> None:
    mark = len(serving.lines)

    def smaller(raw: dict[str, Any]) -> None:
        application(raw, "scaled")["deployments"][0]["user_config"] = {"max_batch_size": 8}

    change(serving, smaller)
    wait_until(lambda: said_since(serving, mark, "Deploys scaled."), serving.log)
    wait_until(lambda: requests.get(serving.model("scaled"), timeout=20).json()["properties"]["max_batch_size"] == 8)
    assert answer(serving) == [9.0]
    assert not said_since(serving, mark, "Ray starts its process")


def test_under_load_sigterm_loses_no_request_that_was_accepted(serving: Serving) -> None:
    direct = yaml.safe_load(serving.config.read_text())["grpc_options"]["port"]
    message = pb.ModelInferRequest(model_name="scaled", inputs=[TENSOR])
    http, proxied, one_hop = (Outcomes() for _ in range(3))
    asks = {
        http: partial(http.ask, f"{serving.model('scaled')}/infer", BODY),
        proxied: partial(proxied.call, serving.grpc_port, message),
        one_hop: partial(one_hop.call, direct, message, (("application", "scaled"),)),
    }
    clients = [threading.Thread(target=each.put_load, args=(ask, RATE_RPS)) for each, ask in asks.items()]
    for each in clients:
        each.start()
    wait_until(lambda: all(each.good > RATE_RPS for each in asks), "no answers")
    everything = processes.of(serving.process.pid, serving.mark)
    serving.process.send_signal(signal.SIGTERM)
    serving.process.wait(timeout=60)
    for found in asks:
        found.stop.set()
    for each in clients:
        each.join()
    assert [each.lost for each in asks] == [[], [], []]
    assert all(each.refused > 0 for each in asks)
    assert serving.process.returncode == 0
    assert any("haproxy" in line for line in everything.values())
    assert left(everything, serving) == []


def left(before: dict[int, str], serving: Serving) -> list[str]:
    """Return what still runs of a run's processes: Ray's workers overwrite their mark, so those from before count."""
    still = [line for pid, line in before.items() if processes.of(pid, processes.new_mark())]
    return [*still, *processes.of(None, serving.mark).values()]


def answers(session: requests.Session, url: str) -> bool:
    try:
        return session.get(url, timeout=5).status_code > 0
    except requests.ConnectionError:
        return False


def test_at_idle_ctrl_c_ends_every_process(cache: object) -> None:  # noqa: ARG001
    # A browser keeps connections that are idle: one in HAProxy's first process, before it has routes, one in its last.
    with pitstop_run(CONFIG, only(model("two", ms=1))) as serving, requests.Session() as early:
        wait_until(partial(answers, early, serving.url), "HAProxy does not answer")
        serving.wait_for("Ready at", timeout_s=300)
        everything = processes.of(serving.process.pid, serving.mark)
        assert sum("haproxy" in line for line in everything.values()) > 1
        lines = "\n".join(everything.values())
        assert [name for name in ("haproxy", "raylet", "gcs_server", "dashboard") if name not in lines] == []
        with requests.Session() as idle:
            assert idle.get(f"{serving.url}/openapi.json", timeout=20).ok
            assert idle.get(serving.model("two"), timeout=20).ok
            serving.process.send_signal(signal.SIGINT)
            assert serving.process.wait(timeout=60) == 0
        assert left(everything, serving) == []
        assert "Stops: requests in progress are answered." in serving.log


def test_where_no_model_starts_the_exit_code_is_1_and_the_reason_one_sentence(cache: object) -> None:  # noqa: ARG001
    with pitstop_run(CONFIG, only(model("broken", source=BROKEN))) as serving:
        serving.wait_for("No model started. Not served: broken.", timeout_s=300)
        assert serving.process.wait(timeout=60) == 1
        assert processes.of(None, serving.mark) == {}
        assert "✗ broken: " in serving.log
        assert "Traceback" not in serving.log


def test_a_typo_never_starts_ray() -> None:
    def typo(raw: dict[str, Any]) -> None:
        application(raw, "digits")["args"]["max_batch_siz"] = 64

    with pitstop_run(CONFIG, typo) as serving:
        assert serving.process.wait(timeout=60) == 1
        serving.wait_for("max_batch_siz: unknown key", timeout_s=5)
        assert "help: did you mean 'max_batch_size'?" in serving.log
        assert not (serving.folder / "ray").exists()


def test_a_port_that_is_taken_is_told_with_its_holder_and_ray_does_not_start() -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

        def hold(raw: dict[str, Any]) -> None:
            other.bind(("127.0.0.1", raw["http_options"]["port"]))
            other.listen()

        with pitstop_run(CONFIG, hold) as serving:
            assert serving.process.wait(timeout=60) == 1
            serving.wait_for(f"port {serving.port} (HTTP) is taken by process ", timeout_s=5)
            assert "help: " in serving.log
            assert not (serving.folder / "ray").exists()

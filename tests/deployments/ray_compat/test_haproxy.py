"""HAProxy's configuration and folder as we have Ray make them, with the Ray and the HAProxy that are installed."""

import asyncio
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

ray_haproxy = pytest.importorskip("ray.serve._private.haproxy")
from ray.serve._private import application_state  # noqa: E402
from ray.serve._private import controller as ray_controller  # noqa: E402  # Ray first: else there is nothing to test.

from deployments import haproxy, haproxy_safety, tcp_connections  # noqa: E402
from deployments.ray_compat import haproxy_manager  # noqa: E402
from deployments.ray_compat.haproxy_manager import SupervisedHAProxy  # noqa: E402
from pitstop.ports import Ports  # noqa: E402

controller: Any = ray_controller


def test_this_ray_s_template_has_each_part_that_is_changed_once() -> None:
    assert [ray_haproxy.HAPROXY_CONFIG_TEMPLATE.count(old) for old, _ in haproxy_safety.CHANGES] == [1] * len(
        haproxy_safety.CHANGES
    )


@pytest.mark.parametrize("routes", [False, True])
def test_haproxy_takes_the_changed_configuration_and_says_503_until_it_has_routes(
    routes: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        ray_haproxy, "HAPROXY_CONFIG_TEMPLATE", haproxy_safety.changed(ray_haproxy.HAPROXY_CONFIG_TEMPLATE)
    )
    config = ray_haproxy.HAProxyConfig(socket_path=str(tmp_path / "admin.sock"), has_received_routes=routes)
    config.server_state_file = str(tmp_path / "state")
    api = ray_haproxy.HAProxyApi(config, config_file_path=str(tmp_path / "haproxy.cfg"))
    api._generate_config_file_internal()
    text = (tmp_path / "haproxy.cfg").read_text()
    assert "mode 600 level admin" in text
    assert "666" not in text
    assert "default-server pool-purge-delay 1s" in text
    assert ("hdr Retry-After 1" in text) is not routes
    checked = [ray_haproxy.get_haproxy_binary(), "-c", "-f", str(tmp_path / "haproxy.cfg")]
    done = subprocess.run(checked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_folder_is_closed_to_others_also_where_it_was_open_before(tmp_path: Path) -> None:
    (tmp_path / "base" / "node").mkdir(parents=True)
    (tmp_path / "base" / "node").chmod(0o755)
    assert haproxy_safety.private_folder(tmp_path / "base", "node").stat().st_mode & 0o777 == 0o700
    assert haproxy_safety.private_folder(tmp_path / "new", "node").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("trick", ["everybody writes to the base", "a link", "another owner"])
def test_a_folder_that_others_can_replace_is_refused(trick: str, tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir(0o700)
    if trick == "everybody writes to the base":
        base.chmod(0o777)
    elif trick == "a link":
        (base / "node").symlink_to(tmp_path)
    elif os.getuid() == 0:
        os.chown(base, 65534, 65534)
    else:
        pytest.skip("only root can give a folder away")
    with pytest.raises(RuntimeError, match="RAY_SERVE_HAPROXY_SOCKET_PATH"):
        haproxy_safety.private_folder(base, "node")


def test_ray_s_manager_is_replaced_by_one_that_starts_haproxy_again(monkeypatch: pytest.MonkeyPatch) -> None:
    before = controller.HAProxyManager
    monkeypatch.setattr(controller, "HAProxyManager", before)
    # `install` replaces this too; it is put back afterwards.
    monkeypatch.setattr(application_state, "build_serve_application", application_state.build_serve_application)
    haproxy.install()
    assert controller.HAProxyManager is not before
    base: Any = SupervisedHAProxy.__mro__[1]
    assert {"ready", "shutdown", "update_draining", "check_health"} <= set(dir(base))


class Api:
    """Ray's HAProxyApi: one process that has ended, until it is started again."""

    def __init__(self) -> None:
        self._proc: Any = SimpleNamespace(returncode=-9)
        self.started = asyncio.Event()

    async def start(self) -> None:
        self._proc = SimpleNamespace(returncode=None)
        self.started.set()


def test_a_haproxy_that_ended_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(haproxy_manager, "_LOOK_EVERY_S", 0.001)

    async def supervised() -> None:
        api = Api()
        manager: Any = SimpleNamespace(_haproxy=api, _reload_lock=asyncio.Lock(), _ending=False)
        manager._haproxy_start_task = asyncio.get_running_loop().create_future()
        manager._haproxy_start_task.set_result(None)
        manager._start_again = lambda: SupervisedHAProxy._start_again(manager)
        task = asyncio.create_task(SupervisedHAProxy._supervise(manager))
        await asyncio.wait_for(api.started.wait(), 30)
        manager._ending = True
        await task

    asyncio.run(supervised())


def test_a_haproxy_that_ends_since_a_reload_replaces_it_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async def replaced() -> None:
        api = Api()
        manager: Any = SimpleNamespace(_haproxy=api, _reload_lock=asyncio.Lock(), _ending=False)
        async with manager._reload_lock:
            looking = asyncio.create_task(SupervisedHAProxy._start_again(manager))
            await asyncio.sleep(0)
            api._proc = SimpleNamespace(returncode=None)
        await looking
        assert not api.started.is_set()

    asyncio.run(replaced())
    assert caplog.records == []


HAPROXY = """
global
    stats socket {folder}/admin.sock mode 600 level admin expose-fd listeners
defaults
    mode http
    option idle-close-on-response
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend all
    bind 127.0.0.1:{port}
    default_backend models
backend models
    server one 127.0.0.1:{model} pool-purge-delay 1s
"""


class Model(BaseHTTPRequestHandler):
    """Answers a GET at once, and a POST when `answer` is set."""

    protocol_version = "HTTP/1.1"
    asked, answer = threading.Event(), threading.Event()

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        self.asked.set()
        self.answer.wait(30)
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def model() -> Iterator[int]:
    """A server behind HAProxy, and its port."""
    Model.asked.clear()
    Model.answer.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("reloaded", [False, True], ids=["in the newest process", "in one before a reload"])
def test_a_stop_waits_for_requests_and_not_for_connections_that_are_idle(
    reloaded: bool, model: int, tmp_path: Path
) -> None:
    """As HAProxy is at a stop: the signal is sent, and it would keep the idle connection for a minute."""
    manager: Any = SimpleNamespace()
    manager._haproxy = SimpleNamespace(cfg=SimpleNamespace(socket_path=str(tmp_path / "admin.sock")))

    async def start(*more: str) -> Any:
        argv = [ray_haproxy.get_haproxy_binary(), "-db", "-f", str(tmp_path / "h.cfg"), *more]
        process = await asyncio.create_subprocess_exec(*argv)
        while port not in tcp_connections.listening(process.pid):
            await asyncio.sleep(0.05)
        return process

    async def stop(url: str) -> None:
        manager.event_loop = asyncio.get_running_loop()
        process = newest = await start()
        asked = None if reloaded else await SupervisedHAProxy._connect(manager)
        assert reloaded or asked
        with requests.Session() as idle, requests.Session() as busy:
            assert (await asyncio.to_thread(idle.get, url)).ok
            if reloaded:
                assert (await asyncio.to_thread(busy.get, url)).ok
                newest = await start("-sf", str(process.pid), "-x", str(tmp_path / "admin.sock"))
            answer = asyncio.ensure_future(asyncio.to_thread(busy.post, url))
            await asyncio.to_thread(Model.asked.wait, 30)
            ports = tcp_connections.listening(newest.pid)
            process.send_signal(signal.SIGUSR1)
            done = asyncio.ensure_future(SupervisedHAProxy._done(manager, process, asked, ports))
            await asyncio.wait([done], timeout=3 * haproxy_manager._IDLE_S)
            assert not done.done()
            Model.answer.set()
            assert (await answer).ok
            await asyncio.wait_for(done, 30)
            assert process.returncode is None
        for each in {process, newest}:
            each.kill()
            await each.wait()

    with Ports() as ports:
        port = ports.one()
        (tmp_path / "h.cfg").write_text(HAPROXY.format(folder=tmp_path, port=port, model=model))
        asyncio.run(stop(f"http://127.0.0.1:{port}"))


def test_a_port_that_is_taken_is_named_in_two_lines() -> None:
    said = (
        "[ALERT] Binding [/x/haproxy.cfg:50] for frontend f: cannot bind (Address already in use) for [127.0.0.1:8000]"
    )
    told = haproxy_safety.port_taken(said)
    assert told.splitlines()[0] == "HAProxy cannot listen on 127.0.0.1:8000: another program holds it"
    assert told.splitlines()[1].startswith("help: ")

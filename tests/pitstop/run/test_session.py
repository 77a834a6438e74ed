"""A run from events alone, without a server: what is shown, and how it ends."""

import io
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from configs.loader import load
from pitstop.report.terminal import plain_console
from pitstop.run import main
from pitstop.run import session as subject
from pitstop.run.ready import Ready
from pitstop.run.session import Session

PROJECT = Path(__file__).resolve().parents[3]
STARTS: dict[str, Any] = {"ready": False, "settled": False, "failed": False, "status": "DEPLOYING"}
STARTS |= {"no_room": False, "message": "", "replicas": 1}
READY = {**STARTS, "ready": True, "settled": True, "status": "RUNNING"}
FAILED = {**STARTS, "settled": True, "failed": True, "status": "DEPLOY_FAILED", "message": "weights: no\nhelp: check"}
KEPT = {**READY, "status": "DEPLOY_FAILED", "message": "weights: no\nhelp: check"}
Events = Callable[["FakeServer"], list[tuple[str, Any]]]


class FakeServer:
    """Puts events instead of starting anything, and notes what it is asked for."""

    haproxy: bool = False
    own_ray: bool = True

    def __init__(self, _config: Path, put: Callable[[tuple[str, Any]], object], heard: Callable[[str], object]) -> None:
        self.put, self.sent, self.killed = put, list[str](), False
        heard("(ServeReplica:digits:Model pid=1) a line of Ray's log\n")
        FakeServer.last = self
        for event in FakeServer.events:
            put(event)

    def send(self, command: str) -> None:
        self.sent.append(command)
        for event in FakeServer.answers.get(command, []):
            self.put(event)

    def haproxies(self) -> set[int]:
        return {1} if FakeServer.haproxy else set()

    def has_own_ray(self) -> bool:
        return FakeServer.own_ray

    def kill(self) -> None:
        self.killed = True

    events: list[tuple[str, Any]]
    answers: dict[str, list[tuple[str, Any]]]
    last: "FakeServer"


def apps(**given: dict[str, Any]) -> tuple[str, Any]:
    """The states of digits and digits-cpu, which is `cpu` here, and of the server's own pages."""
    names = {"root": "root", "digits": "digits", "cpu": "digits-cpu"}
    return "apps", [{"name": names[name], **state} for name, state in {"root": READY, **given}.items()]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, FakeServer]]:
    monkeypatch.setattr(subject, "Server", FakeServer)
    monkeypatch.setattr(subject, "asked", lambda app, _url, _folder, _pause: Ready(app.name, f"{app.name} is up"))

    def run(*events: tuple[str, Any], stop: list[tuple[str, Any]] | None = None, **options: Any) -> Any:
        FakeServer.events, FakeServer.answers = list(events), {"stop": stop or []}
        FakeServer.haproxy, FakeServer.own_ray = options.pop("haproxy", False), options.pop("own_ray", True)
        out = io.StringIO()
        console = plain_console(file=out, markup=False, soft_wrap=True)
        deployment = load(PROJECT / "serve_config.yaml")
        deployment.raw["applications"].extend(options.pop("more", []))
        code = Session(deployment, tmp_path, console, options.get("reload", False), options.get("verbose", False)).run()
        return code, out.getvalue(), FakeServer.last

    return run


def asked(*names: str) -> list[tuple[str, Any]]:
    return [("asked", Ready(name, f"{name} is up", (), f"curl {name}")) for name in names]


SIGINT = ("signal", signal.SIGINT)


def test_models_that_are_ready_are_listed_with_a_request_for_each(run: Callable[..., Any]) -> None:
    events = [apps(digits=READY, cpu=READY), *asked("digits", "digits-cpu"), SIGINT]
    code, out, server = run(*events, stop=[("ended", 0)])
    assert "digits is up\n" in out
    assert (
        "Ready at http://localhost:8000: digits, digits-cpu. Ctrl-C stops it.\n  curl digits\n  curl digits-cpu\n"
        in out
    )
    assert (code, server.sent, server.killed) == (0, ["stop"], True)


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("digits, kept", [(READY, False), (FAILED, True)], ids=["served", "failed"])
def test_a_clean_stop_keeps_the_log_if_an_error_was_told(
    digits: dict[str, Any],
    kept: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (folder := tmp_path / "run").mkdir()
    FakeServer.events = [apps(digits=digits, cpu=READY), *asked("digits-cpu"), SIGINT]
    FakeServer.answers, FakeServer.haproxy, FakeServer.own_ray = {"stop": [("ended", 0)]}, False, True
    deployment = load(PROJECT / "serve_config.yaml")
    monkeypatch.setattr(main, "_taken", lambda _: "")
    monkeypatch.setattr(main, "checked", lambda *_: (0, deployment))
    monkeypatch.setattr("tempfile.mkdtemp", lambda **_: str(folder))
    assert main.serve(deployment.path, reload=False, verbose=False) == 0
    said = f"Ray's log is kept: {folder / 'ray.log'}\n" in capsys.readouterr().out
    assert (folder.exists(), said) == (kept, kept)


def test_an_application_of_the_user_s_own_is_ready_like_a_model(run: Callable[..., Any]) -> None:
    own = {"name": "mine", "import_path": "mine:app", "route_prefix": "/mine"}
    kind, listed = apps(digits=READY, cpu=READY)
    events = [(kind, [*listed, {"name": "mine", **READY}]), *asked("digits", "digits-cpu"), SIGINT]
    _, out, _ = run(*events, stop=[("ended", 0)], more=[own])
    assert "mine  is ready, an application of your own\n" in out
    assert "Ready at http://localhost:8000: digits, digits-cpu, mine. Ctrl-C" in out


def test_one_that_waits_for_room_does_not_hold_back_the_others_and_gets_its_request_later(
    run: Callable[..., Any],
) -> None:
    waiting = {**FAILED, "failed": False, "no_room": True, "message": "Ray has no room"}
    events = [apps(digits=waiting, cpu=READY), *asked("digits-cpu"), apps(digits=READY, cpu=READY), *asked("digits")]
    _, out, _ = run(*events, SIGINT, stop=[("ended", 0)])
    said = "Ready at http://localhost:8000: digits-cpu. Waiting for room: digits. Ctrl-C stops it.\n  curl digits-cpu\n"
    assert said in out
    assert out.index(said) < out.index("digits is up\n  curl digits\n")


def test_where_all_wait_for_room_nothing_is_called_ready(run: Callable[..., Any]) -> None:
    waiting = {**FAILED, "failed": False, "no_room": True, "message": "Ray has no room"}
    _, out, _ = run(apps(digits=waiting, cpu=waiting), SIGINT)
    assert "Ready at" not in out
    assert "No model started" not in out


@pytest.mark.parametrize("state", ["no_room", "ready"])
def test_a_change_is_looked_for_once_nothing_is_on_its_way_but_for_room(
    state: str, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    monkeypatch.setattr(subject, "Reloader", lambda *_: SimpleNamespace(look=lambda: looked.append(state)))
    waiting = {**FAILED, "failed": False, "no_room": True, "message": "Ray has no room"}
    model = waiting if state == "no_room" else READY
    answers = [] if state == "no_room" else asked("digits", "digits-cpu")
    run(apps(digits=STARTS, cpu=STARTS), SIGINT, reload=True)
    assert looked == []
    run(apps(digits=model, cpu=model), *answers, SIGINT, stop=[("ended", 0)], reload=True)
    assert looked


def test_a_failure_beside_models_that_wait_is_summed_up_and_the_run_goes_on_until_the_last_has_failed(
    run: Callable[..., Any],
) -> None:
    waiting = {**FAILED, "failed": False, "no_room": True, "message": "Ray has no room"}
    said = "\nNot served: digits. Waiting for room: digits-cpu.\n"
    code, out, _ = run(apps(digits=FAILED, cpu=waiting), apps(digits=FAILED, cpu=waiting), SIGINT)
    assert (code, out.count(said)) == (0, 1)
    assert "Ready at" not in out
    code, out, _ = run(apps(digits=FAILED, cpu=waiting), apps(digits=FAILED, cpu=FAILED))
    assert code == 1
    assert out.index(said) < out.index("No model started. Not served: digits, digits-cpu.")
    events = [apps(digits=FAILED, cpu=waiting), apps(digits=FAILED, cpu=READY), *asked("digits-cpu"), SIGINT]
    _, out, _ = run(*events, stop=[("ended", 0)])
    assert out.index(said) < out.index("Ready at http://localhost:8000: digits-cpu. Not served: digits.")


def test_where_one_fails_the_others_serve_and_it_stays_listed(run: Callable[..., Any]) -> None:
    events = [apps(digits=FAILED, cpu=READY), *asked("digits-cpu"), SIGINT]
    code, out, _ = run(*events, stop=[("ended", 0)])
    assert "✗ digits: weights: no\nhelp: check\n" in out
    assert ": digits-cpu. Not served: digits." in out
    assert code == 0


def test_where_none_starts_the_exit_status_is_1(run: Callable[..., Any]) -> None:
    code, out, server = run(apps(digits=FAILED, cpu=FAILED))
    assert (code, server.killed) == (1, True)
    assert "No model started. Not served: digits, digits-cpu." in out


def test_before_anything_serves_a_signal_ends_it_at_once(run: Callable[..., Any]) -> None:
    code, _, server = run(apps(digits=STARTS, cpu=STARTS), SIGINT)
    assert (code, server.sent, server.killed) == (0, [], True)


RAY = ("ray", "Ray's dashboard: http://127.0.0.1:8265")


@pytest.mark.parametrize("states, code", [(STARTS, 0), (FAILED, 1)])
def test_in_a_cluster_of_others_serve_is_asked_to_stop_whatever_came_up(
    states: dict[str, Any], code: int, run: Callable[..., Any]
) -> None:
    events = [RAY, apps(digits=states, cpu=states), *([SIGINT] if code == 0 else [])]
    assert run(*events, stop=[("ended", 0)], own_ray=False)[0] == code
    assert FakeServer.last.sent == ["stop"]


def test_a_second_signal_ends_at_once_what_has_not_ended_yet(run: Callable[..., Any]) -> None:
    events = [apps(digits=READY, cpu=READY), *asked("digits", "digits-cpu"), SIGINT, ("signal", signal.SIGTERM)]
    code, _, server = run(*events, haproxy=True)
    assert (code, server.sent, server.killed) == (128 + signal.SIGTERM, ["stop"], True)


def test_a_model_that_is_scaled_to_zero_is_not_asked(run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "asked", None)
    zero = {**READY, "replicas": 0}
    _, out, _ = run(apps(digits=zero, cpu=zero), SIGINT, stop=[("ended", 0)])
    assert "digits  scaled to zero: its first request starts it\n" in out


def test_a_server_that_ends_by_itself_is_an_error_that_names_the_log(run: Callable[..., Any], tmp_path: Path) -> None:
    code, out, _ = run(apps(digits=READY, cpu=READY), ("ended", 3))
    assert code == 1
    assert f"exit status 3\nhelp: its log says why: {tmp_path / 'ray.log'}" in out


def test_a_config_that_serve_refuses_at_the_start_ends_the_run(run: Callable[..., Any]) -> None:
    code, out, _ = run(("refused", "no such thing"))
    assert (code, "no such thing" in out) == (1, True)


def test_a_change_that_fails_leaves_the_version_from_before(run: Callable[..., Any]) -> None:
    events = [apps(digits=READY, cpu=READY), *asked("digits", "digits-cpu"), apps(digits=KEPT, cpu=READY), SIGINT]
    _, out, _ = run(*events, stop=[("ended", 0)])
    assert "✗ digits: weights: no\nhelp: check\n  digits: the version from before goes on serving\n" in out


@pytest.mark.parametrize("verbose", [False, True])
def test_ray_s_log_is_in_its_file_and_in_the_terminal_only_if_asked_for(
    verbose: bool, run: Callable[..., Any], tmp_path: Path
) -> None:
    _, out, _ = run(SIGINT, verbose=verbose)
    assert "a line of Ray's log" in (tmp_path / "ray.log").read_text()
    assert ("a line of Ray's log" in out) == verbose


def test_signals_are_as_before_after_a_run(run: Callable[..., Any]) -> None:
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    run(SIGINT)
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before

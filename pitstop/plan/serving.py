"""Starts `serve run` for one model of a config, on free ports, and ends it so that nothing stays behind.

What keeps it apart from all else on the machine is in pitstop/isolated_server.py and pitstop/ports.py.
"""

import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import requests
import yaml

from configs.code_files import is_file, local, names_code, split
from configs.lint.applications import ROOT
from configs.lint.path_checks import CALLABLES, FILES
from configs.problems import value_at

from .. import isolated_server, processes
from ..load.token import token_header
from ..ports import Ports
from ..project import PROJECT
from ..yaml_edit.patch import put

_START_S = 300
# What a replica logs reaches the log of `serve run` a little later than the controller hears of its end.
_LOG_S = 2


class ServingError(Exception):
    """The server did not come up; says why, as far as its log does."""


@contextmanager
def served(raw: dict[str, Any], model: str, tell: Callable[[str], None]) -> Iterator[str]:
    """Serve one model of a config; yields the server's URL.

    Args:
        raw: the config; applications other than the model's and the root are left out.
        model: its name.
        tell: is told what is being waited for.

    Raises:
        ServingError: it was not ready in time, or ended.
    """
    with Ports() as ports, tempfile.TemporaryDirectory(prefix="pit-", ignore_cleanup_errors=True) as name:
        folder, port = Path(name), ports.one()
        config, log = folder / "serve_config.yaml", folder / "serve.log"
        found = _alone(raw, model)
        isolated_server.on_own_ports(found, port, ports, folder)
        config.write_text(yaml.safe_dump(found, sort_keys=False), encoding="utf-8")
        mark = processes.new_mark()
        with log.open("wb") as out:
            process = _start(config, isolated_server.environment(folder, mark), out)
            try:
                _wait(process, f"http://127.0.0.1:{port}", model, log, tell)
                yield f"http://127.0.0.1:{port}"
            finally:
                processes.end(process, mark)


def _alone(raw: dict[str, Any], model: str) -> dict[str, Any]:
    """Return the config with one model, over HTTP alone."""
    found: dict[str, Any] = yaml.safe_load(yaml.safe_dump(raw))
    kept = [app for app in found["applications"] if app.get("args", {}).get("name") == model]
    kept += [app for app in found["applications"] if app.get("import_path") == ROOT]
    for app in kept:
        if app.get("import_path") == ROOT:
            app.get("args", {}).pop("grpc_port", None)
        else:
            _locate(app["args"])
    found["applications"] = kept
    found.pop("grpc_options", None)
    return found


def _locate(args: dict[str, Any]) -> None:
    """Name the files of the working directory by their absolute paths: the server may start in another folder."""
    for keys in (*FILES, *CALLABLES, ("auth", "tokens_file")):
        if isinstance(named := value_at(args, keys), str) and (keys != ("backend",) or names_code(named)):
            put(args, keys, _located(named))
    if (example := args.get("example")) is not None:
        args["example"] = [_located(each) for each in ([example] if isinstance(example, str) else example)]


def _located(named: str) -> str:
    """Return a file, or `path/to/file.py:name`, by its absolute path, and a module as it is."""
    place, name = split(named)
    return f"{_absolute(place)}:{name}" if is_file(place) else _absolute(named)


def _absolute(location: str) -> str:
    file = local(location)
    return str(file.absolute()) if file else location


def _start(config: Path, env: dict[str, str], out: IO[bytes]) -> "subprocess.Popen[str]":
    # Weights and modules are looked up where the command was given, as `serve run` would.
    here = Path.cwd() if (Path.cwd() / "deployments" / "app.py").is_file() else PROJECT
    try:
        return isolated_server.serve_run(config, env, out, here)
    except FileNotFoundError as error:
        raise ServingError(str(error)) from error


def _wait(process: "subprocess.Popen[str]", url: str, model: str, log: Path, tell: Callable[[str], None]) -> None:
    began = time.monotonic()
    while time.monotonic() - began < _START_S:
        failed = process.poll() is not None
        try:
            if requests.get(f"{url}/v2/models/{model}/ready", timeout=2).status_code == 200:
                return
            failed = failed or _has_failed(url, model)
        except requests.RequestException:
            pass
        if failed:
            time.sleep(_LOG_S)
            raise ServingError(f"{model} did not start: {_last(_read(log))}\nhelp: {_HELP}")
        tell(f"waiting for the server to be ready, {time.monotonic() - began:.0f} s")
        time.sleep(0.5)
    raise ServingError(f"{model} was not ready after {_START_S} s: {_last(_read(log))}\nhelp: {_HELP}")


def _has_failed(url: str, model: str) -> bool:
    """Ask the root application: `serve run` goes on without an application that failed."""
    index = requests.get(f"{url}/v2/repository/index", timeout=2, headers=token_header())
    states = {each["name"]: each["state"] for each in index.json()} if index.status_code == 200 else {}
    return states.get(model) == "UNAVAILABLE"


_HELP = "run `serve run` on the config by hand to see the whole log"


def _last(text: str) -> str:
    """Return the last error that a log tells of, or its last line."""
    errors = re.findall(r"(?:[\w.]+\.)?(\w*(?:Error|Exception): .+)$", text, re.MULTILINE)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return str((errors or lines or ["it printed nothing"])[-1])[:300]


def _read(log: Path) -> str:
    """Return a log without the colours."""
    return isolated_server.plain(log.read_text(encoding="utf-8", errors="replace"))

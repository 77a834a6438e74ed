"""What a terminal shows of a model that is ready: how it runs, its checks, and a request to try."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.backends import BACKENDS, short, titled
from configs.lint.exposed_ports import is_open, setting_of
from configs.loader import ModelApp
from models.startup.check_results import MARKS

from ..load.errors import LoadError, TokenError
from ..load.target import find
from .curl import curl

# HAProxy learns of a model a moment after Serve calls it ready.
_TRIES, _PAUSE_S = 40, 0.25


@dataclass(frozen=True, slots=True)
class Ready:
    """Lines of a model that answers; `details` are warnings."""

    name: str
    line: str
    details: tuple[str, ...] = ()
    curl: str = ""


def asked(app: ModelApp, url: str, folder: Path, pause: Callable[[float], object]) -> Ready:
    """Ask a model that Serve calls ready; this waits for its answers."""
    for left in reversed(range(_TRIES)):
        try:
            target = find(f"{url}/v2/models/{app.name}")
            found = target.properties
            return Ready(app.name, line(app.name, found), details(found), curl(app, target, folder))
        except TokenError as error:
            return Ready(app.name, f"{app.name}  is ready", tuple(str(error).splitlines()))
        except LoadError as error:
            why = str(error)
        except Exception as error:  # Such as a picture that cannot be read: the model is ready all the same.
            return Ready(app.name, f"{app.name}  is ready", (f"! no request to try: {error}",))
        if left:
            pause(_PAUSE_S)
    return Ready(app.name, f"{app.name}  answers, but not its metadata: {why.partition(chr(10))[0]}")


def address(raw: Mapping[str, Any]) -> str:
    """Return where a config's server answers, as seen from this machine."""
    setting = setting_of(raw)
    host = "localhost" if setting.http_host == "127.0.0.1" or is_open(setting.http_host) else setting.http_host
    return f"http://{host}:{setting.http_port}"


def line(name: str, properties: Mapping[str, Any]) -> str:
    """Return `digits  cpu, TorchScript fp32, best batch 32, started in 1.7 s  ✓ inference mode …`."""
    found = [
        str(properties.get("device", "")),
        _runs_as(properties),
        f"best batch {batch}" if (batch := _best_batch(properties)) else "",
        f"started in {properties['started_s']:.1f} s" if "started_s" in properties else "",
    ]
    checks = "  ".join(f"{_mark(each)} {each['check']}" for each in properties.get("checks", ()) if _mark(each) != "-")
    return f"{name}  {', '.join(filter(None, found))}  {checks}".rstrip()


def details(properties: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a user should know of how it runs: a GPU that is missing, and each check with a `!`."""
    warnings = [each for each in properties.get("checks", ()) if _mark(each) == "!"]
    # The fallback of the device begins with the key `device: auto`.
    return tuple("! " + (each.get("fallback") or f"{each['check']}: {each['sentence']}") for each in warnings)


def _runs_as(properties: Mapping[str, Any]) -> str:
    chosen = next((each for each in properties.get("candidates", ()) if each["outcome"] == "chosen"), None)
    backend = str(chosen["backend"] if chosen else properties.get("backend", ""))
    precision = str(properties.get("precision", ""))
    return titled(backend, precision) if backend in BACKENDS else f"{short(backend)} {precision}".strip()


def _mark(check: Mapping[str, Any]) -> str:
    return "!" if check.get("fallback") else MARKS.get(check["code"], "!")


def _best_batch(properties: Mapping[str, Any]) -> int | None:
    batching = next((each for each in properties.get("checks", ()) if each["check"] == "batching"), dict[str, Any]())
    best: int | None = batching.get("best_rows")
    return best

"""A virtual environment for each peer, filled from PyPI when it is first needed.

torch, numpy and tokenizers come from the project's own environment, as the last entry of the path: all servers run the
very same torch, and a peer's own packages always win.
"""

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

from . import cache

_DONE = "installed.json"


def python(peer: str, packages: tuple[str, ...]) -> Path:
    """Return the interpreter of a peer's environment, made on first use; without packages, the project's own.

    Raises:
        subprocess.CalledProcessError: pip failed; its output is in the error.
    """
    if not packages:
        return Path(sys.executable)
    folder = cache.environment(peer)
    done = folder / _DONE
    if not done.exists() or json.loads(done.read_text()) != list(packages):
        _install(folder, packages)
        done.write_text(json.dumps(packages))
    _share(folder)
    return folder / "bin" / "python"


def versions(python_path: Path, packages: tuple[str, ...]) -> dict[str, str]:
    """Return the installed versions of the named packages."""
    names = [each.partition("==")[0] for each in packages]
    script = f"import importlib.metadata as m, json; print(json.dumps({{n: m.version(n) for n in {names!r}}}))"
    found = subprocess.run([python_path, "-c", script], check=True, capture_output=True, text=True)
    installed: dict[str, str] = json.loads(found.stdout)
    return installed


def shared() -> Path:
    """Return the project's own site-packages."""
    return Path(sysconfig.get_paths()["purelib"])


def _install(folder: Path, packages: tuple[str, ...]) -> None:
    print(f"installing {', '.join(packages)} into {folder}", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True, capture_output=True, text=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *packages], check=True, capture_output=True, text=True)


def _share(folder: Path) -> None:
    # After pip, which must not take what is there for installed here; at each use, for the project may have moved.
    site = next(folder.glob("lib/python*/site-packages"))
    (site / "shared.pth").write_text(f"{shared()}\n")

"""The pictures of docs/console.md: the console under load in a real Chromium, light, dark and narrow.

    python -m benchmarks.console_pictures

Serves serve_config.yaml on ports of its own. Needs Chromium and the extra `dev`. Writes docs/images/console-*.png.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from pitstop import isolated_server, processes
from pitstop.ports import Ports, free_port

from . import script
from .board.load import refused, sending
from .cache import PROJECT

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
_SEVEN = PROJECT / "examples" / "seven.png"
_START_S = 180.0
# By name: width, height, and the theme of the system.
PICTURES = {"light": (1280, 1010, "light"), "dark": (1280, 1010, "dark"), "narrow": (390, 1400, "light")}


def main(arguments: Sequence[str] | None = None) -> int:
    options = _arguments(list(sys.argv[1:] if arguments is None else arguments))
    chromium = shutil.which("chromium")
    if chromium is None:
        print("chromium is not installed\nhelp: apt-get install chromium", file=sys.stderr)
        return 2
    script.unwind_on_sigterm()
    options.out.mkdir(parents=True, exist_ok=True)
    with serving() as url, loaded(url):
        script.say(f"{options.seconds:.0f} s of load before the pictures")
        time.sleep(options.seconds)
        take(url, chromium, options.out)
    return 0


def take(url: str, chromium: str, folder: Path) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        for name, (width, height, theme) in PICTURES.items():
            options: dict[str, Any] = {"viewport": {"width": width, "height": height}, "color_scheme": theme}
            page = browser.new_page(**options)
            page.goto(url)
            page.wait_for_selector("#try", timeout=60_000)
            if name == "dark":  # It shows the lower half: what was asked, and its answer.
                page.set_input_files("[data-file]", str(_SEVEN))
                for _ in range(3):  # The first answer on a new connection is not a usual one.
                    with page.expect_response("**/predict"):
                        page.click("#try button.primary")
                page.wait_for_selector("#try .times", timeout=60_000)
                page.evaluate("scrollTo(0, document.querySelector('#cost').offsetTop - 70)")
            path = folder / f"console-{name}.png"
            page.screenshot(path=path)
            script.say(f"{path.name}: {path.stat().st_size // 1024} KiB")
        browser.close()


@contextmanager
def serving() -> Iterator[str]:
    """Serve the shipped config; yield its address."""
    with tempfile.TemporaryDirectory(prefix="pc-", ignore_cleanup_errors=True) as name, Ports() as ports:
        folder, mark, port = Path(name), processes.new_mark(), free_port()
        raw = yaml.safe_load((PROJECT / "serve_config.yaml").read_text())
        isolated_server.on_own_ports(raw, port, ports, folder)
        config, log = folder / "config.yaml", folder / "log"
        config.write_text(yaml.safe_dump(raw, sort_keys=False))
        with log.open("wb") as out:
            process = isolated_server.serve_run(config, isolated_server.environment(folder, mark), out)
        try:
            deadline = time.monotonic() + _START_S
            while "pitstop is ready" not in log.read_text(errors="replace"):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"the server did not start:\n{log.read_text(errors='replace')[-2000:]}")
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}"
        finally:
            processes.end(process, mark)


@contextmanager
def loaded(url: str) -> Iterator[None]:
    """Put load on both models, and now and then a request that is refused."""
    digits = f"{url}/v2/models/digits"
    with sending(digits, "--rate", "90"), sending(f"{digits}-cpu", "--rate", "40"), refused(digits, 4, 16):
        yield


def _arguments(given: Sequence[str]) -> argparse.Namespace:
    parser = script.parser("benchmarks.console_pictures", __doc__, PROJECT / "docs" / "images")
    parser.add_argument("--seconds", type=float, default=100.0, help="how long the load lasts before the pictures")
    return parser.parse_args(given)


if __name__ == "__main__":
    sys.exit(main())

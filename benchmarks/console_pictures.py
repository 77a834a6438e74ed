"""The pictures of docs/console.md: the console under load in a real Chromium, light, dark and narrow.

    python -m benchmarks.console_pictures

Serves serve_config.yaml on ports of its own. Needs Chromium and the extra `dev`. Writes docs/images/console-*.png.
"""

import argparse
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import script
from .board.load import refused, sending
from .cache import PROJECT
from .run_times import pitstop_run, until_ready

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
_SEVEN = PROJECT / "examples" / "seven.png"
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
    with pitstop_run(PROJECT / "serve_config.yaml") as (process, _, port):
        until_ready(process)
        url = f"http://127.0.0.1:{port}"
        with loaded(url):
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

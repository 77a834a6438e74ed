"""`--reload`: what is deployed for a change, and what is not."""

import io
import queue
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.document import application
from configs.loader import load
from pitstop.check.load_models import Opened
from pitstop.report.terminal import plain_console
from pitstop.run import reloader as subject
from pitstop.run.reloader import Reloader
from pitstop.run.screen import Screen

PROJECT = Path(__file__).resolve().parents[3]
NETWORK = "from torch import nn\n\nclass Net(nn.Module):\n    def forward(self, image):\n        return image\n"


class Reload:
    """A reloader of a config of two models, digits with code of its own, and what came of its last look."""

    def __init__(self, folder: Path) -> None:
        self.config, self.net = folder / "config.yaml", folder / "net.py"
        self.net.write_text(NETWORK)
        raw = yaml.safe_load((PROJECT / "serve_config.yaml").read_text())
        args = application(raw, "digits")["args"]
        args["source"] = {"factory": f"{self.net}:Net"}
        self.config.write_text(yaml.safe_dump(raw, sort_keys=False))
        self.out, self.events = io.StringIO(), queue.Queue[tuple[str, Any]]()
        self.opened: list[str] = []
        self.fails = False
        console = plain_console(file=self.out, markup=False, soft_wrap=True)
        screen = Screen(console, folder / "ray.log", self.config)
        self._reloader = Reloader(load(self.config), folder, self.events.put, screen, console)

    def open(self, _deployment: object, name: str, _most_s: float) -> list[Opened]:
        self.opened.append(name)
        return [Opened(name, not self.fails, "the network raises\nhelp: mend it")]

    def edit(self, change: Callable[[dict[str, Any]], None]) -> None:
        raw = yaml.safe_load(self.config.read_text())
        change(raw)
        self.config.write_text(yaml.safe_dump(raw, sort_keys=False))

    def look(self) -> list[dict[str, Any]] | None:
        """Look until the change has rested; return the applications that are deployed, None where none is."""
        for _ in range(2):
            self._reloader._next_s = 0.0
            self._reloader.look()
        if not self._reloader._busy:
            return None
        _, content = self.events.get(timeout=30)
        found = self._reloader.opened(content)
        return None if found is None else yaml.safe_load(found[1].read_text())["applications"]


@pytest.fixture
def reload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reload:
    found = Reload(tmp_path)
    monkeypatch.setattr(subject, "open_models", found.open)
    return found


def marks(apps: list[dict[str, Any]] | None) -> list[str]:
    """Return the applications that are made to start again."""
    return [app["name"] for app in apps or [] if "PITSTOP_RELOAD" in app["runtime_env"]["env_vars"]]


def test_without_a_change_nothing_is_said(reload: Reload) -> None:
    assert reload.look() is None
    assert reload.out.getvalue() == ""


def test_new_code_is_opened_and_only_its_model_starts_again(reload: Reload) -> None:
    reload.net.write_text(NETWORK + "x = 1\n")
    assert marks(reload.look()) == ["digits"]
    assert reload.opened == ["digits"]
    assert "Deploys digits.\n" in reload.out.getvalue()


def test_new_code_that_does_not_open_is_not_deployed_and_is_once_it_does(reload: Reload) -> None:
    reload.fails = True
    reload.net.write_text(NETWORK + "x = 1\n")
    assert reload.look() is None
    assert (
        "✗ digits: the network raises\nhelp: mend it\nThe version from before goes on serving." in reload.out.getvalue()
    )
    reload.fails = False
    reload.net.write_text(NETWORK + "x = 2\n")
    assert marks(reload.look()) == ["digits"]


def test_code_that_is_no_python_is_told_and_not_opened(reload: Reload) -> None:
    reload.net.write_text(NETWORK + "x = = 1\n")
    assert reload.look() is None
    assert f"{reload.net}:6: invalid syntax\nhelp: " in reload.out.getvalue()
    assert reload.opened == []
    reload.net.write_text(NETWORK)
    assert reload.look() is None
    assert reload.out.getvalue().endswith("What is deployed is the same.\n")


def test_a_typo_in_the_config_is_told_and_not_deployed(reload: Reload) -> None:
    reload.edit(lambda raw: application(raw, "digits")["args"].update(max_batch_siz=8))
    assert reload.look() is None
    assert "max_batch_siz: unknown key" in reload.out.getvalue()
    assert reload.out.getvalue().endswith("The version from before goes on serving.\n")


def test_new_tunables_are_deployed_without_opening_anything(reload: Reload) -> None:
    def smaller(raw: dict[str, Any]) -> None:
        own = {"name": "Model", "max_ongoing_requests": 1024, "user_config": {"max_batch_size": 8}}
        application(raw, "digits-cpu")["deployments"] = [own]

    reload.edit(smaller)
    apps = reload.look()
    assert apps is not None, reload.out.getvalue()
    assert apps[2]["deployments"][0]["user_config"] == {"max_batch_size": 8}
    assert (marks(apps), reload.opened) == ([], [])


def test_a_key_of_the_server_takes_another_start(reload: Reload) -> None:
    reload.edit(lambda raw: raw["logging_config"].update(log_level="INFO"))
    assert reload.look() is None
    assert "logging_config: takes effect at the next start of `pitstop run`" in reload.out.getvalue()

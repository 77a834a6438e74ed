"""What was kept and answers otherwise than the network is removed and made anew, and no start fails for it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from models.compile import aoti, store, torchscript
from models.compile.build import Compiled, Uncompiled
from models.startup import selection
from models.startup.check_error import CheckError
from models.startup.open_model import OpenedModel, open_model
from tests.models.test_open_model import config

SAYS = "answers otherwise than the network, so it is removed, and made anew where a start can compile it: output 'y'"


class Deep(nn.Module):
    """Many small steps, which TorchScript runs faster than eager."""

    def __init__(self, plus: float = 0.0) -> None:
        super().__init__()
        self.plus = plus
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.layer = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.layer(x)
        for _ in range(100):
            found = found * 1.01 - 0.001
        return found + self.plus


def key_of(backend: str) -> store.Key:
    return store.Key(f"{backend:0<64}", None, {})


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(store, "key_of", lambda _, backend, *__, **___: key_of(backend))
    return tmp_path / "cache"


def opened(backend: str, **keys: Any) -> OpenedModel:
    return open_model(config(f"{__name__}:Deep", backend=backend, **keys), "cpu", kept=True)


def right(served: OpenedModel) -> bool:
    rows = np.random.default_rng(0).random((3, 4), np.float32)
    expected = Deep()(torch.from_numpy(rows)).detach().numpy()
    return np.allclose(served.runner.run([{"x": rows}])["y"], expected, atol=1e-4)


def packages(cache: Path, backend: str) -> list[bytes]:
    return [each.read_bytes() for each in (cache / backend).glob("*.pt*")]


def another() -> Any:
    return torch.jit.freeze(torch.jit.script(Deep(plus=1.0).eval()))


def keep_another() -> None:
    """Keep another network's artefact under the key, as if a change of the code had not been seen."""
    torchscript.keep(key_of("torchscript"), Compiled(another(), "script"))


@pytest.mark.parametrize("backend", ["torchscript", "auto"])
def test_a_stale_artefact_is_removed_and_made_anew(backend: str, cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    keep_another()
    [stale] = packages(cache, "torchscript")
    served = opened(backend)
    assert right(served)
    assert (served.how, served.checks.compilation.made) == ("script", "now")
    assert [each.outcome for each in served.candidates if each.backend == "torchscript"] == ["chosen"]
    [made] = packages(cache, "torchscript")
    assert made != stale
    assert caplog.text.count(f"what was kept of TorchScript fp32 {SAYS}") == 1
    again = opened(backend)
    assert (again.how, again.checks.compilation.made) == ("script", "before")
    assert right(again)


def test_a_kept_start_whose_artefact_is_stale_makes_it_anew(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    opened("torchscript")
    for path in (cache / "torchscript").iterdir():
        path.unlink()
    keep_another()
    served = opened("torchscript")
    assert right(served)
    assert served.checks.compilation.made == "now"
    assert caplog.text.count(SAYS) == 1
    assert opened("torchscript").checked_by == "an earlier start on this node"


def test_the_store_is_not_asked_for_it_again_even_where_the_cache_keeps_nothing(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_another()
    stale = [(each.name, each.read_bytes()) for each in (cache / "torchscript").iterdir()]
    monkeypatch.setattr(torchscript, "keep", lambda *_, **__: None)
    asked = []

    def fetched(backend: str, *_: object) -> bool:
        asked.append(backend)
        for name, data in stale:
            (cache / "torchscript" / name).write_bytes(data)
        return backend == "torchscript"

    for path in (cache / "torchscript").iterdir():
        path.unlink()
    monkeypatch.setattr(store, "_fetched", fetched)
    served = opened("torchscript")
    assert right(served)
    assert served.how == "script"
    assert asked.count("torchscript") == 1


def test_what_deviates_although_it_is_new_is_refused_as_ever(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    keep_another()
    made = []

    def wrong(given: Uncompiled, *_: object) -> Compiled:
        made.append(given.stale)
        return Compiled(lambda x: given.module(x) + 1, "script")

    monkeypatch.setattr(torchscript, "_made", wrong)
    with pytest.raises(CheckError, match="use backend: eager"):
        opened("torchscript")
    served = opened("auto")
    assert right(served)
    assert made == [True, False]
    assert caplog.text.count(SAYS) == 1


def package(path: Path) -> None:
    path.write_bytes(b"package")


@pytest.mark.parametrize("backend", ["aoti", "auto"])
def test_a_stale_package_which_no_start_compiles_counts_as_not_built(
    backend: str, cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    other = another()
    monkeypatch.setattr(aoti, "load", lambda *_: other)
    # As fast as it may be, so that it is the first to be checked.
    monkeypatch.setattr(selection.Selection, "_times", lambda _, one, __: 0.5 if one.backend == "aoti" else 2.0)
    store.write("aoti", key_of("aoti"), package)
    assert len(packages(cache, "aoti")) == 1
    served = opened(backend)
    assert right(served)
    assert packages(cache, "aoti") == []
    assert {each.backend: each.outcome for each in served.candidates}["aoti"] == "not_built"
    assert caplog.text.count(f"what was kept of AOTInductor fp32 {SAYS}") == 1


def test_a_build_s_outcome_whose_package_is_stale_gives_way_to_what_a_start_finds(
    cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    other = torch.jit.freeze(torch.jit.script(Deep().eval()))
    monkeypatch.setattr(aoti, "load", lambda *_: other)
    monkeypatch.setattr(selection.Selection, "_times", lambda *_: 2.0)
    store.write("aoti", key_of("aoti"), package)
    assert opened("aoti").how == "aoti"
    [record] = (cache / "starts").glob("*.json")
    (cache / "builds").mkdir()
    record.rename(cache / "builds" / record.name)
    wrong = another()
    monkeypatch.setattr(aoti, "load", lambda *_: wrong)
    served = opened("aoti")
    assert right(served)
    assert served.how == "script"
    assert packages(cache, "aoti") == []
    assert caplog.text.count(f"what was kept of AOTInductor fp32 {SAYS}") == 1
    again = opened("aoti")
    assert right(again)
    assert again.checked_by == "an earlier start on this node"

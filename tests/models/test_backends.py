"""One list of backends: what stands there is accepted by the config, built by the start, and tried by the tools."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from configs.backends import BACKENDS, EAGER, TORCHSCRIPT, Backend, tried_on
from configs.loader import ConfigError, load, parse_model
from configs.schema import ModelConfig
from models import cache
from models.compile import store
from models.compile.build import Compiled, Uncompiled
from models.compile.refused import Refused, sentences
from models.errors import ModelError
from models.startup.open_model import open_model
from pitstop.audit.plan import single_rows
from pitstop.audit.step import ForwardSetting
from pitstop.tune.candidates import candidates
from tests.models.networks import Linear
from tests.models.test_open_model import config

PROJECT = Path(__file__).resolve().parents[2]


def build(given: Uncompiled) -> Compiled:
    """A backend that only says its name."""
    return Compiled(given.module, "twin")


@pytest.fixture
def twin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Backend:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path))
    backend = Backend("twin", "a twin of eager", __name__, devices=("cpu",))
    monkeypatch.setitem(BACKENDS, backend.name, backend)
    return backend


def digits() -> ModelConfig:
    return next(app.config for app in load(PROJECT / "serve_config.yaml").models if app.config.name == "digits-cpu")


def test_a_backend_that_is_listed_is_a_backend_for_everything_else(twin: Backend) -> None:
    given = config("tests.models.networks:Linear", backend=twin.name)
    served = open_model(given, "cpu")
    rows = np.ones((3, 4), np.float32)
    expected = Linear()(torch.from_numpy(rows)).detach().numpy()
    np.testing.assert_allclose(served.runner.run([{"x": rows}])["y"], expected, rtol=1e-5)
    assert served.how == twin.name
    assert served.checks.compilation.sentence.startswith("a twin of eager; equal to eager fp32 at every warmed size")


def test_tune_and_audit_try_what_is_listed_where_it_runs(twin: Backend) -> None:
    found: dict[str, set[str]] = {
        device: {each.backend for each in candidates(digits(), device, 2, False, quick=True)}
        for device in ("cpu", "cuda")
    }
    assert twin.name in found["cpu"]
    assert twin.name not in found["cuda"]
    here = ForwardSetting(TORCHSCRIPT, "fp32", "contiguous")
    labels = {gpu: [head.label for head in single_rows(here, False, gpu, True)] for gpu in (False, True)}
    assert twin.title in labels[False]
    assert twin.title not in labels[True]


def test_what_a_backend_keeps_is_checked_and_counts_in_the_cache(
    twin: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BACKENDS, twin.name, replace(twin, artefact=".txt"))

    def save(path: Path) -> None:
        path.write_text("compiled")

    store.write(twin.name, "key", save)
    assert store.read(twin.name, "key", Path.read_text) == "compiled"
    assert store.read(twin.name, "other", Path.read_text) is None
    assert cache.used_bytes() == len("compiled")
    [kept] = (cache.cache_dir() / twin.name).iterdir()
    kept.write_text("damaged")
    assert store.read(twin.name, "key", Path.read_text) is None


def test_a_backend_that_does_not_run_on_the_device_is_refused_by_name(
    twin: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BACKENDS, twin.name, replace(twin, devices=("cuda",)))
    with pytest.raises(ModelError, match="backend: twin runs on cuda, and this model on cpu\nhelp: "):
        open_model(config(backend=twin.name), "cpu")


def test_a_backend_that_is_not_listed_is_refused_with_the_nearest() -> None:
    args: dict[str, Any] = config().model_dump(mode="json")
    with pytest.raises(
        ConfigError, match="there is no such backend; got 'twin'\nhelp: known here: aoti, auto, compile, eager, "
    ):
        parse_model({**args, "backend": "twin"})


@pytest.mark.parametrize("name", BACKENDS)
def test_each_listed_backend_has_a_module_that_builds_it(name: str) -> None:
    import importlib

    assert callable(importlib.import_module(BACKENDS[name].builder).build)


def test_the_list_holds_the_default_and_eager_and_what_is_slow_is_left_out_by_quick() -> None:
    assert {TORCHSCRIPT, EAGER} < set(BACKENDS)
    slow = {each.name for each in tried_on("cpu") if each.slow}
    assert slow == {"aoti", "compile"}
    assert not slow & {each.backend for each in candidates(digits(), "cpu", 2, True, quick=True)}


def test_a_reason_that_two_ways_share_is_told_once() -> None:
    listed = [Refused(way, "list_of_rows") for way in ("torchscript", "aoti")]
    assert sentences(listed) == listed[0].sentence
    other = Refused("aoti", "no_compiler")
    assert sentences([*listed, other]) == f"{listed[0].sentence}; {other.sentence}"

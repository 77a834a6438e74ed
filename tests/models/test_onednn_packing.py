"""Packing is a matter of speed alone: these hold when it is used, and that it changes no answer."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from configs.schema import ModelConfig
from models import zoo
from models.signature import Shape
from models.startup import onednn_packing, warmup
from models.startup.onednn_packing import PackedForward, _first_win
from models.startup.open_model import OpenedModel, open_model
from models.zoo.digits import Digits

WEIGHTS = Path(zoo.__file__).with_name("digits.safetensors")
ROWS = np.random.default_rng(0).integers(0, 17, (5, 1, 8, 8), dtype=np.uint8)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path))


def opened(**keys: Any) -> OpenedModel:
    base: dict[str, Any] = {
        "name": "digits",
        "source": {"factory": "models.zoo.digits:Digits", "weights": str(WEIGHTS)},
        "inputs": [{"name": "image", "datatype": "UINT8", "shape": [-1, 1, 8, 8]}],
        "outputs": [
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, 10]},
            {"name": "label", "datatype": "INT64", "shape": [-1]},
        ],
        "max_batch_size": 8,
        "backend": "torchscript",
    }
    return open_model(ModelConfig.model_validate({**base, **keys}), "cpu")


@pytest.mark.parametrize(
    "packed_ms, expected",
    [
        ({1: 0.5, 2: 1.0, 4: 2.0}, 1),
        ({1: 1.5, 2: 1.0, 4: 2.0}, 2),
        ({1: 1.5, 2: 3.0, 4: 2.0}, 4),
        ({1: 0.5, 2: 2.0, 4: 9.0}, None),
        ({1: 0.99, 2: 1.98, 4: 3.96}, None),
    ],
)
def test_the_packed_forward_begins_where_it_wins_from_there_on(
    packed_ms: dict[int, float], expected: int | None
) -> None:
    plain: dict[Shape, float] = {(rows, ()): float(rows) for rows in (1, 2, 4)}
    assert _first_win(plain, {(rows, ()): ms for rows, ms in packed_ms.items()}) == expected


def test_packed_and_plain_give_the_same_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onednn_packing, "_first_win", lambda *_: 4)
    served = opened()
    assert isinstance(served.runner.forward, PackedForward)
    eager = Digits().eval()
    eager.load_state_dict(load_file(WEIGHTS))
    for rows in (ROWS, ROWS[:2]):
        with torch.inference_mode():
            expected = eager(torch.from_numpy(rows))[0]
        found = served.runner.run([{"image": rows}])["probabilities"]
        np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-6)


def test_where_packing_never_wins_the_plain_forward_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onednn_packing, "_first_win", lambda *_: None)
    assert isinstance(opened().runner.forward, torch.jit.ScriptModule)


@pytest.mark.parametrize(
    "first, kind", [(1, torch.jit.ScriptModule), (None, torch.jit.ScriptModule), (2, PackedForward)]
)
def test_where_large_batches_are_slow_the_smallest_decides_and_all_are_warmed(
    first: int | None, kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def notes(plain_ms: dict[Shape, float], packed_ms: dict[Shape, float]) -> int | None:
        seen.append((set(plain_ms), set(packed_ms)))
        return first

    monkeypatch.setattr(warmup, "SLOW_MS", 0)
    monkeypatch.setattr(onednn_packing, "_first_win", notes)
    served = opened()
    assert seen == [({(1, ())}, {(1, ())})]
    assert isinstance(served.runner.forward, kind)
    assert served.forward_ms.keys() == served.runner.warmed == {(rows, ()) for rows in (1, 2, 4, 8)}


@pytest.mark.parametrize("keys", [{"backend": "eager"}, {"precision": "bf16"}])
def test_other_backends_and_precisions_are_left_alone(keys: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> int:
        raise AssertionError("nothing was to be timed")

    monkeypatch.setattr(onednn_packing, "_first_win", never)
    opened(**keys)

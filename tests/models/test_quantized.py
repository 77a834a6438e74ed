"""int8 weights by torchao: what becomes int8, what stays, and what is said where it cannot be."""

import logging
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models.compile.quantized import no_candidate, quantize
from models.errors import ModelError
from models.startup.open_model import open_model
from tests.models.test_open_model import NETWORKS, config

PRECISIONS = ("int8_dynamic", "int8_weights")


class Tied(nn.Module):
    """A linear layer that has the weight of an embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.head = nn.Embedding(16, 32), nn.Linear(32, 16, bias=False)
        self.head.weight = self.words.weight

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.words(ids))  # type: ignore[no-any-return]


def frozen(module: nn.Module) -> nn.Module:
    return module.eval().requires_grad_(False)


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return frozen(nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10)))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_linear_weights_become_int8_and_the_network_stays(network: nn.Sequential, precision: str) -> None:
    rows, before = torch.randn(8, 64), {name: value.clone() for name, value in network.state_dict().items()}
    made = quantize(network, precision)
    assert isinstance(made, nn.Sequential)
    assert type(made[0].weight) is not nn.Parameter
    assert made[0].bias is network[0].bias
    assert not any(each.requires_grad for each in made.parameters())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    with torch.inference_mode():
        off = (made(rows) - network(rows)).abs().max() / network(rows).abs().max()
    assert 0 < off < 0.05


def test_the_embedding_of_a_tied_weight_stays() -> None:
    network = frozen(Tied())
    made = quantize(network, "int8_weights")
    assert made.words.weight is network.words.weight  # type: ignore[union-attr]
    assert made.head.weight is not network.head.weight  # type: ignore[union-attr]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_an_attention_answers_as_before_but_for_its_roundings(precision: str) -> None:
    torch.manual_seed(0)
    layer = frozen(nn.TransformerEncoderLayer(64, 4, 128, batch_first=True))
    rows = torch.randn(2, 5, 64)
    with torch.inference_mode():
        torch.testing.assert_close(quantize(layer, precision)(rows), layer(rows), rtol=0, atol=0.1)


def test_a_network_without_linear_layers_is_no_candidate(network: nn.Module) -> None:
    assert no_candidate(network) == ""
    assert no_candidate(nn.Conv2d(3, 8, 3)) == "the network has no nn.Linear, the only layer whose weights become int8"
    with pytest.raises(ModelError, match=r"precision: int8_dynamic: the network has no nn\.Linear.*\nhelp: use bf16"):
        quantize(nn.ReLU(), "int8_dynamic")


def test_without_torchao_a_sentence_says_how_to_install_it(network: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in sys.modules if each.partition(".")[0] == "torchao"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr("models.compile.quantized.find_spec", lambda _: None)
    monkeypatch.setattr(sys, "meta_path", [_Absent(), *sys.meta_path])
    assert no_candidate(network) == "torchao is not installed, which replaces the weights by int8"
    with pytest.raises(ModelError, match=r"torchao is not installed.*\nhelp: pip install 'torchao>=0\.10'"):
        quantize(network, "int8_weights")


class _Absent:
    """Finds nothing of torchao."""

    def find_spec(self, name: str, *_: Any) -> None:
        if name.partition(".")[0] == "torchao":
            raise ModuleNotFoundError(f"No module named {name!r}", name="torchao")


def test_nothing_is_said_of_kernels_for_other_machines(
    network: nn.Module, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        quantize(network, "int8_dynamic")
    assert (caplog.text, capfd.readouterr().err) == ("", "")
    assert logging.root.manager.disable == logging.NOTSET


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("backend", ["eager", "torchscript"])
def test_a_quantised_model_is_served_eagerly_and_its_reference_is_not_quantised(
    precision: str, backend: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path))
    served = open_model(config(f"{NETWORKS}:Linear", precision=precision, backend=backend), "cpu")
    assert (served.precision, served.how) == (precision, "eager")
    assert ("int8 weights" in served.checks.compilation.sentence) == (backend == "torchscript")
    assert served.checks.compilation.deviation > 0


def test_auto_without_accept_stays_at_fp32_and_says_so(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path))
    with caplog.at_level(logging.INFO, "pitstop"):
        served = open_model(config(precision="auto", backend="eager"), "cpu")
    assert served.precision == "fp32"
    assert [each.message for each in caplog.records if "precision: auto" in each.message] == [
        "m: precision: auto stays at fp32: the config has no accept, which says what is near enough"
    ]

"""Inputs reach the parameters of their names; where there are none, they go by order, and the start says so."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from models.errors import ModelError
from models.signature import Tensor
from models.startup.input_binding import BY_NAME, BY_ORDER, bound_to
from models.startup.open_model import OpenedModel, open_model
from tests.models import strict_networks
from tests.models.test_open_model import config

NETWORKS = "tests.models.strict_networks"
NAMES = ("quantity", "discount", "price")


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path))


def tensors(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "datatype": "FP32", "shape": [-1]} for name in names]


def opened(network: str, names: tuple[str, ...] = NAMES, **keys: Any) -> OpenedModel:
    given = {"inputs": tensors(*names), "outputs": tensors("total"), "max_batch_size": 2, **keys}
    return open_model(config(f"{NETWORKS}:{network}", **given), "cpu")


def total(served: OpenedModel) -> list[float]:
    rows = {"price": 1, "quantity": 2, "discount": 3}
    found: list[float] = served.runner.run([{name: np.array([value], np.float32) for name, value in rows.items()}])[
        "total"
    ].tolist()
    return found


@pytest.mark.parametrize("network", ["Bill", "KeywordBill", "OpenBill"])
@pytest.mark.parametrize(
    "keys", [{"backend": "eager"}, {"torchscript": "script"}, {"torchscript": "trace"}, {"torchscript": "auto"}]
)
def test_inputs_are_passed_by_name_in_whatever_order_they_are_listed(network: str, keys: dict[str, Any]) -> None:
    served = opened(network, **keys)
    assert total(served) == [123]
    assert served.inputs_passed.startswith(BY_NAME)


@pytest.mark.parametrize("freeze", [False, True])
@pytest.mark.parametrize("network", ["Bill", "OptionalBill"])
def test_a_torchscript_file_is_called_by_name(tmp_path: Path, freeze: bool, network: str) -> None:
    scripted = torch.jit.script(getattr(strict_networks, network)().eval())
    (torch.jit.freeze(scripted) if freeze else scripted).save(str(tmp_path / "m.pt"))
    served = opened("", source={"torchscript": str(tmp_path / "m.pt")})
    assert total(served) == [123]
    assert served.how == "script"


@pytest.mark.parametrize("by_keyword", [False, True])
def test_an_export_is_called_by_name_as_it_was_exported(tmp_path: Path, by_keyword: bool) -> None:
    example = {"price": torch.ones(2), "quantity": torch.ones(2), "discount": torch.ones(2)}
    rows = torch.export.Dim("rows", min=1, max=8)
    args, kwargs = ((), example) if by_keyword else (tuple(example.values()), None)
    program = torch.export.export(
        strict_networks.Bill(), args, kwargs, dynamic_shapes={name: {0: rows} for name in example}
    )
    torch.export.save(program, tmp_path / "m.pt2")
    assert total(opened("", source={"exported_program": str(tmp_path / "m.pt2")}, backend="eager")) == [123]


def test_what_a_preprocess_returns_is_passed_by_name() -> None:
    wire = [{"name": "all", "datatype": "FP32", "shape": [-1, 3]}]
    served = opened("Bill", inputs=wire, preprocess=f"{NETWORKS}:reversed_bill")
    assert [tensor.name for tensor in served.runner.model_inputs] == ["price", "quantity", "discount"]
    assert total(served) == [123]


def test_names_that_forward_does_not_have_go_by_order_and_the_metadata_says_so() -> None:
    served = opened("Bill", names=("a", "b", "c"))
    rows = {name: np.array([value], np.float32) for name, value in zip("abc", (1, 2, 3), strict=True)}
    assert served.runner.run([rows])["total"].tolist() == [123]
    assert served.summary()["inputs_passed"] == BY_ORDER


@pytest.mark.parametrize(
    "names, said",
    [
        (("price", "amount", "discount"), r"\['price', 'amount', 'discount'\], forward takes \['price', 'quantity'"),
        (("price", "discount"), "forward needs quantity"),
        (("a", "b"), "forward needs discount"),
        (("a", "b", "c", "d"), r"forward takes \['price', 'quantity', 'discount'\]"),
    ],
)
def test_names_that_do_not_fit_are_refused_with_both_lists(names: tuple[str, ...], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        opened("Bill", names=names)


def test_where_names_and_order_agree_the_network_itself_is_called() -> None:
    module = strict_networks.Bill()
    bound = bound_to(module, [Tensor(name, "FP32", (-1,)) for name in NAMES], "the config names")
    assert bound.module is module
    assert [tensor.name for tensor in bound.model_inputs] == ["price", "quantity", "discount"]


def test_of_a_forward_that_names_nothing_several_inputs_are_given_by_name() -> None:
    class Wrapped(nn.Module):
        def forward(self, *args: Any, **kwargs: Any) -> Any:
            return strict_networks.Bill()(*args, **kwargs)

    model_inputs = [Tensor(name, "FP32", (-1,)) for name in NAMES]
    bound = bound_to(Wrapped(), model_inputs, "the config names")
    values = {"price": 1.0, "quantity": 2.0, "discount": 3.0}
    assert float(bound.module(*[torch.tensor(values[tensor.name]) for tensor in bound.model_inputs])) == 123
    assert bound_to(Wrapped(), model_inputs[:1], "the config names").how == BY_ORDER

"""A start warns of ids that may be greater than the last row of the embedding that they go straight into."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from configs.schema import ModelConfig
from models.startup import stages

ROWS = 50
IDS: dict[str, Any] = {"name": "ids", "datatype": "INT64", "shape": [-1, 4]}
STAGES = [stages.check_eagerly, stages.run_eagerly]
Forward = Callable[[nn.Module, Tensor], Tensor]


class Net(nn.Module):
    def __init__(self, layer: nn.Module, forward: Forward) -> None:
        super().__init__()
        self.layer, self.way = layer, forward

    def forward(self, ids: Tensor) -> Tensor:
        return self.way(self.layer, ids).flatten(1)


@pytest.fixture(autouse=True)
def _heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("pitstop"), "propagate", True)


def warned(
    caplog: pytest.LogCaptureFixture,
    forward: Forward,
    layer: nn.Module | None = None,
    stage: Any = STAGES[0],
    **keys: Any,
) -> list[str]:
    """Return what a start warns of; `keys` are the input's."""
    module = Net(layer or nn.Embedding(ROWS, 3), forward).eval()
    sizes = module(torch.zeros(1, 4, dtype=torch.int64)).shape[1]
    given = {
        "name": "m",
        "source": {"factory": "a.b:C"},
        "max_batch_size": 2,
        "inputs": [{**IDS, **keys}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, sizes]}],
    }
    config = ModelConfig.model_validate(given)
    stage(stages.bind_source(config, module), config, torch.device("cpu"))
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]


STRAIGHT: list[tuple[nn.Module, Forward]] = [
    (nn.Embedding(ROWS, 3), lambda layer, ids: layer(ids)),
    (nn.Embedding(ROWS, 3), lambda layer, ids: layer(input=ids)),
    (nn.Embedding(ROWS, 3), lambda layer, ids: layer(ids.long().contiguous())),
    (nn.Embedding(ROWS, 3), lambda layer, ids: layer(ids.view(-1, 4))),
    (nn.EmbeddingBag(ROWS, 3), lambda layer, ids: layer(ids)),
]
CHANGED: list[Forward] = [
    lambda layer, ids: layer(ids % ROWS),
    lambda layer, ids: layer(ids.clamp(max=ROWS - 1)),
    lambda layer, ids: layer(ids.clamp_(max=ROWS - 1)),
    lambda layer, ids: layer(torch.where(ids < ROWS, ids, 0)),
    lambda layer, ids: layer(ids[:, 1:]),
    lambda layer, ids: layer(ids.reshape(-1)).view(len(ids), -1),
    lambda layer, ids: layer(torch.arange(ids.shape[1])).expand(len(ids), -1, -1),
]
TOLD = (
    "m: input 'ids' goes into an embedding of 50 rows and has {}: an id of 50 or more is a 500 on a CPU, and on a GPU "
    "it can end the replica\nhelp: write high: 49 into its line of inputs; such a request is then refused with a 400"
)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("layer, forward", STRAIGHT)
def test_ids_that_reach_an_embedding_as_they_came_are_warned_of_with_the_line_to_write(
    layer: nn.Module, forward: Forward, stage: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert warned(caplog, forward, layer, stage) == [TOLD.format("no high")]
    assert not any(each._forward_pre_hooks for each in layer.modules())


@pytest.mark.parametrize("forward", CHANGED)
def test_of_ids_that_are_changed_before_the_embedding_nothing_is_said(
    forward: Forward, caplog: pytest.LogCaptureFixture
) -> None:
    assert warned(caplog, forward) == []


@pytest.mark.parametrize("high, said", [(49, []), (10, []), (50, [TOLD.format("high: 50")])])
def test_a_bound_is_enough_if_the_embedding_has_a_row_for_it(
    high: int, said: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    # None of the few numbers that the seeds draw is 50.
    assert warned(caplog, lambda layer, ids: layer(ids), high=high) == said


def test_of_a_network_whose_layers_cannot_be_seen_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    table = torch.randn(ROWS, 3)
    assert warned(caplog, lambda _, ids: nn.functional.embedding(ids, table)) == []

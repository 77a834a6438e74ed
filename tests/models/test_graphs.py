"""Which forward a batch takes, without a GPU: graphs are replaced by what writes down that it was replayed."""

from dataclasses import dataclass, field
from typing import Any

import torch

from models.graphs import Captured, Graphed


@dataclass
class Replayed:
    """Stands for a graph: on replay it doubles the input into the output, as the captured forward did."""

    inputs: list[torch.Tensor]
    output: torch.Tensor
    times: int = 0

    def replay(self) -> None:
        self.times += 1
        self.output.copy_(2 * self.inputs[0])


@dataclass
class Plain:
    seen: list[torch.Size] = field(default_factory=list)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(x.shape)
        return 2 * x


def graphed(rows: int) -> tuple[Graphed, Replayed, Plain]:
    own, output, plain = torch.zeros(rows, 3), torch.zeros(rows, 3), Plain()
    graph: Any = Replayed([own], output)
    return Graphed(plain, {(own.shape,): Captured(graph, [own], output)}), graph, plain


def test_a_captured_shape_is_replayed_on_the_inputs_given() -> None:
    forward, graph, plain = graphed(rows=2)
    for value in (1.0, 5.0):
        assert forward(torch.full((2, 3), value)).tolist() == torch.full((2, 3), 2 * value).tolist()
    assert graph.times == 2
    assert plain.seen == []


def test_any_other_shape_runs_plainly() -> None:
    forward, graph, plain = graphed(rows=2)
    assert forward(torch.ones(4, 3)).tolist() == torch.full((4, 3), 2.0).tolist()
    assert graph.times == 0
    assert plain.seen == [torch.Size([4, 3])]

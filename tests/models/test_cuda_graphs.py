"""Which shapes get a graph, and which forward a batch takes. Without a GPU: stand-ins for graphs say what they did."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from models.signature import Shape
from models.startup import cuda_graphs
from models.startup.cuda_graphs import Captured, Graphed, graph
from models.startup.warmup import Warmed

PLAIN_MS: Mapping[Shape, float] = {(4, ()): 4.0, (2, ()): 3.0, (1, ()): 3.0}


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


@dataclass
class Start:
    """A start on a GPU that is not there: what capturing gives, and how long a forward with a graph takes, by shape."""

    graphed_ms: Mapping[Shape, float]
    fails_at: Shape | None = None
    tried: list[Shape] = field(default_factory=list)

    def attempt(self, plain: Any, inputs: list[torch.Tensor], pool: Any, shape: Shape) -> Captured | None:  # noqa: ARG002
        self.tried.append(shape)
        unused: Any = None
        return None if shape == self.fails_at else Captured(unused, inputs, None)

    def warm(self, runner: Any, samples: Any, shapes: list[Shape]) -> dict[Shape, float]:  # noqa: ARG002
        assert isinstance(runner.forward, Graphed)
        return {shape: self.graphed_ms[shape] for shape in shapes}


@dataclass
class Runner:
    """Has a forward and the shapes to be served."""

    forward: Any
    layout: Any = field(default_factory=lambda: SimpleNamespace(shapes=list(PLAIN_MS)))

    def with_forward(self, forward: Any) -> "Runner":
        return Runner(forward, self.layout)


def started(monkeypatch: pytest.MonkeyPatch, start: Start) -> tuple[Any, dict[Shape, float]]:
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: None)
    monkeypatch.setattr(cuda_graphs, "_attempt", start.attempt)
    monkeypatch.setattr(cuda_graphs, "warm", start.warm)
    monkeypatch.setattr(cuda_graphs, "_inputs", lambda _, __, shape: [torch.zeros(shape[0], 3)])
    runner: Any = Runner(Plain())
    nothing: Any = None
    found = graph(Warmed(runner, dict(PLAIN_MS)), nothing)
    return found.runner, found.forward_ms


def kept(runner: Any) -> list[int]:
    return [key[0][0] for key in runner.forward.graphs] if isinstance(runner.forward, Graphed) else []


def test_every_shape_that_a_graph_makes_faster_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    start = Start({(1, ()): 0.7, (2, ()): 0.8, (4, ()): 1.0})
    runner, found = started(monkeypatch, start)
    assert kept(runner) == [1, 2, 4]
    assert found == start.graphed_ms


def test_from_the_first_shape_that_is_no_faster_on_none_is_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    start = Start({(1, ()): 0.7, (2, ()): 2.9, (4, ()): 1.0})
    runner, found = started(monkeypatch, start)
    assert kept(runner) == [1]
    assert start.tried == [(1, ()), (2, ())]
    assert found == {(1, ()): 0.7, (2, ()): 3.0, (4, ()): 4.0}


def test_where_a_capture_fails_smaller_shapes_keep_their_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    runner, found = started(monkeypatch, Start({(1, ()): 0.7}, fails_at=(2, ())))
    assert kept(runner) == [1]
    assert found == {(1, ()): 0.7, (2, ()): 3.0, (4, ()): 4.0}


def test_where_no_graph_wins_the_plain_forward_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    for start in (Start({(1, ()): 3.0}), Start({}, fails_at=(1, ()))):
        runner, found = started(monkeypatch, start)
        assert isinstance(runner.forward, Plain)
        assert found == PLAIN_MS

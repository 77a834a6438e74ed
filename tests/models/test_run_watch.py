"""What neither the tracer nor an export tells of is found while the network runs eagerly."""

import runpy
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from models.compile.run_watch import RunWatch, watched
from tests.models.test_exporting import given, traced
from tests.models.untold_networks import HEALTHY, UNTOLD, Guard, Told


@pytest.mark.parametrize("name", UNTOLD)
def test_a_decision_that_torch_does_not_warn_of_is_never_traced(name: str) -> None:
    how, why = traced(given(Guard(UNTOLD[name])))
    assert how != "trace"
    # The trace answers as eager does on all rows that are compared.
    assert "differs from eager" not in why


def test_what_decides_by_nothing_in_the_data_is_traced() -> None:
    assert traced(given(Guard(lambda x: x.size(1) > 6))) == ("trace", "")


@pytest.mark.parametrize("way", HEALTHY)
def test_what_looks_alike_and_is_healthy_is_traced(way: str) -> None:
    assert traced(given(Told(way))) == ("trace", "")


@pytest.mark.parametrize("name, code", [("except", "catches"), ("suppress", "catches"), ("thread", "threads")])
def test_what_no_recording_shows_is_named_by_its_line(name: str, code: str) -> None:
    found = watched(Guard(UNTOLD[name]), [[torch.zeros(2, 4)]]).refused("aoti")
    assert found is not None
    assert (found.code, found.file) == (code, "tests/models/untold_networks.py")
    assert found.text


def test_a_thread_that_another_thread_starts_meanwhile_is_not_the_network_s() -> None:
    runs, started = threading.Event(), threading.Event()

    def elsewhere() -> None:
        assert runs.wait(60)
        threading.Thread(target=started.set).start()

    class Waits(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            runs.set()
            assert started.wait(60)
            return x + 1

    threading.Thread(target=elsewhere).start()
    assert watched(Waits(), [[torch.ones(1)]]).refused("trace") is None


def test_watching_ends_with_the_call_and_after_some_calls() -> None:
    watch, guard = RunWatch(), Guard(UNTOLD["equal"])
    for _ in range(10):
        watch.call(nn.Identity(), torch.zeros(1, 4))
    guard(torch.zeros(1, 4))
    watch.call(guard, torch.zeros(1, 4))
    assert watch.read is None
    assert threading.Thread.start.__module__ == "threading"


class Encoder(nn.Module):
    """Without gradients torch's own encoder takes another way where a mask is aligned to the left."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = x.unsqueeze(-1).expand(-1, -1, 8)
        found: torch.Tensor = self.encoder(hidden, src_key_padding_mask=x < -9)
        return found.mean(1)[:, :2]


def test_a_way_that_torch_itself_takes_by_the_data_is_found_for_a_trace_and_left_to_an_export() -> None:
    seen = watched(Encoder().eval(), [[torch.zeros(2, 4)]])
    found = seen.refused("trace")
    assert found is not None
    assert found.code == "data_branch"
    assert seen.refused("aoti") is None


def test_what_cannot_be_watched_is_answered_and_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise NotImplementedError("no rule for this mode")

    monkeypatch.setattr(RunWatch, "made", fails)
    watch = RunWatch()
    assert torch.equal(watch.call(nn.ReLU(), torch.ones(2)), torch.ones(2))
    found = watch.refused("aoti")
    assert found is not None
    assert "no rule for this mode" in found.sentence


def test_an_error_of_the_network_s_own_is_raised() -> None:
    with pytest.raises(RuntimeError, match="shape"):
        RunWatch().call(nn.Linear(4, 2), torch.ones(2, 5))


CODE = """
try:
    def later(x):
        return x + 1
except Exception:
    later = None


def now(x):
    try:
        return later(x)
    except {kind}:
        {ends}
"""


@pytest.mark.parametrize(
    "kind, ends, caught",
    [
        ("RuntimeError", "return x", True),
        ("RuntimeError as error", "raise ValueError() from error", False),
        ("RuntimeError as error", "if error.args: return x\n        raise", True),
        ("(TypeError, KeyError)", "return x", False),
        ("(TypeError, ValueError)", "return x", True),
    ],
)
def test_only_what_would_catch_an_error_of_the_data_and_go_on_counts(
    kind: str, ends: str, caught: bool, tmp_path: Path
) -> None:
    (tmp_path / "net.py").write_text(CODE.format(kind=kind, ends=ends))
    module = runpy.run_path(str(tmp_path / "net.py"))

    class Calls(nn.Module):
        function: Callable[[torch.Tensor], torch.Tensor]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.function(x)

    network = Calls()
    for function, expected in ((module["later"], False), (module["now"], caught)):
        network.function = function
        assert (watched(network, [[torch.ones(1)]]).refused("aoti") is not None) == expected


class Conditional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made = self.layer(x)
        found: torch.Tensor = torch.cond(x.sum() > 0, lambda y: y + 1, lambda y: y - 1, (made,))
        return found


def test_a_network_with_torch_s_own_branch_is_watched_and_works_after_it() -> None:
    network, x = Conditional().eval(), torch.ones(2, 4)
    with torch.no_grad():
        before = network(x)
        assert watched(network, [[x]]).refused("aoti") is None
        assert torch.equal(network(x), before)

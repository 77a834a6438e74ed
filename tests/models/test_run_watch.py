"""What neither the tracer nor an export tells of is found while the network runs eagerly."""

import threading

import pytest
import torch
from torch import nn

from models.compile.run_watch import RunWatch, watched
from tests.models.test_exporting import given, traced
from tests.models.untold_networks import HEALTHY, UNTOLD, Guard, Told


@pytest.mark.parametrize("name", UNTOLD)
def test_a_decision_that_torch_does_not_warn_of_is_never_traced(name: str) -> None:
    how, why = traced(given(Guard(UNTOLD[name])))
    assert how == "eager"
    assert why


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

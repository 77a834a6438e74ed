"""What of the GPU's benchmark can be told without one."""

import numpy as np
import pytest

from benchmarks import cache, networks
from benchmarks.device import PRECISIONS, Device, chosen
from benchmarks.gpu import _instance_of
from benchmarks.peers import PEERS
from benchmarks.run import parse
from models.parity import TOLERANCES


@pytest.mark.parametrize("rows, top, expected", [(1, 64, 1), (3, 64, 4), (33, 64, 64), (5, 6, 6), (64, 64, 64)])
def test_batches_are_padded_to_few_sizes_with_rows_like_the_last(rows: int, top: int, expected: int) -> None:
    given = list(np.arange(rows))
    found = networks.padded(given, top)
    assert len(found) == expected
    assert list(found[:rows]) == given
    assert set(found[rows:]) <= {given[-1]}


def test_nothing_named_is_the_cpu_and_its_files_keep_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BENCH_DEVICE", raising=False)
    assert not chosen().is_gpu
    assert cache.prepared("resnet50").name == "resnet50.pt"
    for name, value in Device("cuda", "fp16").environment.items():
        monkeypatch.setenv(name, value)
    assert cache.prepared("resnet50").name == "resnet50-cuda-fp16.pt"


@pytest.mark.parametrize("precision", PRECISIONS)
def test_answers_may_be_as_far_off_as_a_start_allows(precision: str) -> None:
    assert Device("cuda", precision).tolerance == TOLERANCES[precision].relative


def test_on_a_gpu_all_may_fill_the_same_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in Device("cuda", "fp16").environment.items():
        monkeypatch.setenv(name, value)
    assert {peer.batch("resnet50").max_batch_size for peer in PEERS.values()} == {64}


def test_a_precision_without_a_gpu_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--precision", "fp16"])
    assert "--device cuda" in capsys.readouterr().err


def test_a_partial_run_never_touches_what_is_kept() -> None:
    assert cache.PROJECT not in parse([]).partly.parents


def test_a_gpu_is_priced_as_a_machine_that_has_one_like_it() -> None:
    assert _instance_of("NVIDIA H100 80GB HBM3") == "p5.4xlarge"
    assert _instance_of("NVIDIA L4") == "g6.xlarge"
    assert _instance_of("Some Other") is None
    assert _instance_of(None) is None

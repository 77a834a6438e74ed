"""The cache of compiled artefacts when the disk is full, half written, damaged or not ours to write."""

import importlib
import logging
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from configs.schema import SourceConfig
from models.compile import store, torchscript
from models.compile.build import Compiled
from models.compile.identity import identity
from models.compile.refused import Refused
from models.compile.torchscript import keep, load
from tests.models.networks import Linear, Scaled

CPU = torch.device("cpu")
SOURCE = SourceConfig(factory="tests.models.networks:Linear")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path))
    monkeypatch.setattr(logging.getLogger("pitstop"), "propagate", True)
    return tmp_path


def kept(key: str | None, device: torch.device) -> Compiled | None:
    return store.read("torchscript", key, partial(load, device=device))


def known(module: nn.Module, source: SourceConfig = SOURCE) -> str | None:
    """Return the identity, which is what a key has of the network."""
    return identity(module, source)


def scripted() -> Compiled:
    return Compiled(torch.jit.script(Linear().eval()), "script")


def files(cache: Path) -> list[Path]:
    return sorted(path for path in cache.rglob("*") if path.is_file())


@contextmanager
def a_disk_that_is_full_after(size: int) -> Iterator[None]:
    """Let a file take `size` bytes and no more, also one that torch writes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_was_written_is_read_again(cache: Path) -> None:
    refused = (Refused("trace", "deviates", deviation=0.5),)
    keep("key", replace(scripted(), refused=refused))
    found = kept("key", CPU)
    assert found is not None
    assert (found.how, found.refused, found.made) == ("script", refused, "before")
    x = torch.ones(1, 4)
    assert torch.equal(found.forward(x), Linear().eval()(x))
    [path] = files(cache)
    assert path.name.startswith("key-")


def test_a_full_disk_leaves_nothing_behind_and_costs_one_warning_with_advice(
    cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with a_disk_that_is_full_after(1000):
        keep("key", scripted())
    assert files(cache) == []
    assert kept("key", CPU) is None
    [record] = caplog.records
    assert "so it will be made again" in record.getMessage()
    assert "set PITSTOP_CACHE to another folder" in record.getMessage()


def test_a_module_that_torch_cannot_save_is_not_blamed_on_the_disk(
    cache: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise RuntimeError("strides() called on an undefined Tensor\nException raised from")

    monkeypatch.setattr(torchscript, "save", refuse)
    keep("key", scripted())
    assert files(cache) == []
    [record] = caplog.records
    assert record.getMessage().endswith("each start compiles it; the model works as any other")
    assert "free space" not in record.getMessage()


class Joined(Linear):
    """Has a tensor without a number in it, as an empty cache of keys is."""

    past: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("past", torch.zeros(0, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.past, self.layer(x)])


@pytest.mark.parametrize("frozen", [False, True])
def test_a_network_with_an_empty_tensor_is_kept_and_does_not_end_the_process(frozen: bool) -> None:
    module: Any = torch.jit.script(Joined().eval())
    keep("key", Compiled(torch.jit.freeze(module) if frozen else module, "script"))
    found = kept("key", CPU)
    assert found is not None
    x = torch.ones(1, 4)
    assert torch.equal(found.forward(x), Joined().eval()(x))


@pytest.mark.parametrize("error", [TypeError, AttributeError, EOFError, RuntimeError, KeyError])
def test_an_artefact_whose_loading_raises_anything_is_made_again(error: type[Exception], cache: Path) -> None:
    def load(path: Path) -> None:
        raise error(path)

    keep("key", scripted())
    assert store.read("torchscript", "key", load) is None
    assert files(cache) == []


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_an_artefact_that_is_not_what_was_written_is_never_run(
    damage: str, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keep("key", scripted())
    [path] = files(cache)
    data = path.read_bytes()
    middle = len(data) // 2
    bad = {"cut": data[:-1], "flipped": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :], "empty": b""}
    path.write_bytes(bad[damage])
    assert kept("key", CPU) is None
    assert "is damaged and will be made again" in caplog.text
    keep("key", scripted())
    assert kept("key", CPU) is not None


def test_a_cache_that_may_not_be_read_is_done_without(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    # A folder in the file's place fails for root as well, whom no permission stops.
    (cache / "torchscript" / "key-00.pt").mkdir(parents=True)
    assert kept("key", CPU) is None
    assert "cannot be read and will be made again" in caplog.text
    keep("key", scripted())


@pytest.mark.parametrize("scale, other", [(1.0, 2.0), (True, False), ([1, 2], [1, 3]), ({"a": (1,)}, {"a": (2,)})])
def test_the_key_changes_with_a_setting_in_a_plain_attribute(scale: Any, other: Any) -> None:
    key = known(Scaled(scale))
    assert known(Scaled(scale)) == key
    assert known(Scaled(other)) != key


def test_the_key_changes_with_what_the_factory_was_given() -> None:
    others: tuple[dict[str, Any], ...] = ({}, {"kwargs": {"scale": 2}}, {"factory": "tests.models.networks:Scaled"})
    keys = {known(Linear(), SOURCE.model_copy(update=each)) for each in others}
    assert len(keys - {None}) == 3


def test_the_key_changes_with_the_code_and_the_constants_that_the_network_s_file_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The name of the folder must not make it look like torch's own code.
    folder = tmp_path / "torch" / "nn"
    folder.mkdir(parents=True)
    monkeypatch.syspath_prepend(str(folder))
    (folder / "helped.py").write_text(
        "from torch import nn\nfrom helping import AT_MOST, double\n\nclass Net(nn.Module):\n"
        "    def forward(self, x):\n        return double(x).clamp(max=AT_MOST)\n"
    )

    def key_with(body: str) -> str | None:
        (folder / "helping.py").write_text(body)
        for name in ("helped", "helping"):
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        found = known(importlib.import_module("helped").Net())
        for name in ("helped", "helping"):
            del sys.modules[name]
        return found

    helper = "AT_MOST = 1\n\ndef double(x):\n    return 2 * x\n"
    assert key_with(helper) == key_with(helper)
    assert len({key_with(each) for each in (helper, helper.replace("2 *", "22 *"), helper.replace("1\n", "11\n"))}) == 3


def test_the_key_changes_with_the_weights() -> None:
    module = Linear()
    before = known(module)
    with torch.no_grad():
        module.layer.weight[0, 0] += 1
    assert known(module) != before


class Wrapped(torch.Tensor):
    """Keeps its data elsewhere, as quantized weights of torchao do: its bytes cannot be read."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.Tensor.view:
            raise NotImplementedError
        return super().__torch_function__(func, types, args, kwargs)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("kind", ["subclass", "quantized", "sparse"])
def test_weights_without_bytes_are_not_kept_and_do_not_fail_the_start(kind: str, cache: Path) -> None:
    module = Linear()
    weight = module.layer.weight.detach()
    odd: dict[str, Callable[[], torch.Tensor]] = {
        "subclass": lambda: weight.as_subclass(Wrapped),
        "quantized": lambda: torch.quantize_per_tensor(weight, 0.1, 0, torch.qint8),
        "sparse": weight.to_sparse,
    }
    module.register_buffer("odd", odd[kind]())
    key = known(module)
    assert key is None
    assert kept(key, CPU) is None
    keep(key, scripted())
    assert files(cache) == []


class Config:
    """As a transformers model keeps one: its attributes are plain."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.kinds = {"a": [torch.float32, None]}


@dataclass(slots=True)
class Slotted:
    width: int


def clamped(at_most: int) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda x: x.clamp(max=at_most)


@pytest.mark.parametrize(
    "make",
    [
        lambda n: torch.tensor([1.0, n]),
        lambda n: [torch.tensor([1.0, n])],
        lambda n: {"a": (torch.tensor([n]),)},
        lambda n: np.array([1, n]),
        lambda n: {"a": np.float32(n)},
        lambda n: torch.tensor([1.0, 2.0]).to([torch.float32, torch.float64][n - 1]),
        lambda n: {1, 7 + n},
        lambda n: {"x", f"y{n}"},
        Config,
        lambda n: [Config(n)],
        Slotted,
        clamped,
        lambda n: partial(torch.clamp, max=n),
        lambda n: [torch.relu, torch.sigmoid][n - 1],
        lambda n: [nn.functional.relu, nn.functional.gelu][n - 1],
        lambda n: [torch.float32, torch.float16][n - 1],
        lambda n: np.arange(4).reshape(2, 2)[:, :n],
    ],
)
def test_the_key_changes_with_whatever_an_attribute_holds(make: Callable[[int], Any]) -> None:
    first, again, other = (known(Scaled(make(n))) for n in (1, 1, 2))
    assert first is not None
    assert first == again
    assert other not in (None, first)


@pytest.mark.parametrize(
    "value, says",
    [
        (torch.Generator(), "a Generator, which cannot be compared"),
        ([nn.Linear(2, 2)], "a Linear, which cannot be compared"),
        (np.array([object()]), "a ndarray without bytes to compare"),
        (torch.ones(2).to_sparse(), "a Tensor without bytes to compare"),
        (iter([1]), "a list_iterator, which cannot be compared"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_attribute_that_cannot_be_compared_keeps_nothing_and_the_log_names_it(
    value: Any, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    module = nn.Sequential(Scaled([value] if isinstance(value, torch.Tensor) else value))  # type: ignore[arg-type]
    assert known(module) is None
    [record] = caplog.records
    assert record.getMessage() == f"the compiled model is not kept: attribute 0.scale holds {says}"


def test_what_holds_itself_is_not_kept() -> None:
    value: list[Any] = []
    value.append(value)
    assert known(Scaled(value)) is None  # type: ignore[arg-type]


def test_the_weights_of_a_frozen_script_module_in_a_network_are_not_taken_for_known(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    inner = torch.jit.freeze(torch.jit.script(Linear().eval()))
    assert not list(inner.parameters())
    assert known(nn.Sequential(inner)) is None
    assert "module 0 is TorchScript, whose code and constants are not compared" in caplog.text


def test_a_hook_in_forward_changes_the_key() -> None:
    plain, hooked = Linear(), Linear()
    hooked.layer.register_forward_pre_hook(lambda _, inputs: (inputs[0] * 2,))
    assert known(hooked) not in (None, known(plain))


def test_a_table_of_the_network_s_file_and_of_its_class_changes_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = known(Linear())
    monkeypatch.setattr("tests.models.networks.TABLE", torch.ones(2), raising=False)
    tabled = known(Linear())
    monkeypatch.setattr(Linear, "table", torch.ones(2), raising=False)
    assert len({before, tabled, known(Linear())}) == 3


ORDINARY: dict[str, Callable[[], nn.Module]] = {
    "lstm": lambda: nn.LSTM(2, 2),
    "transformer": lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2), 2),
    "attention": lambda: nn.MultiheadAttention(4, 2),
    "weight_norm": lambda: nn.utils.weight_norm(nn.Linear(2, 2)),
    "parametrized": lambda: nn.utils.parametrizations.weight_norm(nn.Linear(2, 2)),
    "graph": lambda: torch.fx.symbolic_trace(Linear()),
    "batch_norm": lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.GELU(), nn.Flatten()),
}


@pytest.mark.parametrize("kind", ORDINARY)
def test_ordinary_modules_are_kept_under_the_same_key_each_time(kind: str) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        first = known(ORDINARY[kind]())
        torch.manual_seed(0)
        assert known(ORDINARY[kind]()) == first
    assert first is not None

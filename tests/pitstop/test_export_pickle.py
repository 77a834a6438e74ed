import os
from pathlib import Path

import pytest
import torch

from configs.schema import SourceConfig
from models.errors import ModelError
from models.sources.source import load
from pitstop.export import subprocess_unpickle
from tests.models.networks import Linear

from .exported import LINEAR, export, manifest_of


class Marks:
    """Writes down which process unpickles it: what any pickle may do."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return exec, (f"import os; open({str(self.path)!r}, 'w').write(str(os.getpid()))",)


@pytest.fixture
def pickle(tmp_path: Path) -> tuple[Path, Path]:
    """A trainer's checkpoint: weights beside an object that runs code when loaded, and where that leaves a mark."""
    mark, path = tmp_path / "mark", tmp_path / "trainer.pt"
    torch.save({"state_dict": Linear().state_dict(), "arguments": Marks(mark)}, path)
    return path, mark


@pytest.mark.parametrize("flags", [[], [*LINEAR]])
def test_a_pickle_is_refused_without_being_run_and_the_flag_is_named(
    pickle: tuple[Path, Path], tmp_path: Path, flags: list[str]
) -> None:
    path, mark = pickle
    status, output = export(path, "-o", tmp_path / "w.safetensors", *flags)
    assert status == 2
    assert "--trust-pickle" in output
    assert not mark.exists()


def test_a_trusted_pickle_runs_in_another_process_and_after_a_warning(
    pickle: tuple[Path, Path], tmp_path: Path
) -> None:
    path, mark = pickle
    status, output = export(path, "-o", tmp_path / "w.safetensors", "--trust-pickle", *LINEAR)
    assert status == 0, output
    assert output.startswith("warning: ")
    assert "runs its author's code" in output
    assert int(mark.read_text()) != os.getpid()
    assert manifest_of(tmp_path / "w.safetensors")["parity"]["worst"] == 0


def test_a_pickled_module_needs_no_factory(tmp_path: Path) -> None:
    torch.save(torch.nn.DataParallel(Linear()), tmp_path / "module.pt")
    dest = tmp_path / "net.pt"
    status, output = export(tmp_path / "module.pt", "-o", dest, "--trust-pickle", *LINEAR[2:])
    assert status == 0, output
    rows = torch.ones(5, 4)
    assert torch.allclose(load(SourceConfig(torchscript=str(dest)))(rows), Linear()(rows))


def test_a_pickled_module_names_its_own_class_as_factory_where_that_takes_the_weights(tmp_path: Path) -> None:
    torch.save(Linear(), tmp_path / "module.pt")
    status, output = export(tmp_path / "module.pt", "-o", tmp_path / "w.safetensors", "--trust-pickle")
    assert status == 0, output
    assert "factory: tests.models.networks:Linear" in output


def test_a_pickle_whose_code_is_gone_says_so(tmp_path: Path) -> None:
    path = tmp_path / "module.pt"
    torch.save(Linear(), path)
    gone = path.read_bytes().replace(b"tests.models.networks", b"tests.models.nowhere_")
    path.write_bytes(gone)
    # What the subprocess does first; here it may as well be done in this process.
    with pytest.raises(ModelError, match="cannot be unpickled") as caught:
        subprocess_unpickle._unpickled(str(path))
    assert "help: " in str(caught.value)

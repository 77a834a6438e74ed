"""AOTInductor on a real GPU: through torch's loader, in one package for every size, and within a CUDA graph."""

from pathlib import Path

import pytest
import torch

from models.compile import aoti
from models.compile.aoti_container import Loaded, load
from tests.models.aoti_networks import Long, exported

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
]
CUDA = torch.device("cuda", 0)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("packages") / "long.pt2"
    program = exported(Long().to(CUDA), (torch.ones(3, 1024, device=CUDA),), "rows")
    assert aoti.compile_package(program, path, freezing=False) is None
    return path


def test_a_package_answers_as_eager_does_for_every_size(package: Path) -> None:
    forward, eager = load(package, CUDA), Long().to(CUDA).eval()
    assert isinstance(forward, Loaded)
    with torch.inference_mode():
        for rows in (1, 2, 3, 64, 640):
            x = torch.rand(rows, 1024, device=CUDA)
            torch.testing.assert_close(forward(x)[0], eager(x), rtol=1e-3, atol=1e-4)


def test_a_package_runs_in_a_cuda_graph(package: Path) -> None:
    forward, x = load(package, CUDA), torch.rand(8, 1024, device=CUDA)
    with torch.inference_mode():
        expected = forward(x)[0].clone()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            found = forward(x)[0]
        graph.replay()
        assert torch.equal(found, expected)
        x.mul_(0.5)
        graph.replay()
        torch.testing.assert_close(found, forward(x)[0])


def test_an_input_that_is_not_aligned_is_copied(package: Path) -> None:
    forward = load(package, CUDA)
    whole = torch.rand(2 * 1024 + 1, device=CUDA)
    shifted = whole[1:].view(2, 1024)
    with torch.inference_mode():
        torch.testing.assert_close(forward(shifted)[0], forward(shifted.clone())[0])

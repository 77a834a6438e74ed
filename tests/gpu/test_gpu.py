"""What holds only on a real GPU. Skipped, and said to be, where there is none."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from configs.loader import load
from configs.schema import ModelConfig
from models.startup.cuda_graphs import Graphed
from models.startup.open_model import OpenedModel, open_model
from tests.models.networks import Branches

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
]
PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path))
    yield
    torch.cuda.empty_cache()


def configured(file: str, name: str, **changes: Any) -> ModelConfig:
    [config] = [app.config for app in load(PROJECT / file).models if app.config.name == name]
    return ModelConfig.model_validate({**config.model_dump(), **changes})


def resnet(**changes: Any) -> OpenedModel:
    return open_model(configured("configs/resnet50.yaml", "resnet50", max_batch_size=8, **changes), "cuda")


def images(rows: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 256, (rows, 3, 224, 224)).astype(np.uint8)


def test_cudnn_searches_because_the_shapes_are_fixed_and_no_other_shape_is_run() -> None:
    served = resnet()
    assert torch.backends.cudnn.enabled
    assert torch.backends.cudnn.benchmark
    for rows in range(1, 9):
        served.runner.run([{"image": images(rows)}])
    assert served.runner.unwarmed == 0


def test_cudnn_does_not_search_where_a_size_is_open() -> None:
    open_model(
        ModelConfig.model_validate(
            {
                "name": "m",
                "source": {"factory": "tests.models.networks:Masked"},
                "inputs": [{"name": each, "datatype": "FP32", "shape": [-1, -1]} for each in ("values", "mask")],
                "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 1]}],
                "lengths": [4, 16],
                "max_batch_size": 4,
            }
        ),
        "cuda",
    )
    assert not torch.backends.cudnn.benchmark


@pytest.mark.parametrize("backend, how", [("torchscript", "script"), ("eager", "eager")])
def test_gpu_and_cpu_answer_alike(backend: str, how: str) -> None:
    gpu = open_model(configured("serve_config.yaml", "digits", backend=backend), "cuda")
    cpu = open_model(configured("serve_config.yaml", "digits-cpu", backend=backend), "cpu")
    assert gpu.how == cpu.how == how
    rows = {"image": np.random.default_rng(1).integers(0, 256, (50, 1, 8, 8)).astype(np.uint8)}
    one, two = gpu.runner.run([rows]), cpu.runner.run([rows])
    np.testing.assert_allclose(one["probabilities"], two["probabilities"], atol=1e-4)
    assert (one["label"] == two["label"]).mean() >= 0.98


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16", "fp16"])
def test_every_precision_passes_its_parity_on_the_gpu(precision: str) -> None:
    found = resnet(precision=precision).checks.compilation
    assert (found.code, found.reference) == ("passed", "fp32")


def test_parameters_are_on_the_gpu_and_so_is_the_work() -> None:
    served = resnet()
    assert served.runner.layout.device.type == "cuda"
    assert served.checks.device.name == torch.cuda.get_device_name()


def test_a_forward_in_inference_mode_takes_less_memory_than_one_that_records_a_graph() -> None:
    from models.zoo.resnet import resnet50

    net = resnet50().cuda().eval()
    rows = torch.from_numpy(images(8)).cuda()

    def peak(grad: bool) -> int:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        with torch.inference_mode(not grad):
            kept = net(rows)
        torch.cuda.synchronize()
        assert kept.requires_grad == grad
        return torch.cuda.max_memory_allocated() - before

    assert peak(grad=False) < 0.5 * peak(grad=True)


def test_small_batches_are_replayed_from_cuda_graphs_and_answer_as_the_plain_forward_does() -> None:
    graphed, plain = resnet(), resnet(cuda_graphs=False)
    assert isinstance(graphed.runner.forward, Graphed)
    assert not isinstance(plain.runner.forward, Graphed)
    assert graphed.checks.compilation.graphs == len(graphed.runner.forward.graphs) > 0
    for rows in (1, 2, 3, 5, 8):
        sent = [{"image": images(rows, seed=rows)}]
        found, expected = graphed.runner.run(sent)["logits"], plain.runner.run(sent)["logits"]
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def four_numbers(network: str, **changes: Any) -> ModelConfig:
    keys = {
        "name": "m",
        "source": {"factory": f"tests.models.networks:{network}"},
        "backend": "eager",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 2]}],
    }
    return ModelConfig.model_validate({**keys, **changes})


def test_a_forward_that_decides_by_its_data_gets_no_graph_and_stays_right() -> None:
    served = open_model(four_numbers("Branches", max_batch_size=1), "cuda")
    assert not isinstance(served.runner.forward, Graphed)
    net = Branches().eval()
    for size in (1.0, 1000.0):
        x = np.full((1, 4), size, np.float32)
        with torch.inference_mode():
            expected = net(torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(served.runner.run([{"x": x}])["y"], expected, rtol=1e-4)


def test_a_capture_that_fails_leaves_neither_its_stream_nor_memory_behind() -> None:
    served = open_model(four_numbers("Waits", max_batch_size=4), "cuda")
    assert not isinstance(served.runner.forward, Graphed)
    assert torch.cuda.current_stream() == torch.cuda.default_stream()
    held = []
    for _ in range(200):
        served.runner.run([{"x": np.ones((4, 4), np.float32)}])
        held.append(torch.cuda.memory_allocated())
    assert held[-1] <= held[10]


def test_batches_that_overlap_get_their_own_rows_back() -> None:
    served = open_model(configured("serve_config.yaml", "digits", backend="eager"), "cuda")
    runner = served.runner
    assert isinstance(runner.forward, Graphed)
    batches = [np.random.default_rng(n).integers(0, 256, (64, 1, 8, 8)).astype(np.uint8) for n in range(20)]
    alone = [runner.run([{"image": each}]) for each in batches]
    previous, found = None, []
    for each in batches:
        launched = runner.launch(runner.stage([{"image": each}]))
        if previous is not None:
            found.append(runner.finish(previous))
        previous = launched
    assert previous is not None
    found.append(runner.finish(previous))
    for one, two in zip(found, alone, strict=True):
        np.testing.assert_allclose(one["probabilities"], two["probabilities"], atol=1e-5)

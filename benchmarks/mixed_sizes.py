"""Requests of mixed sizes through a model's batching, beside the best grouping of the same requests.

    python -m benchmarks.mixed_sizes                   # writes results/mixed-sizes_<hardware>_<yyyymm>.json and .md
    python -m benchmarks.mixed_sizes --seconds 4 --out DIR

Two networks on a CPU thread: token classification of 5 to 128 tokens, padded, and segmentation of images of three
sizes, never padded. In process, without HTTP: 64 clients, each with one request at a time.

The best grouping knows all requests beforehand, divides them by the times of the start's warm-up so that they take the
least time in all, and runs the batches one after the other with nothing around them but collating. Both are measured in
turns, and the share is of the medians.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from configs.parse import parse_model
from configs.schema import ModelConfig, Tunables
from deployments.batching.batching import Batcher
from deployments.batching.device_thread import DeviceThread
from deployments.batching.grouping import Grouping
from deployments.batching.local import open_device
from models.signature import Array
from models.startup.open_model import OpenedModel, open_model
from pitstop.measure import results
from pitstop.report.markdown import table

from . import script

_CLIENTS, _REQUESTS, _TURNS = 64, 512, 5
Rows = dict[str, Array]


class Tagger(nn.Module):
    """Token classification: an encoder of four layers, 256 wide."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(256, 4, 1024, batch_first=True)
        self.embed = nn.Embedding(1000, 256)
        self.encoder = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
        self.score = nn.Linear(256, 9)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        known = self.encoder(self.embed(input_ids), src_key_padding_mask=attention_mask == 0)
        return self.score(known)  # type: ignore[no-any-return]


class Segments(nn.Module):
    """Segmentation: four convolutions that look at their neighbours."""

    def __init__(self) -> None:
        super().__init__()
        layers = [nn.Conv2d(width, 32, 3, padding=1) for width in (3, 32, 32)]
        self.body = nn.Sequential(*(part for layer in layers for part in (layer, nn.ReLU())), nn.Conv2d(32, 5, 1))

    def forward(self, image: Tensor) -> Tensor:
        return self.body(image.float() / 255)  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Workload:
    """A network, its signature, and how a request is drawn."""

    name: str
    what: str
    keys: Mapping[str, Any]
    draw: Callable[[np.random.Generator], Rows]


@dataclass(frozen=True, slots=True)
class Share:
    """Requests a second, by turn: through the batching, and as grouped best."""

    workload: str
    what: str
    served: list[float]
    best: list[float]
    share: float


def _text(random: np.random.Generator) -> Rows:
    size = int(random.integers(5, 129))
    return {"input_ids": random.integers(0, 1000, (1, size)), "attention_mask": np.ones((1, size), np.int64)}


def _image(random: np.random.Generator) -> Rows:
    size = (64, 96, 128)[int(random.integers(3))]
    return {"image": random.integers(0, 256, (1, 3, size, size), np.uint8)}


WORKLOADS = (
    Workload(
        "ner",
        "token classification, 5 to 128 tokens, padded",
        {
            "source": {"factory": "benchmarks.mixed_sizes:Tagger"},
            "inputs": [
                {"name": "input_ids", "datatype": "INT64", "shape": ["batch", "tokens"], "high": 999},
                {"name": "attention_mask", "datatype": "INT64", "shape": ["batch", "tokens"], "low": 1},
            ],
            "outputs": [{"name": "tags", "datatype": "FP32", "shape": ["batch", "tokens", 9]}],
            "dims": {"tokens": {"sizes": [16, 32, 48, 64, 96, 128]}},
            "max_batch_size": 16,
        },
        _text,
    ),
    Workload(
        "segmentation",
        "images of 64, 96 and 128 pixels, never padded",
        {
            "source": {"factory": "benchmarks.mixed_sizes:Segments"},
            "inputs": [{"name": "image", "datatype": "UINT8", "shape": ["batch", 3, "height", "width"]}],
            "outputs": [{"name": "mask", "datatype": "FP32", "shape": ["batch", 5, "height", "width"]}],
            "dims": {name: {"sizes": [64, 96, 128], "pad": "none"} for name in ("height", "width")},
            "max_batch_size": 8,
        },
        _image,
    ),
)


def main() -> None:
    parser = script.parser("benchmarks.mixed_sizes", __doc__)
    parser.add_argument("--seconds", type=float, default=10, help="of each turn")
    options = parser.parse_args()
    torch.set_num_threads(1)
    shares = [measured(each, options.seconds) for each in WORKLOADS]
    content = {
        "theme": "mixed-sizes",
        **results.head(["python", "-m", "benchmarks.mixed_sizes", "--seconds", f"{options.seconds:g}"]),
        "clients": _CLIENTS,
        "shares": [asdict(each) for each in shares],
    }
    text = _markdown(content, shares)
    results.write(options.out, results.stem("mixed-sizes", content), content, text)
    print(text)


def measured(workload: Workload, seconds: float) -> Share:
    """Measure a workload in turns; the model is opened once."""
    script.say(f"{workload.name}: {workload.what}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = parse_model({"name": workload.name, **workload.keys})
        model = open_model(config, "cpu")
    random = np.random.default_rng(0)
    requests = [workload.draw(random) for _ in range(_REQUESTS)]
    batches = grouped(model, requests, config.max_batch_size)
    served, best = list[float](), list[float]()
    for _ in range(_TURNS):
        served.append(asyncio.run(through_batching(config, model, requests, seconds)))
        best.append(one_after_the_other(model, batches, seconds))
    return Share(workload.name, workload.what, served, best, median(served) / median(best))


def grouped(model: OpenedModel, requests: Sequence[Rows], limit: int) -> list[list[Rows]]:
    """Divide requests into the batches that take the least time in all, by the times of the warm-up."""
    grouping = Grouping(model.forward_ms, model.runner.open_sizes)
    alike: dict[tuple[int, ...], list[Rows]] = {}
    for each in requests:
        sizes = grouping.sizes(each)
        alike.setdefault(sizes if any(not dim.padded for dim in model.runner.layout.dims) else (), []).append(each)
    batches = []
    for waiting in alike.values():
        left = list(waiting)
        while left:
            chosen = grouping.with_first([1] * len(left), [grouping.sizes(each) for each in left], limit)
            batches.append([left[place] for place in chosen])
            left = [each for place, each in enumerate(left) if place not in set(chosen)]
    return batches


def one_after_the_other(model: OpenedModel, batches: Sequence[Sequence[Rows]], seconds: float) -> float:
    """Return requests a second of these batches, again and again, each with nothing around it."""
    answered, began = 0, time.perf_counter()
    while (passed := time.perf_counter() - began) < seconds:
        for batch in batches:
            model.runner.run(batch)
            answered += len(batch)
    return answered / passed


async def through_batching(config: ModelConfig, model: OpenedModel, requests: Sequence[Rows], seconds: float) -> float:
    """Return requests a second of clients that each send their next request once the last is answered."""
    thread = DeviceThread()
    thread.start()
    device = open_device(thread, model.runner, model.forward_ms)
    batcher = Batcher(Tunables(), config.max_batch_size, device, lambda _: None)
    answered = 0
    until = time.perf_counter() + seconds

    async def client(number: int) -> None:
        nonlocal answered
        place = number * len(requests) // _CLIENTS
        while time.perf_counter() < until:
            future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            batcher.add(requests[place % len(requests)], 1, future.set_result)
            if isinstance(answer := await future, Exception):
                raise answer
            answered += 1
            place += 1

    began = time.perf_counter()
    await asyncio.gather(*(client(number) for number in range(_CLIENTS)))
    passed = time.perf_counter() - began
    device.stop()
    return answered / passed


def _markdown(content: Mapping[str, Any], shares: Sequence[Share]) -> str:
    rows = [
        [
            f"{each.workload}: {each.what}",
            f"{median(each.served):,.0f} ({min(each.served):,.0f} to {max(each.served):,.0f})",
            f"{median(each.best):,.0f} ({min(each.best):,.0f} to {max(each.best):,.0f})",
            f"{100 * each.share:.0f} %",
        ]
        for each in shares
    ]
    lines = [
        "# Requests of mixed sizes",
        "",
        results.told(content),
        "",
        f"    {content['command']}",
        "",
        f"Requests a second of {content['clients']} clients in process, without HTTP, and of the best grouping of the "
        f"same requests: medians of {_TURNS} turns, and their range. One torch thread.",
        "",
        *table(["workload", "served", "best grouping", "share"], rows),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()

"""What a start takes of memory at its peak, beside the weights of the model: 1 GB of them, on a CPU.

    python -m benchmarks.start_memory                   # writes results/start-memory_<hardware>_<yyyymm>.json and .md
    python -m benchmarks.start_memory --mib 128 --out DIR

Each start is a process of its own, and its peak is what the kernel says of it (ru_maxrss), mapped files included. The
baseline is the same process without a model: Python and torch. The limit is 2.5 times the weights above that.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pitstop.measure import results
from pitstop.report.markdown import table

from . import cache, script

LIMIT = 2.5
# 16 layers of 4096 x 4096 in fp32 are 1 GiB.
_WIDTH, _MIB_A_LAYER = 4096, 64
_CHILD = "import sys; from benchmarks.start_memory import start; start(sys.argv[1], sys.argv[2])"


@dataclass(frozen=True, slots=True)
class Start:
    """One start: what it was, its peak without the baseline, over the weights, and whether it loaded an artefact."""

    what: str
    peak_mib: float
    times: float
    cached: bool


def main() -> None:
    parser = script.parser("benchmarks.start_memory", __doc__)
    parser.add_argument("--mib", type=int, default=1024, help="weights, in MiB; a multiple of 64")
    options = parser.parse_args()
    baseline_mib, starts = measured(options.mib)
    print(write(options.out, options.mib, baseline_mib, starts))


def measured(mib: int) -> tuple[float, list[Start]]:
    """Return the baseline in MiB, and the starts: eager, TorchScript first and second, AOTInductor once built."""
    with tempfile.TemporaryDirectory(prefix="pb-") as name:
        folder = Path(name)
        _child(folder, "weights", str(mib // _MIB_A_LAYER))
        baseline_mib, _ = _child(folder, "nothing", "eager")
        found = []
        for what, backend in (
            ("eager", "eager"),
            ("TorchScript, first", "torchscript"),
            ("TorchScript, second", "torchscript"),
            ("AOTInductor, built", "aoti"),
        ):
            if backend == "aoti":
                _child(folder, "build", backend, str(mib // _MIB_A_LAYER))
            peak_mib, cached = _child(folder, "model", backend, str(mib // _MIB_A_LAYER))
            over_mib = peak_mib - baseline_mib
            found.append(Start(what, over_mib, over_mib / mib, cached))
        return baseline_mib, found


def write(folder: Path, mib: int, baseline_mib: float, starts: list[Start]) -> str:
    """Write both files and return the table."""
    content = {
        "theme": "start-memory",
        **results.head(["python", "-m", "benchmarks.start_memory", "--mib", str(mib)]),
        "weights_mib": mib,
        "baseline_mib": round(baseline_mib),
        "limit": LIMIT,
        "starts": [asdict(each) for each in starts],
    }
    text = _markdown(content, starts)
    results.write(folder, results.stem("start-memory", content), content, text)
    return text


def _markdown(content: Mapping[str, Any], starts: list[Start]) -> str:
    lines = [
        f"# Memory of a start, {content['weights_mib']:,} MiB of weights",
        "",
        f"{results.told(content)} `{content['command']}`.",
        "",
        f"Peak resident memory of the process, without the "
        f"{content['baseline_mib']:,} MiB that Python and torch take. At most {LIMIT} times the weights is allowed.",
        "",
    ]
    rows = [[each.what, f"{each.peak_mib:,.0f}", f"{each.times:.2f}"] for each in starts]
    return "\n".join([*lines, *table(["start", "peak, MiB", "times the weights"], rows)])


def _child(folder: Path, what: str, *arguments: str) -> tuple[float, bool]:
    """Run one step in a process of its own; return its peak in MiB, and whether it loaded an artefact."""
    environment = {**os.environ, "PITSTOP_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", _CHILD, str(folder), " ".join((what, *arguments))]
    done = subprocess.run(command, cwd=cache.PROJECT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    return found["peak_mib"], found["cached"]


def start(folder: str, step: str) -> None:
    """The child: make the weights, start a model, or start nothing."""
    import resource

    import torch

    torch.set_num_threads(1)
    what, *arguments = step.split()
    cached = False
    if what == "weights":
        from safetensors.torch import save_file

        save_file(network(int(arguments[0])).state_dict(), Path(folder) / "weights.safetensors")
    else:
        import models.startup.open_model

        if what != "nothing":
            served = models.startup.open_model.open_model(_config(folder, *arguments), "cpu", minutes=what == "build")
            cached = served.checks.compilation.made == "before"
    print(json.dumps({"peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "cached": cached}))


def network(layers: int) -> Any:
    from torch import nn

    return nn.Sequential(*[nn.Linear(_WIDTH, _WIDTH, bias=False) for _ in range(layers)])


def _config(folder: str, backend: str, layers: str) -> Any:
    from configs.schema import ModelConfig

    factory = {"factory": "benchmarks.start_memory:network", "kwargs": {"layers": int(layers)}}
    return ModelConfig.model_validate(
        {
            "name": "large",
            "source": {**factory, "weights": str(Path(folder) / "weights.safetensors")},
            "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, _WIDTH]}],
            "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, _WIDTH]}],
            "max_batch_size": 4,
            "backend": backend,
        }
    )


if __name__ == "__main__":
    main()

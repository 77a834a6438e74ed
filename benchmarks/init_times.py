"""How long a network takes from its file to an answer over HTTP, in three commands and without a line of YAML typed.

    python -m benchmarks.init_times                  # writes results/init-times_<hardware>_<yyyymm>.json and .md
    python -m benchmarks.init_times --rounds 1 --out DIR

`pitstop init`, `pitstop run` until it is ready, and the client that `init` wrote, for a small CNN whose weights
DataParallel saved, a directory of transformers with its tokenizer, and a detector. Each round is a first start: its
cache is empty. That the answers are right is tested in tests/e2e/test_init.py.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn

from examples.own.parts import Parts
from examples.own.photos import Photos
from pitstop.measure import results
from pitstop.report.markdown import table

from . import script
from .cache import PROJECT
from .run_times import pitstop_run, until_ready

TARGET_S = 60.0
COMMANDS = ("init", "run", "client")
_OWN = PROJECT / "examples" / "own"
_WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "food", "was", "slow", "good"]


@dataclass(frozen=True)
class Case:
    """A network: what makes its files in a folder, what is typed after `pitstop init`, and what the client sends."""

    what: str
    make: Callable[[Path], None]
    arguments: Sequence[str]
    sends: str


def main() -> None:
    script.unwind_on_sigterm()
    parser = script.parser("benchmarks.init_times", __doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured")
    options = parser.parse_args()
    head = results.head(["python", "-m", "benchmarks.init_times", "--rounds", str(options.rounds)])
    rows: list[dict[str, Any]] = [{"what": case.what, "rounds": []} for case in CASES]
    for number in range(options.rounds):
        for case, row in zip(CASES, rows, strict=True):
            script.say(f"round {number + 1} of {options.rounds}: {case.what}")
            row["rounds"].append(_measured(case))
    print(write(options.out, head, rows))


def write(folder: Path, head: Mapping[str, Any], rows: list[dict[str, Any]]) -> str:
    """Write both files and return the table; each row has its `rounds`: the seconds by command."""
    content = {"theme": "init-times", **head, "target_s": TARGET_S, "rows": rows}
    shown = []
    for row in rows:
        totals = [sum(each.values()) for each in row["rounds"]]
        parts = [f"{statistics.median(each[name] for each in row['rounds']):.1f}" for name in COMMANDS]
        shown.append([row["what"], *parts, f"{statistics.median(totals):.1f}", f"{max(totals):.1f}"])
    lines = [
        "# From a network to an answer",
        "",
        f"{results.told(content)} `{content['command']}`.",
        "",
        f"Seconds, with an empty cache; the target is {TARGET_S:g} for all three commands.",
        "",
        *table(["network", "init, s", "run until ready, s", "client, s", "median, s", "longest, s"], shown),
    ]
    text = "\n".join(lines)
    results.write(folder, results.stem("init-times", content), content, text)
    return text


def _measured(case: Case) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="pb-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        case.make(folder)
        own = {"PITSTOP_CACHE": str(folder / "cache")}
        environment = {**os.environ, **own}
        pitstop = [sys.executable, "-m", "pitstop"]
        init_s, _ = _timed([*pitstop, "init", *case.arguments, "--out", "service"], folder, environment)
        began = time.monotonic()
        with pitstop_run(folder / "service" / "serve.yaml", cwd=folder, more_env=own) as (process, _, port):
            until_ready(process)
            run_s = time.monotonic() - began
            asking = {**environment, "PITSTOP_URL": f"http://127.0.0.1:{port}"}
            client_s, said = _timed([sys.executable, "service/client.py", case.sends], folder, asking)
    if not json.loads(said):
        raise RuntimeError(f"{case.what}: the client printed an empty answer")
    return dict(zip(COMMANDS, (init_s, run_s, client_s), strict=True))


def _timed(command: Sequence[str], cwd: Path, env: Mapping[str, str]) -> tuple[float, str]:
    began = time.monotonic()
    ran = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    took_s = time.monotonic() - began
    if ran.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {ran.returncode}:\n{ran.stdout}{ran.stderr}")
    return took_s, ran.stdout


def _cnn(folder: Path) -> None:
    torch.manual_seed(0)
    torch.save(nn.DataParallel(Photos()).state_dict(), folder / "photos.pth")


def _text(folder: Path) -> None:
    transformers: Any = import_module("transformers")  # Half of it has types.
    (folder / "vocab.txt").write_text("\n".join(_WORDS))
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 37}
    torch.manual_seed(0)
    config = transformers.BertConfig(vocab_size=len(_WORDS), max_position_embeddings=64, num_labels=3, **sizes)
    transformers.BertForSequenceClassification(config).eval().save_pretrained(folder / "mood")
    transformers.BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=64).save_pretrained(folder / "mood")


def _detector(folder: Path) -> None:
    torch.manual_seed(0)
    torch.save(Parts().state_dict(), folder / "parts.pth")


_PHOTO = str(_OWN / "photo.png")
CASES = (
    Case(
        "CNN, weights of DataParallel",
        _cnn,
        [f"{_OWN / 'photos.py'}:Photos", "--weights", "photos.pth", "--example", _PHOTO],
        _PHOTO,
    ),
    Case("text classifier with its tokenizer", _text, ["mood"], "the food was slow"),
    Case(
        "detector",
        _detector,
        [f"{_OWN / 'parts.py'}:Parts", "--weights", "parts.pth", "--example", _PHOTO],
        _PHOTO,
    ),
)


if __name__ == "__main__":
    main()

"""What `pitstop compare` refuses, and what its headline must not keep quiet."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pitstop.compare import main as module
from pitstop.compare.main import DONE, UNUSABLE, CompareOptions, compare
from pitstop.compare.measured import Measured
from pitstop.load.target import Target
from tests.pitstop.test_compare_command import CPU, GPU, pretending

TEXT: dict[str, Any] = {"name": "text", "datatype": "BYTES", "shape": [-1, 1]}


@pytest.mark.parametrize("price_only", [False, True])
@pytest.mark.parametrize("key", ["inputs", "outputs"])
def test_models_of_different_inputs_or_outputs_are_refused_by_name(
    key: str, price_only: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    with pretending({"photo": "cpu" if price_only else "cuda:0", "sentiment": "cpu"}, {"photo": 9, "sentiment": 9}):
        find: Callable[[str], Target] = vars(module)["find"]

        different: dict[str, Any] = {key: (TEXT,)}

        def other(url: str) -> Target:
            found = replace(find(url), outputs=({"name": "y", "datatype": "FP32", "shape": [-1, 5]},))
            return replace(found, **different) if found.model == "sentiment" else found

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "find", other)
            assert compare(CompareOptions("photo", "sentiment", gpu=GPU, cpu=CPU, price_only=price_only)) == UNUSABLE
    said = capsys.readouterr().err
    assert "'photo' and 'sentiment' are not the same model" in said
    assert "text BYTES [-1, 1]" in said


@pytest.mark.parametrize("price_only", [False, True])
def test_where_the_client_was_the_limit_the_headline_says_at_least(
    price_only: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pretending({"m": "cuda:0", "m-cpu": "cpu"}, {"m": 700, "m-cpu": 22}):
        real: Callable[[CompareOptions, Target], Measured] = vars(module)["_measure"]

        def limited(options: CompareOptions, target: Target) -> Measured:
            found = real(options, target)
            if target.model != "m-cpu":
                return found
            return replace(found, capacity=replace(found.capacity, at_least="sent late", unsteady_rps=(40.0,)))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "_measure", limited)
            options = CompareOptions("m", "m-cpu", gpu=GPU, cpu=CPU, price_only=price_only, report=tmp_path)
            assert compare(options, Console(width=200)) == DONE
    headline = "The client was the limit for m-cpu: it sustains at least 22 a second"
    assert headline in capsys.readouterr().out
    assert json.loads((tmp_path / "compare.json").read_text())["verdict"].startswith(headline)
    page = (tmp_path / "compare.html").read_text()
    assert f'<p class="verdict">{headline}' in page
    assert "the machine was not quiet" in page

"""`random: true` and `batch: whole`: what a start still compares, and what it shows as waived."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.compile.build import Compiled
from models.compile.torchscript import trace_tolerance
from models.errors import ModelError
from models.parity import TOLERANCES
from models.startup import mistake_checks
from models.startup.check_results import CheckResult, line
from models.startup.open_model import OpenedModel, open_model
from tests.models.test_open_model import config

NETWORKS = "tests.models.meant_networks"
FOUR = [{"name": "y", "datatype": "FP32", "shape": [-1, 4]}]
ONE = [{"name": "y", "datatype": "FP32", "shape": [-1, 1]}]
ROWS = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)
BACKENDS: list[dict[str, Any]] = [{"backend": "eager"}, {"torchscript": "script"}, {"torchscript": "trace"}]
RANDOM: list[tuple[str, dict[str, Any]]] = [("StubbornDropout", {}), ("Variational", {"outputs": FOUR})]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path))


def opened(network: str, **keys: Any) -> OpenedModel:
    return open_model(config(f"{NETWORKS}:{network}", **keys), "cpu")


def asked(served: OpenedModel, seed: int | None, rows: np.ndarray[Any, Any] = ROWS) -> list[float]:
    found: list[float] = served.runner.run([{"x": rows}], seed)["y"].ravel().tolist()
    return found


def codes(served: OpenedModel) -> dict[str, tuple[str, str]]:
    results: tuple[CheckResult, ...] = served.checks.results[:5]
    return {each.check: (each.code, getattr(each, "waived_by", "")) for each in results}


@pytest.mark.parametrize("network, keys", RANDOM)
@pytest.mark.parametrize("backend", BACKENDS)
def test_of_chance_that_is_meant_company_is_waived_and_all_else_holds_with_one_seed(
    network: str, keys: dict[str, Any], backend: dict[str, Any]
) -> None:
    served = opened(network, random=True, **keys, **backend)
    assert codes(served) == {
        "inference mode": ("passed", ""),
        "padding": ("not_applicable", ""),
        "co-batched rows": ("waived", "random"),
        "warmed shapes": ("passed", ""),
        "compilation": ("passed", ""),
    }
    assert served.checks.compilation.deviation == 0
    assert "twice with the same seed" in line(served.checks.inference_mode)
    assert "eager fp32 from the same seed" in line(served.checks.compilation)
    assert line(served.checks.co_batched_rows).endswith("waived by random")


@pytest.mark.parametrize("network, keys", RANDOM)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_seed_repeats_an_answer_and_changes_no_other(
    network: str, keys: dict[str, Any], backend: dict[str, Any]
) -> None:
    served = opened(network, random=True, **keys, **backend)
    # Of few values dropout may drop the same by chance.
    many = np.ones((64, 4), np.float32)
    seeded = asked(served, 7, many)
    between = [asked(served, seed, many) for seed in (None, 8, None, None)]
    assert asked(served, 7, many) == seeded
    assert len({tuple(each) for each in [seeded, *between]}) == 5
    assert asked(served, 2**63 - 1) == asked(served, 2**63 - 1)


def test_an_artefact_that_an_earlier_start_kept_draws_anew() -> None:
    opened("Variational", random=True, outputs=FOUR, backend="torchscript")
    again = opened("Variational", random=True, outputs=FOUR, backend="torchscript")
    assert again.checks.compilation.made == "before"
    assert asked(again, None) != asked(again, None)


def test_a_factory_that_seeds_torch_does_not_make_replicas_draw_alike() -> None:
    found = []
    for _ in range(2):
        torch.manual_seed(5)
        found.append(asked(opened("Variational", random=True, outputs=FOUR), None))
    assert found[0] != found[1]


@pytest.mark.parametrize("network", ["DrawsAndCounts", "DrawsFromNumpy", "DrawsFromItsOwn"])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("keys", [{}, {"tolerance": 10}])
def test_state_and_chance_that_no_seed_reaches_are_refused_all_the_same(
    network: str, backend: dict[str, Any], keys: dict[str, Any]
) -> None:
    with pytest.raises(ModelError, match=r"twice with the same seed.*\nhelp: this is not chance"):
        opened(network, random=True, **backend, **keys)


def test_chance_is_refused_unless_it_is_meant_and_the_help_names_the_key() -> None:
    with pytest.raises(ModelError, match=r"asked twice.*\n.*or write random: true"):
        opened("StubbornDropout")


def test_padding_of_rows_that_draw_is_waived() -> None:
    lone = opened("StubbornDropout", random=True, batch_sizes=[2, 8], backend="eager")
    assert codes(lone)["padding"] == ("waived", "random")
    inputs = [{"name": "x", "datatype": "FP32", "shape": [-1, -1]}]
    keys: dict[str, Any] = {"inputs": inputs, "lengths": [4, 8], "outputs": ONE, "max_batch_size": 1}
    found = opened("NoisySum", random=True, backend="eager", **keys)
    assert codes(found)["padding"] == ("waived", "random")
    assert codes(found)["co-batched rows"] == ("not_applicable", "")


def test_a_forward_that_always_draws_the_same_is_refused_wherever_it_came_from() -> None:
    served = opened("Variational", random=True, outputs=FOUR, backend="eager")
    reference = _reference(served)
    frozen = served.runner.with_forward(lambda x: torch.ones(len(x), 4))
    with pytest.raises(ModelError, match="always draws the same random numbers"):
        mistake_checks._draws_anew(frozen, reference, served.samples)
    mistake_checks._draws_anew(served.runner, reference, served.samples)


def test_other_draws_are_only_waived_where_torch_may_draw_others(monkeypatch: pytest.MonkeyPatch) -> None:
    served = opened("Variational", random=True, outputs=FOUR, backend="eager")
    reference = _reference(served)
    given = config(f"{NETWORKS}:Variational", random=True, outputs=FOUR)
    arithmetic: Any = type("Arithmetic", (), {"config": given, "why": ""})
    otherwise = served.runner.with_forward(lambda x: torch.randn(len(x), 4, dtype=torch.float64).float() * 9)
    compiled = Compiled(otherwise.forward, "script")
    with pytest.raises(ModelError, match="at 8 rows"):
        mistake_checks.compilation(compiled, otherwise, reference, served.samples, arithmetic, "auto")
    monkeypatch.setattr(mistake_checks, "_draws_alike", lambda *_: False)
    found = mistake_checks.compilation(compiled, otherwise, reference, served.samples, arithmetic, "auto")
    assert (found.code, found.waived_by, found.allowed) == ("waived", "random", None)
    assert "it draws other numbers from the same seed; waived by random" in line(found)


WHOLE: list[tuple[str, dict[str, Any]]] = [("Contrastive", {"outputs": ONE}), ("Graph", {})]


@pytest.mark.parametrize("network, keys", WHOLE)
@pytest.mark.parametrize("backend", BACKENDS)
def test_rows_that_belong_together_are_run_as_they_are(
    network: str, keys: dict[str, Any], backend: dict[str, Any]
) -> None:
    served = opened(network, batch="whole", **keys, **backend)
    assert codes(served) == {
        "inference mode": ("passed", ""),
        "padding": ("waived", "batch"),
        "co-batched rows": ("waived", "batch"),
        "warmed shapes": ("passed", ""),
        "compilation": ("passed", ""),
    }
    assert set(served.forward_ms) == {(1, ()), (2, ()), (4, ()), (8, ())}
    eager = opened(network, batch="whole", **keys, backend="eager").runner.forward
    for rows in (1, 2, 3, 5, 7):
        given = np.linspace(-1, 1, 4 * rows, dtype=np.float32).reshape(rows, 4)
        with torch.inference_mode():
            expected = eager(torch.from_numpy(given)).ravel().tolist()
        np.testing.assert_allclose(asked(served, None, given), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.long
def test_what_torch_compiles_draws_as_eager_does_and_takes_any_number_of_rows() -> None:
    served = opened("Variational", random=True, outputs=FOUR, backend="compile", max_batch_size=2)
    assert codes(served)["compilation"] == ("passed", "")
    assert asked(served, 7) == asked(served, 7) != asked(served, 8)
    whole = opened("Graph", batch="whole", backend="compile", max_batch_size=4)
    expected = opened("Graph", batch="whole", backend="eager")
    np.testing.assert_allclose(asked(whole, None), asked(expected, None), rtol=1e-4, atol=1e-6)


def test_rows_of_any_number_are_not_said_to_be_warmed() -> None:
    served = opened("Graph", batch="whole", backend="eager")
    asked(served, None, ROWS)
    assert served.runner.unwarmed == 1
    assert "a request of any other number of rows runs as it is" in line(served.checks.warmed_shapes)


def test_lengths_of_rows_that_belong_together_are_padded_and_that_is_checked() -> None:
    inputs = [{"name": "x", "datatype": "FP32", "shape": [-1, -1]}]
    keys: dict[str, Any] = {"inputs": inputs, "lengths": [4, 8], "outputs": ONE, "batch": "whole", "backend": "eager"}
    assert codes(opened("SumOfAll", **keys))["padding"] == ("passed", "")
    with pytest.raises(ModelError, match="padded to 4 and unpadded"):
        opened("MeanOfAll", **keys)


@pytest.mark.parametrize("network, keys", WHOLE)
def test_a_start_names_batch_whole_where_rows_influence_each_other(network: str, keys: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"a row alone and in a batch.*\n.*write batch: whole if"):
        opened(network, **keys)


def test_tolerance_waives_no_rows_that_influence_each_other() -> None:
    for keys in ({}, {"batch_sizes": [8]}):
        with pytest.raises(ModelError, match=r"a row alone and in a batch|a row padded to 8 rows"):
            opened("Graph", tolerance=10, **keys)
    with pytest.raises(ModelError, match="a row padded to 8 rows"):
        open_model(config("tests.models.strict_networks:TimesRows", batch_sizes=[8], outputs=FOUR, tolerance=10), "cpu")


def test_tolerance_lets_no_trace_take_another_branch() -> None:
    assert trace_tolerance(config(tolerance=10)) == TOLERANCES["fp32"]
    assert trace_tolerance(config(tolerance=1e-6, precision="bf16")).relative == 1e-6


def _reference(served: OpenedModel) -> Any:
    from models.signature import signature_of
    from models.startup.eager_reference import Reference

    signature = signature_of(config(f"{NETWORKS}:Variational", outputs=FOUR))
    forward: Any = served.runner.forward
    return Reference(forward, signature.inputs, signature.outputs, served.runner.layout, 0)


def draws() -> Any:
    return lambda rows: {"x": rows["x"] + 0 * torch.randn(1).numpy()}


def draws_after() -> Any:
    return lambda rows: {"y": rows["output"] + 0 * torch.randn(1).numpy()}


def draws_its_own() -> Any:
    generator = torch.Generator()
    return lambda rows: {"x": rows["x"] + 0 * torch.randn(1, generator=generator).numpy()}


@pytest.mark.parametrize(
    "keys, said",
    [
        ({"preprocess": "draws"}, ["preprocess"]),
        ({"preprocess": "draws", "postprocess": "draws_after"}, ["postprocess", "preprocess"]),
        ({"preprocess": "draws_its_own"}, []),
        ({}, []),
    ],
)
def test_a_hook_that_draws_what_a_seed_is_of_is_told(
    keys: dict[str, str], said: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    named = {key: f"{__name__}:{name}" for key, name in keys.items()}
    with caplog.at_level("WARNING", "pitstop"):
        opened("Variational", outputs=FOUR, random=True, **named)
    told = [each.getMessage() for each in caplog.records if "draws torch's random numbers" in each.getMessage()]
    assert [each.split(": ")[1].split()[0] for each in told] == said

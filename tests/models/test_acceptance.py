"""Variants of a forward are held against eager's answers, which are computed once, to as many rows as fit the time."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from configs.backends import BACKENDS, Backend
from models.compile.build import Compiled, Uncompiled
from models.errors import ModelError
from models.signature import Array, Rows
from models.startup import stages
from models.startup.acceptance import Expected, acceptance, expected
from models.startup.acceptance_result import Accuracy
from models.startup.eager_reference import Reference
from models.startup.open_model import open_model
from models.startup.precision import plain
from models.startup.row_checks import Answer
from tests.models.networks import Linear
from tests.models.test_open_model import NETWORKS, config

HERE = "tests.models.test_acceptance"
RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 4)).astype(np.float32)
INPUT = {"name": "x", "datatype": "FP32", "shape": [-1, 4]}


class Fixed(Linear):
    """Its two outputs are a vector and the class."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:  # type: ignore[override]
        y = super().forward(x)
        return y, y.argmax(1)


class Mean(nn.Module):
    """Averages what the mask keeps."""

    def forward(self, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        kept = (values * mask).sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp(min=1)
        return torch.cat([kept, -kept], 1)


def swapped() -> Callable[[Rows], dict[str, Array]]:
    """What a client gets has its classes in the other order."""
    return lambda rows: {"y": np.ascontiguousarray(rows["output"][:, ::-1])}


def asked(budget_s: float = 60.0, clock: Callable[[], float] | None = None, **keys: Any) -> tuple[Expected, Reference]:
    """Return what eager answers in a model with these keys."""
    given = config(**{"precision": "auto", "accept": {"agreement": 0.999}, **keys})
    bound = stages.bind_source(given, None)
    checked = stages.check_eagerly(bound, plain(given), torch.device("cpu"))
    given = stages.declared(bound, checked, given)
    clocks = {} if clock is None else {"clock": clock}
    return expected(checked.reference, bound.samples, given, bound.postprocess, budget_s, **clocks), checked.reference


def off(reference: Reference, change: Callable[[torch.Tensor], torch.Tensor]) -> Answer:
    """Return a variant whose first output is changed."""

    def answer(rows: Rows) -> Sequence[torch.Tensor]:
        first, *others = reference(rows)
        return [change(first), *others]

    return answer


def test_what_answers_as_eager_does_is_accepted() -> None:
    found, reference = asked(accept={"agreement": 1, "cosine": 1, "tolerance": 1e-6})
    result = acceptance(reference, found)
    assert (result.code, result.rows, result.sizes[0], result.sizes[-1]) == ("passed", 1024, 1, 8)
    assert result.sentence == (
        "1,024 random rows: agreement 1.00000 (1 asked), smallest cosine 1.00000 (1 asked), "
        "largest deviation 0 (1e-06 asked)"
    )


@pytest.mark.parametrize(
    "accept, change, code",
    [
        ({"agreement": 0.999}, lambda y: -y, "failed"),
        ({"agreement": 0.999}, lambda y: y * 2, "passed"),
        ({"cosine": 0.999}, lambda y: y * 2, "passed"),
        ({"tolerance": 0.5}, lambda y: y * 2, "failed"),
        ({"tolerance": 0.5}, lambda y: y * 1.1, "passed"),
        ({"cosine": 0.9}, lambda y: y * torch.tensor([1.0, 0.0]), "failed"),
        ({"cosine": 0.0}, lambda y: y.masked_fill(y > 0.5, float("nan")), "failed"),
        ({"agreement": 0.5}, lambda y: y[:, :1], "failed"),
    ],
)
def test_a_variant_passes_by_what_is_asked_alone(accept: dict[str, Any], change: Any, code: str) -> None:
    found, reference = asked(accept=accept)
    assert acceptance(off(reference, change), found).code == code


def test_eager_answers_once_for_every_variant(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = asked()
    rows = [batch.rows() for batch in found.batches]
    variants = [lambda rows: [torch.zeros(len(rows["x"]), 2)], lambda rows: [torch.ones(len(rows["x"]), 2)]]
    monkeypatch.setattr(Reference, "__call__", lambda *_: pytest.fail("eager was asked again"))
    assert [acceptance(each, found).rows for each in variants] == [1024, 1024]
    for batch, before in zip(found.batches, rows, strict=True):
        np.testing.assert_array_equal(batch.rows()["x"], before["x"])


def test_as_many_rows_are_drawn_as_the_agreement_takes() -> None:
    assert asked(accept={"agreement": 0.9995})[0].rows == 2000
    assert asked(accept={"cosine": 0.9})[0].rows == 1024


def test_time_bounds_the_rows_and_the_sentence_says_so() -> None:
    seconds = iter(range(10**6))
    found, reference = asked(budget_s=20, clock=lambda: float(next(seconds)))
    assert 1 < found.rows < 200
    said = acceptance(reference, found).sentence
    assert said.startswith(f"{found.rows} random rows: agreement 1.00000")
    assert said.endswith(f"; 0.999 takes 1,000 answers to show: of {found.rows} all must agree")
    hurried, _ = asked(budget_s=0, clock=lambda: float(next(seconds)))
    assert hurried.rows == 1


def test_all_examples_are_asked_once_and_nothing_else(tmp_path: Path) -> None:
    many = np.arange(1600, dtype=np.float32).reshape(400, 4)
    np.savez(tmp_path / "x.npz", x=many)
    found, reference = asked(example=str(tmp_path / "x.npz"))
    rows = np.concatenate([batch.rows()["x"] for batch in found.batches])
    assert (found.source, sorted(rows[:, 0].tolist())) == ("example row", many[:, 0].tolist())
    assert {batch.count for batch in found.batches} >= {1, 8}
    assert acceptance(reference, found).code == "passed"


def test_every_warmed_size_is_drawn() -> None:
    tensors = [{"name": name, "datatype": "FP32", "shape": [-1, -1]} for name in ("values", "mask")]
    found, _ = asked(source={"factory": f"{HERE}:Mean"}, inputs=tensors, lengths=[4, 8, 16])
    shapes = {batch.rows()["values"].shape for batch in found.batches}
    assert shapes >= {(rows, length) for rows in (1, 8) for length in (4, 8, 16)}


def test_figures_are_of_every_output() -> None:
    outputs = [{"name": "y", "datatype": "FP32", "shape": [-1, 2]}, {"name": "c", "datatype": "INT64", "shape": [-1]}]
    found, reference = asked(source={"factory": f"{HERE}:Fixed"}, outputs=outputs)
    result = acceptance(off(reference, lambda y: -y), found)
    assert [(each.output, each.rows, each.agreement) for each in result.figures] == [("y", 1024, 0), ("c", 1024, 1)]
    assert "agreement of 'y' 0.00000, below the 0.999 asked" in result.sentence


def test_a_measure_that_fits_no_output_ends_before_eager_is_asked() -> None:
    one = (
        [{"name": "values", "datatype": "FP32", "shape": [-1, 4]}],
        [{"name": "y", "datatype": "FP32", "shape": [-1, 1]}],
    )
    with pytest.raises(ModelError, match=r"accept\.agreement: it is of .* gives y FP32 \[-1, 1\]"):
        asked(source={"factory": f"{NETWORKS}:Added"}, inputs=one[0], outputs=one[1])


def labelled(folder: Path, labels: Array) -> dict[str, Any]:
    np.savez(folder / "labelled.npz", x=X, label=labels)
    return {"accuracy": {"data": str(folder / "labelled.npz"), "at_least": 0.9}}


def classes() -> Array:
    with torch.inference_mode():
        found: Array = Linear()(torch.from_numpy(X)).argmax(1).numpy()
    return found


def test_labels_are_counted_beside_eagers(tmp_path: Path) -> None:
    labels = classes()
    labels[:2] = 1 - labels[:2]
    found, reference = asked(accept=labelled(tmp_path, labels))
    as_eager, wrong = acceptance(reference, found), acceptance(off(reference, lambda y: -y), found)
    assert as_eager.sentence == ("40 labelled rows: 0.95000 of 40 labelled rows right (0.9 asked), eager fp32 0.95000")
    assert as_eager.accuracy is not None
    assert (as_eager.code, as_eager.accuracy.output, as_eager.accuracy.right) == ("passed", "y", 38)
    assert wrong.accuracy is not None
    assert (wrong.code, wrong.accuracy.right, wrong.accuracy.reference_right) == ("failed", 2, 38)


def test_labels_are_of_what_a_client_gets(tmp_path: Path) -> None:
    found, reference = asked(accept=labelled(tmp_path, 1 - classes()), postprocess=f"{HERE}:swapped")
    assert found.reference_right == 40
    assert acceptance(reference, found).code == "passed"


def test_labelled_rows_and_examples_are_both_measured(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=X[:10] + 1)
    accept = {**labelled(tmp_path, classes()), "cosine": 0.9}
    found, reference = asked(accept=accept, example=str(tmp_path / "x.npz"))
    result = acceptance(reference, found)
    assert result.accuracy is not None
    assert (result.rows, result.source, result.accuracy.rows) == (50, "example or labelled row", 40)


def test_a_label_of_no_class_is_told_at_the_start_too(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="has the label 2, and 'y' has the classes 0 to 1"):
        asked(accept=labelled(tmp_path, classes() + 1))


def off_at_full(given: Uncompiled) -> Compiled:
    """A backend that is off where a batch is full, and nowhere else."""
    full = given.layout.sizes[-2]
    return Compiled(lambda x: given.module(x) + 0.1 * (len(x) == full), "off")


def shifted(given: Uncompiled) -> Compiled:
    return Compiled(lambda x: given.module(x) + 0.001, "shifted")


@pytest.fixture
def off_backend(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(sys.modules, f"{HERE}_off", SimpleNamespace(build=off_at_full))
    monkeypatch.setitem(BACKENDS, "off", Backend("off", "off", f"{HERE}_off"))
    monkeypatch.setitem(sys.modules, f"{HERE}_shifted", SimpleNamespace(build=shifted))
    monkeypatch.setitem(BACKENDS, "shifted", Backend("shifted", "shifted", f"{HERE}_shifted"))
    return "off"


@pytest.mark.parametrize("minutes", [False, True])
def test_what_is_compared_at_every_warmed_size_counts_for_a_build_too(
    minutes: bool, off_backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path / "cache"))
    np.savez(tmp_path / "rows.npz", x=X)
    keys = {
        "example": str(tmp_path / "rows.npz"),
        "tolerance": 0.5,
        "batch_tolerance": 0.5,
        "accept": {"tolerance": 0.01},
    }
    with pytest.raises(ModelError, match=r"off fp32: \d+ example rows: largest deviation .* above the 0.01 asked"):
        open_model(config(f"{NETWORKS}:Linear", backend=off_backend, **keys), "cpu", minutes=minutes)


def test_where_a_compiled_fp32_is_not_near_enough_eager_serves(
    off_backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path / "cache"))
    for name in [each for each in BACKENDS if each not in ("eager", off_backend)]:
        monkeypatch.setitem(BACKENDS, name, replace(BACKENDS[name], devices=("cuda",)))
    served = open_model(config(f"{NETWORKS}:Linear", tolerance=0.5, accept={"tolerance": 1e-9}), "cpu")
    assert served.how == "eager"
    assert {each.backend: each.outcome for each in served.candidates}["off"] in ("refused", "not_faster")


@pytest.mark.usefixtures("off_backend")
@pytest.mark.parametrize(
    "keys, ways",
    [
        ({"backend": "shifted"}, ["ask for less in accept", "use backend: auto", "name rows of your own"]),
        ({"backend": "eager", "precision": "bf16"}, ["ask for less in accept", "use precision: auto", "name rows"]),
    ],
)
def test_the_help_names_only_what_may_change_something(
    keys: dict[str, str], ways: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ModelError) as told:
        open_model(config(f"{NETWORKS}:Linear", tolerance=0.5, accept={"tolerance": 1e-9}, **keys), "cpu")
    found = str(told.value.help).split(", or ")
    assert len(found) == len(ways)
    assert all(each.startswith(way) for each, way in zip(found, ways, strict=True))


@pytest.mark.parametrize("rows, told", [(1, True), (10, False)])
def test_a_share_of_few_labelled_rows_says_how_many_would_show_it(rows: int, told: bool) -> None:
    assert ("takes 10 rows to show" in Accuracy("y", rows, rows, rows, 0.9).sentence) == told


@pytest.mark.parametrize("minutes", [False, True])
def test_examples_that_are_asked_for_at_each_shape_count_once(
    minutes: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path / "cache"))
    np.savez(tmp_path / "rows.npz", x=X[:10])
    given = config(
        f"{NETWORKS}:Linear", backend="eager", example=str(tmp_path / "rows.npz"), accept={"agreement": 0.99}
    )
    found = open_model(given, "cpu", minutes=minutes).checks.acceptance
    assert found is not None
    assert found.sentence.startswith("10 example rows: agreement 1.00000")
    assert "0.99 takes 100 answers to show: of 10 all must agree" in found.sentence

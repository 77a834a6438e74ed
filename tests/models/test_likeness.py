"""The measures of `accept`: what they are of answers that are the same, near, wrong, or not numbers."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from configs.accept import AcceptConfig
from models.errors import ModelError
from models.signature import Tensor
from models.startup.acceptance_result import Accuracy, Figures, accepted, shown_by
from models.startup.check_results import as_json, line
from models.startup.likeness import check_measures, measured, total

SCORES = Tensor("y", "FP32", (-1, 3))
ONE = Tensor("y", "FP32", (-1, 1))
CLASS = Tensor("y", "INT64", (-1,))
PLACES = Tensor("y", "FP32", (-1, -1, 3))
PICTURE = Tensor("y", "FP32", (-1, 3, 8, 8))
FLOATS = st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=False)
BATCHES = arrays.arrays(
    np.float32, arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=5), elements=FLOATS
)


def of(shape: tuple[int, ...], datatype: str = "FP32") -> Tensor:
    return Tensor("y", datatype, (-1, *shape[1:]))


def compared(actual: Any, expected: Any, tensor: Tensor = SCORES) -> Figures:
    return measured(torch.tensor(actual), torch.tensor(expected), tensor)


@given(BATCHES)
def test_an_answer_agrees_with_itself(batch: np.ndarray[Any, Any]) -> None:
    value = torch.from_numpy(batch)
    found, wide = measured(value, value.clone(), of(batch.shape)), batch.shape[1] > 1
    assert (found.unlike, found.deviation) == (0, 0)
    assert (found.agreement, found.cosine) == ((1.0, 1.0) if wide else (None, None))


@given(BATCHES, st.sampled_from([0.5, 2.0, 4.0]))
def test_a_positive_factor_changes_neither_agreement_nor_cosine(batch: np.ndarray[Any, Any], factor: float) -> None:
    value = torch.from_numpy(np.where(np.abs(batch) < 1e-30, 0, batch).astype(np.float32))
    found = measured(value * factor, value, of(batch.shape))
    if batch.shape[1] > 1:
        assert found.agreement == 1.0
        assert found.cosine == pytest.approx(1.0, abs=1e-6)


@given(BATCHES, BATCHES)
def test_every_figure_is_in_its_range(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> None:
    rows, width = min(len(one), len(other)), min(one.shape[1], other.shape[1])
    left, right = (torch.from_numpy(each[:rows, :width].copy()) for each in (one, other))
    found = measured(left, right, of((rows, width)))
    assert found.rows == rows
    assert found.agreement is None or 0 <= found.agreement <= 1
    assert found.cosine is None or -1 <= found.cosine <= 1
    assert found.deviation is not None
    assert found.deviation >= 0


@given(st.lists(BATCHES, min_size=1, max_size=4))
def test_batches_add_up_to_the_figures_of_all_rows(batches: list[np.ndarray[Any, Any]]) -> None:
    width = min(each.shape[1] for each in batches)
    values = [torch.from_numpy(each[:, :width].copy()) for each in batches]
    turned = [each.flip(1) for each in values]
    added = total([measured(*pair, of((1, width))) for pair in zip(turned, values, strict=True)])
    whole = measured(torch.cat(turned), torch.cat(values), of((1, width)))
    assert (added.rows, added.agreed, added.compared) == (whole.rows, whole.agreed, whole.compared)
    assert added.cosine == whole.cosine


def test_a_row_agrees_where_its_highest_entry_is_where_eagers_is() -> None:
    found = compared([[1.0, 2, 0], [0, 0, 9]], [[5.0, 6, 0], [9, 0, 8]])
    assert (found.agreed, found.compared, found.agreement) == (1, 2, 0.5)
    places = compared([[[1.0, 2, 0], [0, 0, 9]]], [[[5.0, 6, 0], [9, 0, 8]]], PLACES)
    assert (places.rows, places.agreed, places.compared) == (1, 1, 2)


def test_whole_numbers_agree_by_row() -> None:
    assert compared([1, 2, 3], [1, 2, 4], CLASS).agreed == 2
    assert compared([[1, 2], [3, 4]], [[1, 2], [3, 5]], Tensor("y", "INT64", (-1, 2))).agreed == 1
    assert compared([True, False], [True, True], Tensor("y", "BOOL", (-1,))).agreement == 0.5


def test_the_axis_of_a_picture_is_none_of_classes() -> None:
    picture = torch.rand(2, 3, 8, 8)
    found = measured(picture, picture, PICTURE)
    assert (found.agreement, found.cosine, found.deviation) == (None, 1.0, 0.0)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_what_is_no_number_is_unlike_a_number(wrong: float) -> None:
    found = compared([[wrong, 2, 0], [1, 2, 0]], [[1.0, 2, 0], [1, 2, 0]])
    assert (found.unlike, found.agreed, found.deviation) == (1, 1, 0)
    assert accepted(AcceptConfig(tolerance=0.1), 2, "random row", [2], [found], None).code == "failed"


def test_what_eager_gives_no_number_for_either_is_alike() -> None:
    masked = [[float("-inf"), 2.0, float("nan")]]
    found = compared(masked, masked)
    assert (found.unlike, found.agreement, found.cosine, found.deviation) == (0, 1, 1, 0)


def test_an_answer_of_another_size_is_unlike() -> None:
    assert compared([[1.0, 2]], [[1.0, 2, 3]]).unlike == 1


def test_of_zeros_only_zeros_are_alike() -> None:
    assert compared([[0.0, 0, 0]], [[0.0, 0, 0]]).cosine == 1
    assert compared([[0.0, 0, 0]], [[1.0, 0, 0]]).cosine == 0


@pytest.mark.parametrize("measure, output", [("agreement", ONE), ("agreement", PICTURE), ("cosine", CLASS)])
def test_a_measure_that_fits_no_output_names_them(measure: str, output: Tensor) -> None:
    with pytest.raises(
        ModelError, match=rf"accept\.{measure}: it is of .*, and the network gives y .*\nhelp: remove it"
    ):
        check_measures([measure], [output])
    check_measures([measure, "tolerance"], [output, SCORES])


def test_the_sentence_has_each_figure_beside_what_is_asked() -> None:
    near = Figures("y", 2000, 0, 1998, 2000, 0.99997, 0.004)
    found = accepted(
        AcceptConfig(agreement=0.999, cosine=0.999, tolerance=0.02), 2000, "example row", [1, 32], [near], None
    )
    assert line(found) == (
        "✓ accept: 2,000 example rows: agreement 0.99900 (0.999 asked), smallest cosine 0.99997 (0.999 asked), "
        "largest deviation 0.004 (0.02 asked)"
    )
    shown = as_json(found)
    assert (shown["code"], shown["figures"][0]["agreed"], shown["asked"]["cosine"]) == ("passed", 1998, 0.999)


def test_the_worst_output_decides_and_is_named() -> None:
    both = [Figures("a", 9, 0, 9, 9, 1.0, 0.0), Figures("b", 9, 0, 9, 9, 0.9989999, 0.0)]
    found = accepted(AcceptConfig(cosine=0.999), 9, "random row", [9], both, None)
    assert (found.code, found.sentence) == (
        "failed",
        "9 random rows: smallest cosine of 'b' 0.99899, below the 0.999 asked",
    )


def test_few_rows_are_told_and_must_all_agree() -> None:
    accept = AcceptConfig(agreement=0.999)
    said = "; 0.999 takes 1,000 answers to show: of 100 all must agree"
    one, all_ = (accepted(accept, 100, "row", [1], [Figures("y", 100, 0, each, 100)], None) for each in (99, 100))
    assert (one.code, all_.code) == ("failed", "passed")
    assert one.sentence.endswith(said)
    assert all_.sentence.endswith(said)


@pytest.mark.parametrize("asked, rows", [(0.999, 1000), (0.99, 100), (0.5, 2), (0.0, 1), (1.0, 0), (None, 0)])
def test_a_share_takes_as_many_answers_as_one_of_them_may_differ_of(asked: float | None, rows: int) -> None:
    assert shown_by(asked) == rows


def test_accuracy_is_told_beside_eagers() -> None:
    accept = AcceptConfig.model_validate({"accuracy": {"data": "x.npz", "at_least": 0.97}})
    enough, few = Accuracy("y", 100, 97, 98, 0.97), Accuracy("y", 100, 96, 96, 0.97)
    assert accepted(accept, 100, "labelled row", [1], [Figures("y", 100)], enough).sentence == (
        "100 labelled rows: 0.97000 of 100 labelled rows right (0.97 asked), eager fp32 0.98000"
    )
    assert accepted(accept, 100, "labelled row", [1], [Figures("y", 100)], few).code == "failed"


def test_nothing_to_compare_is_no_agreement() -> None:
    found = accepted(AcceptConfig(agreement=0.5), 1, "row", [1], [Figures("y", 1)], None)
    assert (found.code, found.sentence[:36]) == ("failed", "1 row: agreement: nothing to compare")


@pytest.mark.parametrize(
    "limit, written", [(0.9999999999, "0.9999999999"), (1.0, "1"), (0.85, "0.85"), (0.1 + 0.2, "0.3")]
)
def test_a_limit_is_written_with_the_digits_that_it_has(limit: float, written: str) -> None:
    found = accepted(AcceptConfig(cosine=limit), 1, "row", [1], [Figures("y", 1, cosine=0.2)], None)
    assert found.sentence.endswith(f", below the {written} asked")

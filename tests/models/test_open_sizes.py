"""Networks with open sizes from a config to their answers: each row's own size, padded or not, and in company."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from configs.loader import parse_model
from configs.named_size import axis_named
from models.errors import ModelError
from models.runtime.counts import stacked_rows
from models.signature import Array, Tensor, as_tensors
from models.startup.open_model import OpenedModel, open_model
from models.startup.sample_inputs import lowered
from tests.models import open_networks

Rows = dict[str, Array]
IMAGE = {"name": "image", "datatype": "UINT8", "shape": ["batch", 3, "height", "width"]}
MASK = {"name": "mask", "datatype": "FP32", "shape": ["batch", 4, "height/2", "width/2"]}
X8 = {"name": "x", "datatype": "FP32", "shape": ["batch", 8]}
BOXES = [
    {"name": "boxes", "datatype": "FP32", "shape": ["batch", "count", 4]},
    {"name": "scores", "datatype": "FP32", "shape": ["batch", "count"]},
]
IDS = {"name": "input_ids", "datatype": "INT64", "shape": ["batch", "tokens"], "high": 99}
TAGS = {"name": "tags", "datatype": "FP32", "shape": ["batch", "tokens", 3]}


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path))


def opened(network: str, **keys: Any) -> OpenedModel:
    source = {"factory": f"tests.models.open_networks:{network}"}
    return open_model(parse_model({"name": "m", "source": source, "max_batch_size": 4, **keys}), "cpu")


def answers(served: OpenedModel, requests: list[Rows]) -> list[Rows]:
    """Answer requests that share one forward, each cut back to its own sizes."""
    together, found, row = served.runner.run(requests), [], 0
    for request in requests:
        stop = row + len(next(iter(request.values())))
        part = {name: array[row:stop] for name, array in together.items()}
        found.append(part if served.runner.cut is None else served.runner.cut(request, part))
        row = stop
    return found


def assert_eager(network: str, served: OpenedModel, requests: list[Rows]) -> None:
    """Assert that each request, in company, gets what eager answers to it alone and unpadded."""
    eager = getattr(open_networks, network)().eval()
    for request, found in zip(requests, answers(served, requests), strict=True):
        with torch.inference_mode():
            result = eager(*(torch.from_numpy(request[each.name]) for each in served.runner.model_inputs))
        expected = result if isinstance(result, tuple) else (result,)
        for tensor, value in zip(served.runner.outputs, expected, strict=True):
            assert found[tensor.name].shape == tuple(value.shape)
            np.testing.assert_allclose(found[tensor.name], value.numpy(), rtol=1e-4, atol=1e-5)


def drawn(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_each_token_has_its_answer_and_no_request_gets_its_padding() -> None:
    inputs = [IDS, {"name": "attention_mask", "datatype": "INT64", "shape": ["batch", "tokens"]}]
    served = opened("Tagger", inputs=inputs, outputs=[TAGS], dims={"tokens": {"sizes": [4, 8]}})
    random = drawn()
    requests = [
        {"input_ids": random.integers(0, 100, (1, size)), "attention_mask": np.ones((1, size), np.int64)}
        for size in (5, 1, 3)
    ]
    assert_eager("Tagger", served, requests)
    assert served.checks.padding.code == "passed"
    assert set(served.forward_ms) == {(rows, (size,)) for rows in (1, 2, 4) for size in (4, 8)}


def test_an_input_is_padded_with_the_value_that_the_config_names_for_it() -> None:
    keys: dict[str, Any] = {"inputs": [IDS], "outputs": [TAGS]}
    with pytest.raises(ModelError, match=r"padded to .* and unpadded, differs"):
        opened("PaddedTagger", **keys, dims={"tokens": {"sizes": [4, 8]}})
    served = opened("PaddedTagger", **keys, dims={"tokens": {"sizes": [4, 8], "pad": {"input_ids": 7}}})
    requests = [{"input_ids": drawn(size).integers(8, 100, (1, size))} for size in (3, 6, 2)]
    assert_eager("PaddedTagger", served, requests)


SIZES = {"height": {"sizes": [8, 12]}, "width": {"sizes": [8, 16]}}
UNPADDED = {name: {**each, "pad": "none"} for name, each in SIZES.items()}


def test_two_open_sizes_are_padded_and_cut_back_each_by_itself() -> None:
    outputs = [{**MASK, "shape": ["batch", 4, "height", "width"]}]
    served = opened("Pixels", inputs=[IMAGE], outputs=outputs, dims=SIZES)
    random = drawn()
    sizes = [(5, 16), (12, 3), (8, 8)]
    assert_eager("Pixels", served, [{"image": random.integers(0, 255, (1, 3, *each), np.uint8)} for each in sizes])


def test_a_network_that_reads_its_neighbours_is_refused_padded_and_served_unpadded() -> None:
    with pytest.raises(ModelError, match=r"size \d of height, padded to 8 .*\n.*pad: none"):
        opened("Segments", inputs=[IMAGE], outputs=[MASK], dims=SIZES)
    served = opened("Segments", inputs=[IMAGE], outputs=[MASK], dims=UNPADDED)
    assert "no row is padded" in served.checks.padding.sentence
    # A size that was not warmed runs as it is.
    requests = [{"image": drawn(seed).integers(0, 255, (1, 3, 7, 10), np.uint8)} for seed in range(3)]
    assert_eager("Segments", served, requests)
    assert served.runner.unwarmed == 1


def test_inputs_may_have_dimensions_of_their_own() -> None:
    inputs = [
        {"name": "tokens", "datatype": "INT64", "shape": ["batch", "words"], "low": 1, "high": 49},
        {"name": "sound", "datatype": "FP32", "shape": ["batch", "frames", 5]},
    ]
    outputs = [
        {"name": "score", "datatype": "FP32", "shape": ["batch", 6]},
        {"name": "heard", "datatype": "FP32", "shape": ["batch", "frames", 6]},
    ]
    dims = {"words": {"sizes": [4, 8]}, "frames": {"sizes": [6, 10]}}
    served = opened("TextAndSound", inputs=inputs, outputs=outputs, dims=dims)
    random = drawn()
    requests = [
        {"tokens": random.integers(1, 50, (rows, words)), "sound": random.normal(size=(rows, frames, 5)).astype("f")}
        for rows, words, frames in ((1, 8, 2), (2, 3, 10))
    ]
    assert_eager("TextAndSound", served, requests)


def test_a_network_that_is_told_how_long_each_row_is_is_served() -> None:
    steps = {"name": "steps", "datatype": "INT64", "shape": ["batch"], "low": 1, "high": "time"}
    inputs = [{"name": "x", "datatype": "FP32", "shape": ["batch", "time", 4]}, steps]
    outputs = [{"name": "y", "datatype": "FP32", "shape": ["batch", 5]}]
    served = opened("Packed", inputs=inputs, outputs=outputs, dims={"time": {"sizes": [4, 8]}})
    random = drawn()
    requests = [
        {"x": random.normal(size=(1, size, 4)).astype("f"), "steps": np.array([size - 1], np.int64)}
        for size in (8, 2, 5)
    ]
    assert_eager("Packed", served, requests)


def test_outputs_may_have_sizes_that_are_computed() -> None:
    inputs = [{"name": "samples", "datatype": "FP32", "shape": ["batch", "time"]}]
    frames = {"name": "frames", "datatype": "FP32", "shape": ["batch", "(time-10)//5+1", 4]}
    signal = {"name": "signal", "datatype": "FP32", "shape": ["batch", "((time-10)//5+1)*4"]}
    dims = {"time": {"sizes": [40, 80], "pad": "none"}}
    served = opened("Frames", inputs=inputs, outputs=[frames, signal], dims=dims)
    assert_eager("Frames", served, [{"samples": drawn(seed).normal(size=(1, 33)).astype("f")} for seed in range(2)])
    wrong = {**frames, "shape": ["batch", "time/5", 4]}
    with pytest.raises(ModelError, match=r"output 'frames' has shape .* the config says \[-1, \d+, 4\] where time \d+"):
        opened("Frames", inputs=inputs, outputs=[wrong, signal], dims=dims)
    fixed = {**frames, "shape": ["batch", "(time-10)//5+1", 5]}
    with pytest.raises(
        ModelError, match=r"says \[-1, \d+, 5\] .*\nhelp: correct outputs in the config; or let forward"
    ):
        opened("Frames", inputs=inputs, outputs=[fixed, signal], dims=dims)
    told = r"forward returned .*, time 40, and .*, time \d+: no tensor .*\nhelp: .*; or list outputs, "
    with pytest.raises(ModelError, match=told):
        opened("Frames", inputs=inputs, dims=dims)


def test_a_network_that_takes_less_than_the_largest_size_is_told_with_the_shape_that_failed() -> None:
    ids = {**IDS, "high": 3}
    told = r"fails on a batch of 2 rows: IndexError.*\nhelp: .* input_ids int64 \(declared INT64\) of \[2, 9\]"
    with pytest.raises(ModelError, match=told):
        opened("Positions", inputs=[ids], dims={"tokens": {"sizes": [4, 9]}})


@pytest.mark.parametrize("network", ["Boxes", "BoxesInOrder", "ListOfBoxes"])
def test_a_count_cuts_each_row_to_its_own(network: str) -> None:
    served = opened(network, inputs=[X8], outputs=BOXES)
    rows = drawn().normal(size=(4, 8)).astype("f")
    boxes, scores, counts = (each.detach().numpy() for each in open_networks.Boxes().found(torch.from_numpy(rows)))
    assert len(set(counts)) > 1
    for row, found in enumerate(answers(served, [{"x": rows[row : row + 1]} for row in range(4)])):
        assert found["count"] == [counts[row]]
        np.testing.assert_allclose(found["boxes"], boxes[row : row + 1, : counts[row]], rtol=1e-5)
        np.testing.assert_allclose(found["scores"], scores[row : row + 1, : counts[row]], rtol=1e-5)
    [several] = answers(served, [{"x": rows}])
    assert several["boxes"].shape == (4, counts.max(), 4)
    for row, count in enumerate(counts):
        np.testing.assert_allclose(several["boxes"][row, :count], boxes[row, :count], rtol=1e-5)
        assert not several["boxes"][row, count:].any()


def test_a_list_of_tensors_a_row_has_a_count_too() -> None:
    served = opened("ListOfTensors", inputs=[X8], outputs=BOXES[:1])
    assert [tensor.name for tensor in served.runner.outputs] == ["boxes", "count"]
    assert served.how == "eager"
    assert "only Python can read" in served.checks.compilation.sentence


def test_a_size_that_no_input_has_needs_a_count() -> None:
    with pytest.raises(ModelError, match=r"count is a size of boxes, scores that no input has.*\nhelp: .*name: count"):
        opened("WithoutCount", inputs=[X8], outputs=BOXES)


def test_a_count_beyond_what_there_is_fails() -> None:
    # Bounded, or the start itself would try such numbers.
    served = opened("Miscounts", inputs=[{**X8, "low": -1, "high": 1}], outputs=BOXES)
    with pytest.raises(ModelError, match="output 'count' counts 99 of 'boxes', which has 10"):
        served.runner.run([{"x": np.full((1, 8), 200, np.float32)}])


@pytest.mark.parametrize("keys, runs", [({}, "fp32"), ({"precision": "bf16"}, "bf16")])
def test_weights_of_16_bits_are_served_in_the_precision_of_the_config(keys: dict[str, Any], runs: str) -> None:
    x = {"name": "x", "datatype": "FP32", "shape": [-1, 4]}
    served = opened("Half", inputs=[x], outputs=[{**x, "name": "y"}], **keys)
    assert served.precision == runs
    rows = drawn().normal(size=(3, 4)).astype("f")
    with torch.inference_mode():
        expected = open_networks.Half().float()(torch.from_numpy(rows)).numpy()
    found = served.runner.run([{"x": rows}])["y"]
    np.testing.assert_allclose(found, expected, rtol=1e-5 if runs == "fp32" else 0.05, atol=0.1 if keys else 1e-5)


def test_an_output_that_has_an_inputs_size_by_chance_is_refused() -> None:
    x, y = ({"name": name, "datatype": "FP32", "shape": ["batch", size]} for name, size in (("x", "n"), ("y", 8)))
    with pytest.raises(ModelError, match=r"output 'y' has sizes \[\d\] where n \d, the config says \[8\]"):
        opened("Twice", inputs=[x], outputs=[y], dims={"n": {"sizes": [8]}})


@pytest.mark.parametrize("sizes", [[1, 8], [8]])
def test_padding_in_two_dimensions_at_once_is_checked_whatever_the_smallest_size(sizes: list[int]) -> None:
    bounds = {"datatype": "FP32", "low": 1, "high": 2}
    inputs = [{"name": name, "shape": ["batch", f"{name}s"], **bounds} for name in "ab"]
    y = {"name": "y", "datatype": "FP32", "shape": ["batch"]}
    dims = {f"{name}s": {"sizes": sizes} for name in "ab"}
    with pytest.raises(ModelError, match="padded to 8 and unpadded, differs"):
        opened("BothPadded", max_batch_size=1, inputs=inputs, outputs=[y], dims=dims)


def test_a_row_without_entries_or_of_smaller_numbers_leaves_the_others_as_they_are() -> None:
    outputs = [
        {"name": "numbers", "datatype": "FP32", "shape": ["batch", "count"]},
        {"name": "labels", "datatype": "INT64", "shape": ["batch", "count"]},
    ]
    served = opened("Found", inputs=[{**X8, "low": -1, "high": 1}], outputs=outputs)
    nothing, one = ({"x": np.full((1, 8), each, np.float32)} for each in (-1, 0))
    one["x"][0, 0] = 100
    some = {"x": np.ones((1, 8), np.float32)}
    found = answers(served, [nothing, one, some])
    assert [each["count"].tolist() for each in found] == [[0], [1], [8]]
    assert found[2]["labels"].tolist() == [list(range(300, 308))]
    assert answers(served, [nothing])[0]["labels"].shape == (1, 0)


def test_rows_of_one_column_and_of_four_share_no_answer() -> None:
    tensor = Tensor("boxes", "FP32", (-1, -1, 4), named=(axis_named(1, "count"),))
    outputs = (tensor, Tensor("count", "INT64", (-1,)))
    rows = [{"boxes": torch.ones(2, 4)}, {"boxes": torch.ones(3, 1)}]
    with pytest.raises(ModelError, match="rows that do not fit together"):
        stacked_rows(rows, outputs, torch.device("cpu"))


def matrices() -> Callable[[Rows], Rows]:
    """Return a matrix for each row, as high as its longest text has words, and wider by three."""

    def run(rows: Rows) -> Rows:
        most = max(len(text.split()) for text in rows["text"])
        return {"matrix": np.ones((len(rows["text"]), most, most + 3), np.float32)}

    return run


def unlike() -> Callable[[Rows], Rows]:
    def run(rows: Rows) -> Rows:
        most = max(len(text.split()) for text in rows["text"])
        return {name: np.ones((len(rows["text"]), most + more), np.float32) for name, more in (("a", 0), ("b", 1))}

    return run


@pytest.mark.parametrize(
    "network, hook, size, pad, told",
    [
        ("RowSums", "matrices", "n", 0, r"n must be the same in every input; got {'matrix': \[\d+, \d+\]}"),
        ("TwoMeans", "unlike", None, "none", r"n must be the same in every input; got {'a': \d+, 'b': \d+}"),
    ],
)
def test_a_hook_whose_arrays_no_padding_makes_alike_is_refused(
    network: str, hook: str, size: str | None, pad: float | str, told: str
) -> None:
    text = {"name": "text", "datatype": "BYTES", "shape": [-1]}
    y = {"name": "y", "datatype": "FP32", "shape": ["batch", *filter(None, [size])]}
    dims, hook = {"n": {"sizes": [8, 16], "pad": pad}}, f"tests.models.test_open_sizes:{hook}"
    with pytest.raises(ModelError, match=told):
        opened(network, inputs=[text], outputs=[y], preprocess=hook, dims=dims)


def test_a_row_without_entries_may_have_any_dimensions() -> None:
    tensor = Tensor("boxes", "FP32", (-1, -1, 4), named=(axis_named(1, "count"),))
    outputs = (tensor, Tensor("count", "INT64", (-1,)))
    rows = [{"boxes": torch.tensor([])}, {"boxes": torch.ones(2, 4)}]
    boxes, counts = stacked_rows(rows, outputs, torch.device("cpu"))
    assert (tuple(boxes.shape), counts.tolist()) == ((2, 2, 4), [0, 2])
    assert tuple(stacked_rows(rows[:1], outputs, torch.device("cpu"))[0].shape) == (1, 0, 4)


def test_lengths_of_one_byte_may_be_of_rows_that_are_longer() -> None:
    x = {"name": "x", "datatype": "FP32", "shape": ["batch", "steps", 4]}
    steps = {"name": "steps_of", "datatype": "UINT8", "shape": ["batch"], "low": 1, "high": "steps"}
    dims = {"steps": {"sizes": [512]}}
    parsed = parse_model({"name": "m", "source": {"factory": "a.b:C"}, "inputs": [x, steps], "dims": dims})
    tensors = as_tensors(parsed.inputs, parsed.open_dims)
    rows: Rows = {"x": np.ones((2, 400, 4), np.float32), "steps_of": np.array([200, 255], np.uint8)}
    assert lowered(rows, tensors, 400)["steps_of"].tolist() == [200, 255]

"""Names in shapes: what they may be, what `dims` says of them, and what an error tells."""

from typing import Any

import pytest

from configs.named_size import named_size
from configs.parse import parse_model
from configs.problems import ConfigError
from configs.schema import ModelConfig

IDS = {"name": "ids", "datatype": "INT64", "shape": ["batch", "tokens"]}
Y = {"name": "y", "datatype": "FP32", "shape": ["batch", 2]}
BASE: dict[str, Any] = {"name": "m", "source": {"factory": "a.b:C"}, "inputs": [IDS], "outputs": [Y]}
TOKENS = {"tokens": {"sizes": [8, 16]}}


def model(**keys: Any) -> ModelConfig:
    return parse_model({**BASE, "dims": TOKENS, **keys})


@pytest.mark.parametrize(
    "text, size, expected",
    [
        ("height", 7, 7),
        ("height/4", 7, 2),
        ("height//4", 7, 1),
        ("tokens-2", 7, 5),
        ("tokens-2", 1, 0),
        ("frames*256", 3, 768),
        ("(samples-10)//5+1", 40, 7),
        ("2*(n+1)", 3, 8),
    ],
)
def test_the_size_of_an_output_is_computed_from_one_name(text: str, size: int, expected: int) -> None:
    assert named_size(1, text).of(size) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "a b", "height*width", "4//height", "height/0", "height**2", "f(x)", "x.y", "x[0]", "1+2"),
        *("x if x else 1", "0xa", "0b1", "ölength", "n # n", "in+1", "True+1", "a" * 201),
    ],
)
def test_nothing_else_is_a_size(text: str) -> None:
    with pytest.raises(ValueError, match="is no size"):
        named_size(1, text)


@pytest.mark.parametrize("word", ["in", "as", "größe", "_"])
def test_any_name_may_be_a_dimension(word: str) -> None:
    assert named_size(1, word).plain


def test_shapes_show_open_sizes_as_metadata_does() -> None:
    config = model(outputs=[{"name": "y", "datatype": "FP32", "shape": ["batch", "tokens", 9]}])
    assert (config.inputs[0].sizes, config.outputs[0].sizes) == ((-1, -1), (-1, -1, 9))
    assert config.middle_sizes == (16,)
    assert not config.fixed_shapes


BAD: list[tuple[dict[str, Any], str]] = [
    ({"dims": {}}, r"input 'ids' names tokens, which dims does not list: give it a size, or list the sizes to warm"),
    ({"dims": {}}, r"\nhelp: write dims: \{tokens: \{sizes: \[16, 32, 64\]\}\}"),
    ({"inputs": [{**IDS, "shape": ["batch", "token"]}]}, r"names token, which dims .*\nhelp: did you mean 'tokens'\?"),
    (
        {"inputs": [{**IDS, "shape": ["tokens"]}]},
        r"shape \[tokens\], whose first size counts the rows\nhelp: write shape: \[batch, tokens\]",
    ),
    ({"dims": {"tokens": [8, 16]}}, r"dims.tokens: has keys of its own; got \[8, 16\]\nhelp: .*the keys sizes, pad"),
    ({"dims": {"tokens": {"sizes": [8], "pads": 0}}}, r"pads: unknown key\nhelp: did you mean 'pad'\?"),
    ({"dims": {"tokens": {"sizes": [8], "x": 0}}}, r"x: unknown key\nhelp: known here: pad, sizes"),
    ({"inputs": ()}, r"inputs: is missing\nhelp: list them, as inputs: .* or name an example"),
    ({"dims": {**TOKENS, "other": {"sizes": [1]}}}, "dims lists other, but no input names it"),
    ({"dims": {"tokens": {"sizes": [16, 8]}}}, r"sizes \[16, 8\] must be positive and ascending"),
    ({"dims": {"tokens": {"sizes": [8], "pad": "maybe"}}}, "'maybe' is no padding"),
    ({"dims": {"tokens": {"sizes": [8], "pad": 0.5}}}, "the padding of 'ids' in tokens is 0.5, but INT64 holds whole"),
    ({"dims": {"tokens": {"sizes": [8], "pad": {"ids": 1e30}}}}, "which INT64 cannot hold"),
    ({"dims": {"tokens": {"sizes": [8], "pad": {"mask": 1}}}}, "is padded in 'mask', which does not have it"),
    ({"dims": {"tokens": {"sizes": list(range(1, 70))}}}, "69 of tokens sizes, 69 shapes in all, and a start warms 64"),
    ({"lengths": [4]}, "lengths is for one dimension without a name"),
    ({"inputs": [{**IDS, "shape": ["batch", "tokens", "batch"]}]}, "names batch again, but only the first size"),
    ({"inputs": [{**IDS, "shape": ["batch", "tokens/2"]}]}, "only an output's may be computed"),
    ({"inputs": [{**IDS, "shape": ["batch", True]}]}, "True is no size"),
    ({"inputs": [IDS, {**IDS, "name": "n", "shape": [-1], "high": "steps"}]}, "has high: steps, which dims does not"),
    (
        {"outputs": [{**Y, "shape": ["batch", "token", 2]}]},
        r"names token, .*\n.*write tokens, or give the count",
    ),
    ({"outputs": [{**Y, "shape": ["batch", "count/2"]}]}, "a count is a name of its own"),
    ({"outputs": [{**Y, "shape": ["batch", "boxes", "points"]}]}, "has two counts, boxes and points"),
    ({"outputs": [{**Y, "name": "tokens"}]}, "has the name of a dimension"),
    ({"outputs": [{**Y, "shape": [-1, "n"]}, {**Y, "name": "n"}]}, "output 'n' counts the n of other outputs: its"),
    ({"preprocess": "a.b:C", "dims": {**TOKENS, "frames": {"sizes": [4]}}}, "write model_inputs"),
    ({"model_inputs": [IDS]}, "model_inputs are what preprocess returns, and there is none"),
]


@pytest.mark.parametrize("keys, told", BAD)
def test_what_contradicts_itself_is_told_before_anything_starts(keys: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        model(**keys)


def test_two_dimensions_that_pad_one_input_with_two_values_are_refused() -> None:
    image = {"name": "x", "datatype": "FP32", "shape": ["batch", "h", "w"]}
    dims = {"h": {"sizes": [4], "pad": 0}, "w": {"sizes": [4], "pad": 1}}
    with pytest.raises(ConfigError, match="'x' is padded with 0 in one dimension and with 1 in w"):
        model(inputs=[image], dims=dims)
    model(inputs=[image], dims={**dims, "w": {"sizes": [4], "pad": "none"}})

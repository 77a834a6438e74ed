"""What a network returns reaches its outputs by `from`, by name or by order, and equals what eager returns."""

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pytest
import torch

from models.errors import ModelError
from models.runtime.output_paths import ReadOutputs, as_graph
from models.signature import Tensor
from models.startup.open_model import OpenedModel, open_model
from models.startup.output_binding import BY_NAME, BY_ORDER, ONE_TENSOR, reading_of
from tests.models import output_networks
from tests.models.test_open_model import config

NETWORKS = "tests.models.output_networks"
BACKENDS = ["eager", "torchscript"]
X = np.random.default_rng(3).standard_normal((3, 4)).astype(np.float32)
Y = torch.from_numpy(X)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path))


def output(name: str, path: object = None, shape: tuple[int, ...] = (-1, 3), datatype: str = "FP32") -> dict[str, Any]:
    found = {"name": name, "datatype": datatype, "shape": list(shape)}
    return found if path is None else {**found, "from": path}


def opened(network: str, *outputs: dict[str, Any], **keys: Any) -> OpenedModel:
    given = {"outputs": list(outputs or (output("y"),)), "max_batch_size": 4, **keys}
    return open_model(config(f"{NETWORKS}:{network}", **given), "cpu")


def answers(network: str, *outputs: dict[str, Any], **keys: Any) -> tuple[dict[str, Any], str]:
    served = opened(network, *outputs, **keys)
    return served.runner.run([{"x": X}]), served.outputs_read


def eager(network: str) -> Any:
    with torch.inference_mode():
        return getattr(output_networks, network)()(Y)


def same(found: dict[str, Any], **expected: Any) -> None:
    assert list(found) == list(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], np.asarray(value), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("network, where", [("WithNone", BY_ORDER), ("NoneFirst", "y from 1.0"), ("Data", BY_NAME)])
def test_none_is_left_out_wherever_it_is(network: str, where: str, backend: str) -> None:
    found, how = answers(network, backend=backend)
    same(found, y=eager("Bare"))
    assert how == where


@pytest.mark.parametrize("backend", BACKENDS)
def test_from_reaches_into_lists_and_leaves_out_what_is_not_listed(backend: str) -> None:
    y, (first, last) = eager("Yolo")
    found, how = answers("Yolo", output("a", 1.0), output("y", 0), output("b", "1.-1"), backend=backend)
    same(found, a=first, y=y, b=last)
    assert how == "a from 1.0, y from 0, b from 1.-1"
    same(answers("Yolo", output("y", 0), backend=backend)[0], y=y)


@pytest.mark.parametrize("backend", BACKENDS)
def test_nested_tuples_are_read_by_order(backend: str) -> None:
    steps, (h, c) = eager("Recurrent")
    same(answers("Recurrent", output("s"), output("h"), output("c"), backend=backend)[0], s=steps, h=h, c=c)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("network", ["Names", "Tuple"])
def test_names_count_where_they_are_and_not_the_order(network: str, backend: str) -> None:
    y = eager("Bare")
    found, how = answers(network, output("y"), output("z"), backend=backend)
    same(found, y=y, z=-y)
    assert how == BY_NAME
    same(answers(network, output("z"), backend=backend)[0], z=-y)


@pytest.mark.parametrize("backend", BACKENDS)
def test_paths_go_through_dicts_dataclasses_and_plain_objects(backend: str) -> None:
    y = eager("Bare")
    same(answers("Deep", output("y", "head.y"), output("z", "head.aux.2"), backend=backend)[0], y=y, z=-y)
    same(answers("Deep", output("y", "3.0"), backend=backend)[0], y=y)
    same(answers("Data", output("y"), output("z", "more.z.-1"), backend=backend)[0], y=y, z=-y)
    same(answers("Plain", output("out", "y"), backend=backend)[0], out=y)


def test_what_loops_on_its_data_is_scripted_with_its_nested_outputs() -> None:
    served = opened("Script", output("a", "1.0"), output("b", "1.1.0"), backend="torchscript")
    _, (double, [same_y]) = eager("Script")
    assert served.how == "script"
    same(served.runner.run([{"x": X}]), a=double, b=same_y)


def test_a_torchscript_file_and_an_export_keep_what_they_return(tmp_path: Path) -> None:
    scripted: torch.jit.ScriptModule = torch.jit.script(output_networks.Yolo())
    scripted.save(str(tmp_path / "m.pt"))
    rows = torch.export.Dim("rows", min=1, max=8)
    torch.export.save(
        torch.export.export(output_networks.Yolo(), (Y,), dynamic_shapes=({0: rows},)), tmp_path / "m.pt2"
    )
    _, (_, last) = eager("Yolo")
    for source in ({"torchscript": "m.pt"}, {"exported_program": "m.pt2"}):
        keys = {key: str(tmp_path / name) for key, name in source.items()}
        same(
            answers(
                "", output("b", "1.1"), source=keys, backend="eager" if "exported_program" in keys else "torchscript"
            )[0],
            b=last,
        )


def test_one_output_takes_the_one_tensor_whatever_its_name() -> None:
    result = {"logits": Y, "loss": None}
    assert reading_of(result, [Tensor("y", "FP32", (-1, 4))], 3).how == "y from logits"
    with pytest.raises(
        ModelError, match=r"y is not in it\nhelp: name the outputs as the model does, or .*`from: logits`"
    ):
        reading_of({"logits": Y, "other": Y}, [Tensor("y", "FP32", (-1, 4))], 3)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_list_with_an_entry_a_row_is_an_output(backend: str) -> None:
    y = eager("Bare")
    same(answers("Numbers", output("n", shape=(-1,)), output("y"), backend=backend)[0], n=y[:, 0], y=y)
    same(answers("OneARow", output("s", shape=(-1,)), backend=backend)[0], s=y.sum(1))


def test_a_key_with_points_in_it_is_found_and_the_longest_counts() -> None:
    y = eager("Bare")
    found, how = answers("Pointed", output("y", "a.b"), output("z", "a.c"), output("q", "d.e.0"))
    same(found, y=y, z=-y, q=2 * y)
    assert how == "y from a.b, z from a.c, q from d.e.0"


@pytest.mark.parametrize("network", ["Scalar", "Number"])
def test_a_single_number_is_no_answer_of_rows(network: str) -> None:
    with pytest.raises(
        ModelError, match=r"output 't': forward returns a single number.*\nhelp: return one value a row"
    ):
        opened(network, output("y"), output("t", shape=(-1,)))
    same(answers(network)[0], y=eager("Bare"))


@pytest.mark.parametrize(
    "network, outputs, said",
    [
        ("Yolo", [output("y")], r"names \['y'\], forward returned 0: tensor \[3, 3\], 1.0: .*, 1.1: .*`from: 0`"),
        ("Pair", [output("y")], "list one output per tensor"),
        ("Names", [output("y"), output("q")], r"names \['y', 'q'\], forward returned z: .*, y: .*: q is not in it"),
        ("Data", [output("q"), output("r")], "q, r are not in it"),
        ("Yolo", [output("y", "--1")], "there is no --1 in the tuple"),
        ("WithNone", [output("y", 0), output("z")], "give each output its `from`"),
        ("Yolo", [output("y", 0), output("z")], r"only \['y'\] have `from`, and \['z'\] are no names"),
        ("Yolo", [output("y", "1.2")], "from: 1.2: there is no 2 in the list at 1"),
        ("Yolo", [output("y", "logits")], "there is no logits in the tuple"),
        ("Yolo", [output("y", "0.0")], r"there is no 0 in the tensor \[3, 3\] at 0"),
        ("Yolo", [output("y", 1)], "forward returns list at 1"),
        ("Data", [output("y", "loss")], "forward returns None at loss"),
        ("Mixed", [output("y"), output("aux"), output("b")], "by order y is 0, .* with that name elsewhere"),
        ("Bare", [output("y", 0)], "there is no 0 in the tensor"),
        ("Plain", [output("y")], "forward returns Held, the config says"),
        (
            "Ends",
            [output("q", "y")],
            r"from: y: reading y raised SystemExit: 3 \(tests/models/output_networks.py, line",
        ),
        ("Pointed", [output("y", "a.b.d")], r"there is no d in the tensor \[3, 3\] at a.b"),
    ],
)
def test_what_does_not_say_which_is_which_is_refused_with_what_came(
    network: str, outputs: list[Any], said: str
) -> None:
    with pytest.raises(ModelError, match=f"(?s){said}") as refused:
        opened(network, *outputs, backend="eager")
    assert refused.value.help


@pytest.mark.parametrize(
    "network, path, said",
    [
        ("Grows", None, "forward returned 3 values, at the start 2"),
        ("Vanishes", "head.y", r"forward returned nothing there \(TypeError\) at head.y"),
    ],
)
def test_another_structure_at_a_later_call_is_an_error_and_no_other_answer(
    network: str, path: str | None, said: str
) -> None:
    served = opened(network, output("y", path), backend="eager")
    with pytest.raises(ModelError, match=said):
        served.runner.run([{"x": np.full((1, 4), 77, np.float32)}])
    same(served.runner.run([{"x": X}]), y=eager("Bare"))


TURN = 12345.0


class Pair(NamedTuple):
    b: torch.Tensor
    a: torch.Tensor


class Turns(torch.nn.Module):
    """Returns the same two tensors each time, in the form that the first number names."""

    forms: ClassVar[dict[str, Any]] = {
        "dict": lambda a, b: {"a": a, "b": b},
        "tuple": lambda a, b: (a, b),
        "turned": lambda a, b: (b, a),
        "pair": lambda a, b: Pair(b, a),
        "nested": lambda a, b: (None, (a, b)),
        "nested pair": lambda a, b: (None, Pair(b, a)),
    }

    def __init__(self, first: str, then: str) -> None:
        super().__init__()
        self.first, self.then = first, then

    def forward(self, x: torch.Tensor) -> Any:
        a, b = x + 1, 10 * x
        return self.forms[self.then if bool((x == TURN).any()) else self.first](a, b)


@pytest.mark.parametrize(
    "first, then",
    [("dict", "turned"), ("dict", "pair"), ("tuple", "pair"), ("tuple", "dict"), ("nested", "nested pair")],
)
def test_what_is_read_by_name_is_never_read_by_its_place_later(first: str, then: str) -> None:
    source = {"factory": f"{__name__}:Turns", "kwargs": {"first": first, "then": then}}
    outputs = [output("a", shape=(-1, 4)), output("b", shape=(-1, 4))]
    runner = open_model(config(source=source, outputs=outputs, backend="eager"), "cpu").runner
    same(runner.run([{"x": X}]), a=X + 1, b=10 * X)
    with pytest.raises(ModelError, match=r"at first|than at the start"):
        runner.run([{"x": np.full_like(X, TURN)}])
    same(runner.run([{"x": X}]), a=X + 1, b=10 * X)


def test_a_list_in_torchscript_keeps_its_length() -> None:
    module = torch.jit.script(output_networks.Lengthens())
    outputs = [Tensor(name, "FP32", (-1, 3)) for name in "ab"]
    # As a nested list would be, which no tuple holds.
    reading = replace(reading_of(module(Y), outputs, 3), plain=False)
    made: Any = torch.jit.script(as_graph(reading.wrapped(module, [Tensor("x", "FP32", (-1, 4))])))
    assert torch.equal(made(Y)[1], -module(Y)[0])
    with pytest.raises(torch.jit.Error, match="forward returned other than 2 values"):
        made(torch.full((1, 4), 77.0))


def test_an_attribute_that_ends_the_process_ends_its_batch_alone() -> None:
    served = opened("Later", output("y", "y"), backend="eager")
    with pytest.raises(Exception, match="SystemExit"):
        served.runner.run([{"x": np.full((1, 4), 77, np.float32)}])
    same(served.runner.run([{"x": X}]), y=eager("Bare"))


@pytest.mark.parametrize(
    "network, names, how", [("Bare", "y", ONE_TENSOR), ("Pair", "ab", BY_ORDER), ("Names", "zy", BY_NAME)]
)
def test_what_returns_the_outputs_alone_is_called_as_it_is(network: str, names: str, how: str) -> None:
    module, outputs = getattr(output_networks, network)(), [Tensor(name, "FP32", (-1, 3)) for name in names]
    reading = reading_of(module(Y), outputs, 3)
    assert reading.wrapped(module, [Tensor("x", "FP32", (-1, 4))]) is module
    assert reading.how == how


def test_a_graph_of_the_outputs_has_the_names_of_the_inputs() -> None:
    module = output_networks.Yolo()
    reading = reading_of(module(Y), [Tensor("y", "FP32", (-1, 3), path="1.1")], 3)
    for name, parameter in (("price", "price"), ("a b", "input_0"), ("self", "input_0")):
        graph = as_graph(ReadOutputs(module, reading, [name]))
        [found] = graph(**{parameter: Y})
        assert torch.equal(found, module(Y)[1][1])


def test_the_metadata_says_where_each_output_is() -> None:
    assert opened("Yolo", output("y", 0)).summary()["outputs_read"] == BY_ORDER
    assert opened("Yolo", output("y", 1.0)).summary()["outputs_read"] == "y from 1.0"


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_transformers_network_is_served_as_it_returns(backend: str) -> None:
    ids = np.arange(24).reshape(3, 8) % 20
    inputs = [{"name": "input_ids", "datatype": "INT64", "shape": [-1, 8], "low": 0, "high": 19}]
    outputs = [output("logits"), output("last", "hidden_states.-1", (-1, 8, 8))]
    served = opened("bert", *outputs, inputs=inputs, backend=backend)
    with torch.inference_mode():
        expected = output_networks.bert().eval()(torch.from_numpy(ids))
    same(served.runner.run([{"input_ids": ids}]), logits=expected.logits, last=expected.hidden_states[-1])
    assert served.outputs_read == "logits from logits, last from hidden_states.-1"

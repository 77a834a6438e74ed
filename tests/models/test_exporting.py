"""What torch.export says of a network, and which traces are trusted by it."""

import importlib
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from configs.schema import ModelConfig
from configs.tensors import DimConfig
from models.compile import exporting, tracing
from models.compile.build import Uncompiled
from models.compile.exporting import Exported, exported
from models.compile.refused import Refused, sentences
from models.compile.torchscript import faithful
from models.parity import TOLERANCES
from models.runtime.dims import all_sizes, dims_in
from models.runtime.layout import Layout
from models.signature import Shape, as_tensors, signature_of
from models.startup.open_model import OpenedModel, open_model
from tests.models import exported_networks as networks
from tests.models.networks import Linear

HERE = "tests/models/exported_networks.py"
OPEN = [{"name": "x", "datatype": "FP32", "shape": [-1, "length"]}]
FIXED = [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path))
    return tmp_path


def config(network: str, **keys: Any) -> ModelConfig:
    base: dict[str, Any] = {
        "name": "m",
        "source": {"factory": f"tests.models.exported_networks:{network}"},
        "inputs": FIXED,
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 2]}],
        "max_batch_size": 8,
    }
    return ModelConfig.model_validate({**base, **keys})


def opened(network: str, **keys: Any) -> OpenedModel:
    return open_model(config(network, **{"backend": "torchscript", **keys}), "cpu")


def given(module: nn.Module, lengths: Sequence[int] = (), pad: Any = 0.0, **layout: Any) -> Uncompiled:
    dims = {"length": DimConfig(sizes=tuple(lengths), pad=pad)} if lengths else {}
    keys: dict[str, Any] = {"inputs": OPEN, "dims": {"length": {"sizes": list(lengths), "pad": pad}}} if lengths else {}
    ours = config("DataBranch", **keys)
    place = Layout(torch.device("cpu"), torch.float32, False, (1, 2, 4, 8), dims_in(dims), **layout)

    def draw(shape: Shape, seed: int) -> list[torch.Tensor]:
        generator = torch.Generator().manual_seed(seed)
        return [torch.randn(shape[0], *(shape[1] or (4,)), generator=generator)]

    probes = [draw((rows, all_sizes(place.dims)[0]), rows) for rows in (8, 3, 1)]
    inputs, outputs = as_tensors(ours.inputs, ours.open_dims), signature_of(ours).outputs
    return Uncompiled(module.eval(), probes, inputs, outputs, place, ours, draw=draw)


def traced(network: Uncompiled) -> tuple[str, str]:
    """Return how a network is made that may only be traced, and why nothing else."""
    made = faithful(network, "trace", TOLERANCES["fp32"])
    return made.how, sentences(each for each in made.refused if each.way != "script")


def refused(network: Uncompiled) -> Refused:
    found = exported(network)
    assert isinstance(found, Refused)
    return found


def program(network: Uncompiled) -> Exported:
    found = exported(network)
    assert isinstance(found, Exported), found
    return found


@pytest.mark.parametrize(
    "network, text",
    [
        (networks.DataBranch, "if float(x.sum()) > 0:"),
        (networks.Detector, "if all(abs(float(row[each] - row[other])) > 0.5 for other in kept):"),
    ],
)
def test_a_branch_on_data_is_named_by_file_line_and_code(network: type[nn.Module], text: str) -> None:
    lines = Path(HERE).read_text().splitlines()
    line = next(number for number, each in enumerate(lines, 1) if each.strip() == text)
    found = refused(given(network()))
    assert (found.code, found.file, found.line, found.text) == ("data_branch", HERE, line, text)
    how, why = traced(given(network()))
    assert how != "trace"
    assert why == (
        f"a trace would be wrong for other inputs: control flow depends on the data at {HERE}:{line}: `{text}`"
    )


def test_a_branch_in_a_library_is_named_by_the_library_s_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "halting.py").write_text("def halted(x):\n    while x.max() > 1:\n        x = x / 2\n    return x\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    halted = importlib.import_module("halting").halted
    monkeypatch.setattr(Linear, "forward", lambda self, x: self.layer(halted(x)))
    found = refused(given(Linear()))
    sys.modules.pop("halting")
    assert found.sentence == "control flow depends on the data at halting.py:2: `while x.max() > 1:`"


def test_the_line_is_in_the_log_and_in_the_metadata(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("pitstop").propagate = True
    served = opened("Detector", torchscript="trace")
    assert served.how == "eager"
    assert f"control flow depends on the data at {HERE}:" in caplog.text
    [check] = [each for each in served.summary()["checks"] if each["check"] == "compilation"]
    found = json.loads(json.dumps(check))["refused"][0]
    assert (found["way"], found["code"], found["file"]) == ("trace", "data_branch", HERE)
    assert found["text"].startswith("if all(abs(")


def test_nothing_of_a_failed_export_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    refused(given(networks.DataBranch()))
    assert capfd.readouterr() == ("", "")


def test_a_number_that_is_read_out_of_the_data_exports_and_is_not_traced() -> None:
    found = program(given(networks.Item()))
    assert found.frozen is not None
    assert (found.frozen.code, found.frozen.file) == ("data_value", HERE)
    assert found.frozen.text == "return super().forward(x) * x.abs().max().item()"
    how, why = traced(given(networks.Item()))
    assert how != "trace"
    assert "a number is read out of the data at " + HERE in why


@pytest.mark.parametrize("network", [networks.BranchesUnlessExported, networks.Equals])
def test_a_branch_that_an_export_does_not_take_is_found_while_it_is_traced(network: type[nn.Module]) -> None:
    assert program(given(network())).frozen is None
    how, why = traced(given(network()))
    assert how != "trace"
    assert f"control flow depends on the data at {HERE}" in why
    assert "is_compiling() and" in why


def test_a_branch_on_a_size_that_goes_one_way_for_all_that_may_come_is_traced() -> None:
    assert program(given(networks.SizeBranch())).frozen is None
    assert traced(given(networks.SizeBranch())) == ("trace", "")


def test_a_branch_on_the_rows_that_may_come_is_not() -> None:
    found = refused(given(networks.RowsDecide()))
    assert (found.code, found.said) == ("fixed_size", "the number of rows")
    how, why = traced(given(networks.RowsDecide()))
    assert how != "trace"
    assert why.startswith("torch.export cannot leave the number of rows open; a trace may be wrong")


def test_a_size_that_python_computed_exports_and_the_trace_is_found_wrong_at_a_warmed_size() -> None:
    network = given(networks.SizeArithmetic(), (8, 16, 64))
    assert program(network).frozen is None
    how, why = traced(network)
    assert how != "trace"
    assert "on fresh ones it differs from eager by" in why


@pytest.mark.parametrize("keys", [{"lengths": (8, 16), "pad": "none"}, {"lengths": (8, 16), "whole": True}])
def test_what_a_trace_froze_of_a_size_is_not_trusted_where_any_size_may_come(keys: dict[str, Any]) -> None:
    network = given(networks.SizeArithmetic(), **keys)
    program(network)
    how, why = traced(network)
    assert how != "trace"
    assert "a trace may be wrong for other sizes, of which requests may bring any" in why


def test_a_size_that_is_warmed_once_and_not_padded_is_open() -> None:
    found = program(given(networks.SizeArithmetic(), (16,), "none"))
    assert found.program.module()(torch.ones(3, 7)).tolist() == [[7.0, 7.0]] * 3


def test_multiples_of_sixteen_export_where_every_warmed_size_is_one() -> None:
    network = given(networks.SixteenEach(), (32, 48, 64))
    found = program(network)
    assert found.narrowed == ("length",)
    for length in (32, 48, 64):
        x = torch.randn(3, length)
        assert torch.allclose(found.program.module()(x), networks.SixteenEach()(x))
    assert traced(network) == ("trace", "")


@pytest.mark.parametrize("lengths", [(32, 40, 48), (16, 32)])
def test_a_size_that_is_no_multiple_or_of_which_torch_would_make_a_one_is_not_open(lengths: tuple[int, ...]) -> None:
    assert refused(given(networks.SixteenEach(), lengths)).code == "fixed_size"


@pytest.mark.parametrize("rows", [1, 2, 8])
def test_an_export_takes_every_number_of_rows(rows: int) -> None:
    network = given(networks.SizeBranch())
    x = torch.randn(rows, 4)
    assert torch.allclose(program(network).program.module()(x), network.module(x))
    assert torch.allclose(program(replace(network, draw=None)).program.module()(x), network.module(x))


def test_where_one_batch_size_is_warmed_the_rows_are_fixed() -> None:
    network = given(networks.RowsDecide())
    alone = replace(network, layout=replace(network.layout, sizes=(8,)))
    assert program(alone).narrowed == ()
    with pytest.raises(Exception, match=r"(?i)guard|expected"):
        program(alone).program.module()(torch.ones(3, 4))


def test_an_export_leaves_a_network_as_it_was() -> None:
    network = given(networks.Buffered())
    assert program(network).frozen is None
    assert network.module.cached is None
    x = torch.randn(3, 4)
    assert torch.equal(network.module(x), networks.Buffered()(x))


def test_a_cache_of_the_network_s_file_holds_nothing_of_an_export() -> None:
    network, x = given(networks.Cached()), torch.randn(3, 4)
    before = network.module(x)  # As the checks before a compilation run it.
    program(network)
    assert torch.equal(network.module(x), before)


def test_a_network_that_does_not_export_says_where_and_today_s_evidence_holds() -> None:
    found = refused(given(networks.Numpy()))
    assert (found.code, found.file) == ("not_exportable", HERE)
    assert found.sentence.startswith("torch.export fails (RuntimeError: .numpy() is not supported")
    how, why = traced(given(networks.Numpy()))
    assert how != "trace"
    assert why.startswith("torch.export fails (RuntimeError: .numpy()")
    assert "a trace may be wrong for other inputs: it would freeze a value (Converting" in why


def test_a_network_that_takes_forever_to_export_does_not_hold_up_a_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "_START_S", 0.3)
    assert refused(given(networks.Endless())).sentence == "recording the forward takes too long"
    assert traced(given(networks.Endless()))[0] != "trace"


def test_a_comparison_that_takes_too_long_for_a_start_is_left_to_a_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "_START_S", -1.0)
    network = given(networks.SizeBranch())
    how, why = traced(network)
    assert how != "trace"
    assert why == "to compare a trace with eager at every warmed size takes too long"
    assert traced(replace(network, minutes=True)) == ("trace", "")


def test_without_a_way_to_draw_other_shapes_a_trace_with_a_warning_is_not_trusted() -> None:
    assert traced(replace(given(networks.SizeBranch()), draw=None))[0] != "trace"


@pytest.mark.parametrize("network", ["KeywordsOnly", "Variadic", "AsDict", "AsList", "Buffered", "Cached"])
def test_whatever_a_network_takes_and_returns_its_trace_is_judged(network: str) -> None:
    served = opened(network, torchscript="trace")
    assert served.how == "trace"
    assert served.checks.compilation.deviation < 1e-6


def test_a_list_of_rows_is_for_python_alone() -> None:
    outputs = [{"name": "y", "datatype": "FP32", "shape": [-1, "found"]}]
    served = opened("ListOfRows", outputs=outputs, torchscript="trace")
    assert [each.code for each in served.checks.compilation.refused] == ["list_of_rows"]


def test_a_trace_that_was_kept_is_not_taken_for_other_sizes() -> None:
    keys: dict[str, Any] = {"inputs": OPEN, "torchscript": "trace"}
    one = opened("SizeArithmetic", dims={"length": {"sizes": [8], "pad": 0}}, **keys)
    assert one.how == "trace"
    assert opened("SizeArithmetic", dims={"length": {"sizes": [8, 64], "pad": 0}}, **keys).how == "script"


@pytest.mark.parametrize("kind", ["bert", "vit", "detr"])
def test_a_network_of_transformers_is_a_trace_that_equals_eager_at_every_warmed_shape(kind: str) -> None:
    pytest.importorskip("transformers")
    source: dict[str, Any] = {"factory": "tests.models.exported_networks:tiny", "kwargs": {"kind": kind}}
    tokens = [
        {"name": "input_ids", "datatype": "INT64", "shape": [-1, "tokens"], "low": 1, "high": 49},
        {"name": "attention_mask", "datatype": "INT64", "shape": [-1, "tokens"], "low": 1, "high": 1},
    ]
    pixels = [{"name": "pixel_values", "datatype": "FP32", "shape": [-1, 3, 16, 16]}]
    keys: dict[str, Any] = {"inputs": tokens, "dims": {"tokens": {"sizes": [8, 16], "pad": 0}}}
    keys = keys if kind == "bert" else {"inputs": pixels}
    named = [{"name": "logits", "datatype": "FP32", "shape": [-1, 2]}]
    if kind == "detr":
        source = {"factory": "tests.coverage.networks.detection:detr"}
        keys = {"inputs": [{"name": "pixel_values", "datatype": "FP32", "shape": [-1, 3, 64, 64]}]}
        named = [{"name": "logits", "datatype": "FP32", "shape": [-1, 6, 4]}]
    served = open_model(config("", source=source, outputs=named, **{"max_batch_size": 4, **keys}), "cpu")
    assert served.how == "trace"
    assert served.checks.compilation.deviation < 1e-5


def test_a_refusal_is_plain_data() -> None:
    found = refused(given(networks.DataBranch()))
    assert Refused(**json.loads(json.dumps(asdict(found)))) == found
    assert np.isfinite(found.deviation)

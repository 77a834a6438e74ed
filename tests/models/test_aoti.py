"""The backend that compiles with AOTInductor: built once, loaded by every start, and refused with a reason."""

import logging
import os
import subprocess
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch._inductor import cpp_builder

from configs.schema import ModelConfig
from models import cache
from models.compile import aoti
from models.compile.aoti import build, compile_package, has_compiler
from models.compile.aoti_container import load
from models.compile.build import Compiled, Uncompiled
from models.compile.expected_inputs import expected_by, from_json, to_json
from models.compile.refused import Refused, sentences
from models.runtime.layout import Layout
from models.runtime.runner import Runner
from models.signature import signature_of
from models.sources import exported_program
from tests.models.aoti_networks import Words, exported
from tests.models.networks import Linear, Scaled
from tests.models.test_open_model import config
from tests.models.untold_networks import UNTOLD, Guard

CPU = torch.device("cpu")
LAYOUT = Layout(CPU, torch.float32, False, (1, 2, 4, 8), ())
needs_compiler = pytest.mark.skipif(not has_compiler(), reason="needs a C++ compiler")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _cache(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PITSTOP_CACHE", str(home))
    monkeypatch.setattr(logging.getLogger("pitstop"), "propagate", True)


def given(module: nn.Module | None = None, minutes: bool = False, identity: str | None = "linear") -> Uncompiled:
    made, model = config(backend="aoti"), Linear().eval() if module is None else module
    probes = [(torch.rand(8, 4),), (torch.rand(3, 4),)]
    signature = signature_of(made)
    return Uncompiled(model, probes, signature.inputs, signature.outputs, LAYOUT, made, identity, minutes)


def reason(compiled: Compiled) -> str:
    assert compiled.eager
    return sentences(compiled.refused)


@pytest.fixture(scope="module")
def built(home: Path) -> Compiled:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PITSTOP_CACHE", str(home))
        return build(given(minutes=True))


def test_a_start_never_compiles_and_says_what_would() -> None:
    assert "`pitstop build` does it" in reason(build(given(identity="never built")))


@needs_compiler
def test_what_was_built_is_loaded_by_a_start_and_answers_as_eager_does(built: Compiled) -> None:
    loaded = build(given())
    assert (built.how, built.made, loaded.how, loaded.made) == ("aoti", "now", "aoti", "before")
    signature = signature_of(config())
    for compiled in (built, loaded):
        runner = Runner(compiled.forward, signature.inputs, signature.outputs, LAYOUT)
        for rows in (1, 2, 3, 8):
            x = np.random.default_rng(rows).random((rows, 4), np.float32)
            expected = Linear()(torch.from_numpy(x)).detach().numpy()
            np.testing.assert_allclose(runner.run([{"x": x}])["y"], expected, rtol=1e-5, atol=1e-6)


@needs_compiler
@pytest.mark.usefixtures("built")
def test_the_weights_of_a_package_are_frozen(home: Path) -> None:
    [package] = (home / "aoti").glob("*.pt2")
    with zipfile.ZipFile(package) as archive:
        sources = [archive.read(each) for each in archive.namelist() if each.endswith(".cpp")]
    assert any(b"frozen" in each for each in sources)


@needs_compiler
@pytest.mark.usefixtures("built")
def test_another_network_is_not_taken_for_it() -> None:
    assert "`pitstop build` does it" in reason(build(given(identity="another")))
    assert "`pitstop build` does it" in reason(build(given(identity=None)))


@needs_compiler
@pytest.mark.usefixtures("built")
def test_compiling_leaves_no_setting_process_or_file_of_its_own(home: Path) -> None:
    assert not torch._inductor.config.freezing
    assert os.environ.get("TORCHINDUCTOR_CACHE_DIR") != str(aoti._workshop())
    listed = ["ps", "--ppid", str(os.getpid()), "-o", "args="]
    children = subprocess.run(listed, check=True, capture_output=True, text=True).stdout.splitlines()
    assert [each for each in children if "ps --ppid" not in each and "resource_tracker" not in each] == []
    kept = {path.suffix for path in (home / "aoti").rglob("*") if path.is_file()}
    assert kept == {".json", ".pt2", ".so"}
    left = [path for path in aoti._workshop().rglob("*") if path.is_file() and "headers" not in path.parts]
    assert sum(path.stat().st_size for path in left) < 2**20
    assert cache.used_bytes() == sum(path.stat().st_size for path in home.rglob("*") if path.is_file())


@needs_compiler
def test_a_program_of_a_file_is_compiled_too_and_says_nothing_on_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "linear.pt2"
    torch.export.save(exported(Linear(), (torch.rand(3, 4),), "rows", most=8), str(path))
    module = exported_program.load(path, "linear.pt2")
    capfd.readouterr()
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        compiled = build(given(module, minutes=True, identity="a file"))
    assert compiled.how == "aoti"
    assert [str(each.message) for each in heard] == []
    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING] == []
    assert tuple(capfd.readouterr()) == ("", "")
    x = torch.rand(5, 4)
    torch.testing.assert_close(compiled.forward(x)[0], Linear()(x))


def test_a_compiler_that_is_named_and_not_there_is_told() -> None:
    with torch._inductor.config.patch({"cpp.cxx": (None, "/nowhere/g++")}):
        cpp_builder.cpp_compiler_search.cache_clear()
        said = reason(build(given(minutes=True, identity="no compiler")))
    assert said == (
        "the C++ compiler does not work (g++: No such file or directory); correct it, or name another in $CXX"
    )


def test_a_compiler_that_fails_is_told_with_its_first_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    cpp_builder.cpp_compiler_search.cache_clear()
    with torch._inductor.config.patch({"cpp.cxx": (None, "g++")}):
        assert "there is no C++ compiler; install g++" in reason(build(given(minutes=True, identity="none")))
        (tmp_path / "g++").write_text("#!/bin/sh\necho >&2\necho 'no license: ask the operator' >&2\nexit 1\n")
        (tmp_path / "g++").chmod(0o755)
        assert "does not work (g++: no license: ask the operator)" in reason(build(given(minutes=True, identity="bad")))


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"random": True}, "its random numbers would differ from eager's"),
        ({}, "torch.export does not read"),
    ],
)
def test_what_can_never_be_compiled_is_refused_in_a_start_too(changes: dict[str, Any], said: str) -> None:
    module = Linear().eval() if changes else torch.jit.script(Linear().eval())
    one = given(module)
    changed = ModelConfig.model_validate({**one.config.model_dump(), **changes})
    refused = build(Uncompiled(module, one.probes, one.model_inputs, one.outputs, LAYOUT, changed, "x", True))
    assert said in reason(refused)


@needs_compiler
def test_a_compilation_that_fails_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    error = "C++ compile error\n\nCommand:\ng++ model.cpp\n\nOutput:\nmodel.cpp:3:1: error: no such thing\n"

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError(error)

    monkeypatch.setattr(torch._inductor, "aoti_compile_and_package", fails)
    said = reason(build(given(Scaled(2.0).eval(), minutes=True, identity="fails")))
    assert said == "AOTInductor fails (g++: model.cpp:3:1: error: no such thing)"
    error = "C++ compile error\n\nCommand:\ng++ model.cpp\n\nOutput:\nno license\nmore\n"
    said = reason(build(given(Scaled(2.0).eval(), minutes=True, identity="fails")))
    assert said == "AOTInductor fails (g++: no license)"
    error = "\nno kernel for it\nmore"
    assert "AOTInductor fails (RuntimeError: no kernel for it)" in reason(build(given(minutes=True, identity="fails")))


@pytest.mark.parametrize(
    "forward, floors",
    [
        (lambda x: x // 0.1, True),
        (lambda x: torch.div(x, x + 2, rounding_mode="floor"), True),
        (lambda x: torch.floor_divide(x, 0.1), True),
        (lambda x: torch.div(x, 0.1, rounding_mode="trunc"), False),
        (lambda x: (x * 100).long() // 3 + x, False),
    ],
)
def test_floor_division_of_floats_is_not_compiled(
    forward: Callable[[torch.Tensor], torch.Tensor], floors: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aoti, "compile_package", lambda *_, **__: Refused("aoti", "too_long", "this test"))
    monkeypatch.setattr(Linear, "forward", lambda self, x: self.layer(forward(x)))
    why = reason(build(given(minutes=True, identity=None)))
    assert ("rounds floor division of floats otherwise than eager" in why) == floors
    assert ("this test takes too long" in why) != floors


@pytest.mark.parametrize("way", ["except", "thread"])
def test_what_an_export_does_not_tell_of_is_not_compiled(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aoti, "compile_package", lambda *_, **__: pytest.fail("it is compiled"))
    found = build(given(Guard(UNTOLD[way]).eval(), minutes=True, identity=None))
    assert found.eager
    assert found.refused


def test_a_program_that_returns_more_than_tensors_is_refused(tmp_path: Path) -> None:
    class Nested(Linear):
        def forward(self, x: torch.Tensor) -> Any:
            return {"a": [x + 1, x]}

    program = exported(Nested(), (torch.rand(3, 4),), "rows")
    refused = compile_package(program, tmp_path / "nested.pt2", freezing=True)
    assert refused is not None
    assert "forward returns more than a tensor" in refused.sentence


def test_what_a_program_takes_is_read_from_it() -> None:
    example = torch.ones(3, 5, dtype=torch.long), torch.ones(3, 5)
    expected = expected_by(exported(Words(), example, "rows", "tokens"))
    assert [each.dtype for each in expected.inputs] == ["int64", "float32"]
    assert expected.inputs[0].sizes == expected.inputs[1].sizes
    assert sorted(expected.ranges.values()) == [(1, 640), (1, 640)]
    assert expected.kept == (2,)
    assert from_json(to_json(expected)) == expected


def test_images_that_were_exported_channels_last_are_read_so() -> None:
    class Flat(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.float().mean((2, 3))

    image = torch.zeros(2, 3, 8, 8, dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
    expected = expected_by(exported(Flat(), (image,), "rows"))
    assert expected.inputs[0].channels_last
    [ready] = expected.ready([torch.zeros(4, 3, 8, 8, dtype=torch.uint8)])
    assert ready.is_contiguous(memory_format=torch.channels_last)


def test_load_takes_no_package_of_torchs_own(tmp_path: Path) -> None:
    path = tmp_path / "program.pt2"
    torch.export.save(exported(Linear(), (torch.rand(3, 4),), "rows"), str(path))
    with pytest.raises(ValueError, match="does not say what it takes"):
        load(path, CPU)

"""Keys change with each thing that what is kept depends on, and with nothing else."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from configs.code_files import PROJECT
from configs.schema import ModelConfig, SourceConfig
from models.compile import identity as of_network
from models.compile import keys, machine, store
from models.compile.build import Uncompiled
from models.compile.identity import canonical, identity
from models.runtime.output_paths import Pick, Reading, ReadOutputs
from models.signature import signature_of
from models.sources import source
from models.sources.files import digest
from models.startup.prepare import layout_of
from tests.models import test_code_files as code_files
from tests.models.networks import Linear
from tests.models.pretrained_directories import text_model
from tests.models.test_open_model import config

CPU = torch.device("cpu")


def given(whole: ModelConfig | None = None, module: nn.Module | None = None, known: str = "network") -> Uncompiled:
    whole = config() if whole is None else whole
    signature, layout = signature_of(whole), layout_of(whole, CPU)
    return Uncompiled(module or Linear(), [], signature.inputs, signature.outputs, layout, whole, known)


def key_of(each: Uncompiled, *more: object, portable: bool = False) -> str | None:
    return store.key_of(each, "torchscript", *more, portable=portable)


OPEN: dict[str, Any] = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, "wide"]}]}
CHANGES: dict[str, Callable[[], Uncompiled]] = {
    "identity": lambda: given(known="another"),
    "input's name": lambda: given(config(inputs=[{"name": "z", "datatype": "FP32", "shape": [-1, 4]}])),
    "input's datatype": lambda: given(config(inputs=[{"name": "x", "datatype": "INT64", "shape": [-1, 4]}])),
    "output's shape": lambda: given(config(outputs=[{"name": "y", "datatype": "FP32", "shape": [-1, 3]}])),
    "output's place": lambda: given(config(outputs=[{"name": "y", "datatype": "FP32", "shape": [-1, 2], "from": "y"}])),
    "largest batch": lambda: given(config(max_batch_size=4)),
    "batch sizes": lambda: given(config(batch_sizes=[2, 8])),
    "an open size": lambda: given(config(**OPEN, dims={"wide": {"sizes": [4, 8]}})),
    "other open sizes": lambda: given(config(**OPEN, dims={"wide": {"sizes": [4, 16]}})),
    "its padding": lambda: given(config(**OPEN, dims={"wide": {"sizes": [4, 8], "pad": 1}})),
    "no padding": lambda: given(config(**OPEN, dims={"wide": {"sizes": [4, 8], "pad": "none"}})),
    "precision": lambda: given(config(precision="bf16")),
    "tf32": lambda: given(config(precision="tf32")),
    "memory format": lambda: given(config(memory_format="channels_last")),
    "random": lambda: given(config(random=True)),
    "whole": lambda: given(config(batch="whole")),
    "as declared": lambda: replace(given(), layout=replace(given().layout, as_declared=True)),
    "widened": lambda: replace(given(), layout=replace(given().layout, widened=True)),
    "what is around it": lambda: given(module=ReadOutputs(Linear(), Reading((Pick("y", ()),), (), False, "x"), ["x"])),
}


def test_each_thing_that_decides_gives_a_key_of_its_own() -> None:
    keys_of = {None, key_of(given()), *(key_of(change()) for change in CHANGES.values())}
    assert len(keys_of) == len(CHANGES) + 2
    assert len({key_of(given()), key_of(given(), "script"), store.key_of(given(), "aoti")}) == 3
    assert key_of(replace(given(), identity=None)) is None


@pytest.mark.parametrize(
    "other",
    [
        {"name": "other", "version": "2"},
        {"num_cpus": 1.5},
        {"store": "elsewhere"},
        {"ingress_replicas": 2},
        {"cuda_graphs": False},
        {"batch_sizes": [1, 2, 4, 8]},
    ],
    ids=lambda each: next(iter(each)),
)
def test_what_decides_nothing_changes_no_key(other: dict[str, Any]) -> None:
    assert key_of(given(config(**other))) == key_of(given())


@pytest.mark.parametrize(
    "name, value",
    [("isa", lambda: ["avx"]), ("_libc", lambda: "glibc 1"), ("platform.machine", lambda: "arm64")],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_machine_code_is_of_one_kind_of_machine_and_torchscript_of_any(
    name: str, value: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = key_of(given()), key_of(given(), portable=True)
    monkeypatch.setattr(f"models.compile.machine.{name}", value)
    assert key_of(given()) != before[0]
    assert key_of(given(), portable=True) == before[1]


def test_threads_are_in_the_key_of_a_cpu_and_not_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    # A build sets none for a GPU, and Ray sets some for a replica.
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "a GPU")
    kinds = [torch.device("cpu"), torch.device("cuda", 0)]
    before = [machine.machine(kind) for kind in kinds]
    monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    assert [machine.machine(kind) == was for kind, was in zip(kinds, before, strict=True)] == [False, True]


def test_threads_torch_and_pitstop_s_own_code_are_in_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {key_of(given())}
    monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    found.add(key_of(given()))
    monkeypatch.setattr(torch, "__version__", "9.9")
    found.add(key_of(given()))
    monkeypatch.setattr(keys, "own_code", lambda: "another")
    found.add(key_of(given()))
    assert len(found) == 4


def test_own_code_changes_with_every_file_but_those_of_the_zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("models/a.py", "models/zoo/b.py", "configs/c.py", "other/d.py", "models/e.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    monkeypatch.setattr(of_network, "PROJECT", tmp_path)

    def after(name: str) -> str:
        (tmp_path / name).write_text((tmp_path / name).read_text() + "2")
        return of_network.own_code.__wrapped__()

    first = of_network.own_code.__wrapped__()
    assert [after(name) for name in ("models/zoo/b.py", "other/d.py", "models/e.md")] == [first] * 3
    assert len({first, after("models/a.py"), after("configs/c.py")}) == 3


def test_the_order_of_a_dict_says_nothing_in_a_config_and_that_of_a_list_does() -> None:
    assert canonical({"a": 1, "b": {"c": [1, 2], "d": None}}) == canonical({"b": {"d": None, "c": (1, 2)}, "a": 1})
    assert canonical([1, 2]) != canonical([2, 1])
    assert canonical({"a": 1}) != canonical({"a": "1"})


def test_an_identity_knows_no_device_precision_layout_or_mode() -> None:
    known = SourceConfig(factory="tests.models.networks:Linear")
    before = identity(Linear(), known)
    assert before is not None
    assert identity(Linear().eval().requires_grad_(False), known) == before
    convolution, same = nn.Conv2d(2, 2, 3), nn.Conv2d(2, 2, 3)
    same.load_state_dict(convolution.state_dict())
    same.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    assert identity(convolution, known) == identity(same, known)


def test_another_process_finds_the_same_key() -> None:
    code = "from tests.models.test_keys import *; whole = config();"
    code += "print(key_of(given(known=identity(Linear(), whole.source)), portable=True))"
    run = [sys.executable, "-c", code]
    found = {
        subprocess.run(
            run, cwd=PROJECT, env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert found == {f"{key_of(given(known=str(identity(Linear(), config().source))), portable=True)}\n"}


def test_the_same_file_in_another_folder_is_the_same_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def known(folder: str, scale: float, held: str = "") -> str | None:
        (tmp_path / folder).mkdir()
        text = code_files.NET.format(scale=scale)
        (tmp_path / folder / "net.py").write_text(text.replace("self.scale = scale", f"self.scale = scale{held}"))
        given = SourceConfig(factory=f"{folder}/net.py:Net")
        return identity(source.load(given), given)

    first, same, other = known("a", 2.0), known("b", 2.0), known("c", 3.0)
    assert first is not None
    assert first == same != other
    # A class and a function of the file, as attributes.
    held = "; self.kind = type(self); self.net = net"
    assert known("d", 2.0, held) == known("e", 2.0, held) != first


def scripted(path: Path, width: int = 2) -> SourceConfig:
    torch.jit.script(Linear(width)).save(str(path))  # type: ignore[no-untyped-call]
    return SourceConfig(torchscript=str(path))


def test_a_torchscript_file_is_known_by_its_content(tmp_path: Path) -> None:
    one, wide = scripted(tmp_path / "one.pt"), scripted(tmp_path / "wide.pt", 3)
    (tmp_path / "same.pt").write_bytes((tmp_path / "one.pt").read_bytes())
    same = SourceConfig(torchscript=str(tmp_path / "same.pt"), sha256=digest(tmp_path / "one.pt"))
    found = [identity(source.load(each), each) for each in (one, same, wide)]
    assert found[0] is not None
    assert found[0] == found[1] != found[2]


def test_an_exported_program_is_known_by_its_content(tmp_path: Path) -> None:
    found = []
    for width in (2, 3):
        program = torch.export.export(Linear(width).eval(), (torch.ones(2, 4),))
        torch.export.save(program, tmp_path / f"{width}.pt2")
        given = SourceConfig(exported_program=str(tmp_path / f"{width}.pt2"))
        found += [identity(source.load(given), given) for _ in range(2)]
    assert found[0] is not None
    assert found[0] == found[1] != found[2]


def test_a_file_that_changed_after_it_was_loaded_is_not_taken_for_what_runs(tmp_path: Path) -> None:
    given = scripted(tmp_path / "m.pt")
    module = source.load(given)
    scripted(tmp_path / "m.pt", 3)
    assert identity(module, given) is None


def test_a_pretrained_directory_is_known_by_its_content_wherever_it_lies(tmp_path: Path) -> None:
    from tests.models.test_pretrained import config as pretrained

    def known(folder: Path) -> str | None:
        whole = pretrained(folder, "text-classification")
        return identity(source.load_for(whole), whole.source)

    one, same = text_model(tmp_path / "one"), text_model(tmp_path / "same")
    found = known(one)
    assert found is not None
    assert found == known(same)
    (same / "tokenizer_config.json").write_text((same / "tokenizer_config.json").read_text() + " ")
    assert known(same) == found
    settings = (same / "config.json").read_text()
    (same / "config.json").write_text(settings.replace('"layer_norm_eps": 1e-12', '"layer_norm_eps": 1e-05'))
    assert (same / "config.json").read_text() != settings
    assert known(same) not in (None, found)


def test_instructions_are_of_the_machine_and_what_the_kernel_says_of_itself_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def isa_of(line: str) -> list[str]:
        (tmp_path / "cpuinfo").write_text(f"model name\t: Xeon(R) Gold\n{line}\n")
        monkeypatch.setattr(machine, "_CPUINFO", tmp_path / "cpuinfo")
        return machine.isa.__wrapped__()

    assert isa_of("flags\t\t: fpu avx2 avx512f amx_bf16 fma ibrs md_clear nopl tsc") == [
        *("amx_bf16", "avx2", "avx512f", "fma")
    ]
    assert isa_of("Features\t: fp asimd sve i8mm cpuid evtstrm") == ["asimd", "fp", "i8mm", "sve"]
    assert isa_of("") == ["Xeon Gold"] == [machine.cpu_name()]


@pytest.mark.parametrize(
    "known, has", [(["amx_bf16"], True), (["avx2", "fma"], False), (["asimd", "bf16"], True), (["Xeon Gold"], True)]
)
def test_bf16_is_emulated_where_the_processor_lists_no_instruction_for_it(
    known: list[str], has: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "isa", lambda: known)
    monkeypatch.setattr(machine, "cpu_name", lambda: "Xeon Gold")
    assert machine.has_bf16() == has


def test_100_mb_of_weights_are_known_in_one_pass_without_a_copy() -> None:
    large = nn.Linear(5000, 5000, bias=False)
    taken = [part for part in of_network._weights(large) if isinstance(part, memoryview)]
    assert sum(map(len, taken)) == 100_000_000
    assert torch.frombuffer(taken[0], dtype=torch.float32).data_ptr() == large.weight.data_ptr()

"""`pitstop build` compiles what a start has no time for, keeps it, and a start elsewhere takes it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from typer.testing import CliRunner, Result

from configs.loader import load
from models.compile import aoti
from models.startup import attempts
from models.startup.open_model import open_model
from pitstop import child_process
from pitstop.build.main import Built
from pitstop.cli import app
from tests.pitstop.mistakes.crashing import CrashesInBf16

CONFIG: dict[str, Any] = yaml.safe_load(Path(__file__).resolve().parents[2].joinpath("serve_config.yaml").read_text())
LINEAR = {
    "name": "linear",
    "source": {"factory": "tests.models.networks:Linear"},
    "device": "cpu",
    "backend": "aoti",
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 2]}],
    "max_batch_size": 4,
}
WIDE = {
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 8]}],
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 8]}],
}
needs_compiler = pytest.mark.skipif(not aoti.has_compiler(), reason="needs a C++ compiler")


@pytest.fixture
def _one_thread() -> Iterator[None]:
    """As a replica of the config has it: what is built is of a number of threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path / "cache"))


def written(folder: Path, *models: dict[str, Any]) -> Path:
    root, model = CONFIG["applications"][:2]
    apps = [
        {**model, "name": each["name"], "route_prefix": f"/v2/models/{each['name']}", "args": each} for each in models
    ]
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({**CONFIG, "applications": [root, *apps]}))
    return path


def build(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["build", *arguments])


@needs_compiler
@pytest.mark.usefixtures("_one_thread")
def test_what_is_built_into_a_store_is_taken_by_a_start_on_another_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the command names goes before what the config names.
    path, store = written(tmp_path, {**LINEAR, "store": str(tmp_path / "other")}), tmp_path / "store"
    built = build(str(path), "--store", str(store))
    assert built.exit_code == 0, built.output
    assert "linear: tries AOTInductor fp32" in built.output
    assert "linear: built for cpu in " in built.output
    assert "the store is no folder" not in built.output
    sizes = [each.stat().st_size for each in store.rglob("*") if each.is_file()]
    kept = f"kept in the cache {tmp_path}/cache, the store {store} ({len(sizes)} files written, "
    assert built.output.splitlines()[-1].startswith(kept)
    assert float(built.output.split()[-2]) == pytest.approx(sum(sizes) / 1e6, rel=0.01)
    assert {each.suffix for each in (store / "aoti").iterdir()} == {".pt2", ".json"}
    assert len(list((store / "builds").iterdir())) == 1
    assert not (tmp_path / "other").exists()
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path / "node"))
    [model] = [each for each in load(path).models if each.name == "linear"]
    config = model.config.model_copy(update={"store": str(store)})
    served = open_model(config, "cpu", kept=True)
    assert (served.how, served.checks.compilation.made) == ("aoti", "before")
    assert "check" in served.start_s
    assert "prove" not in served.start_s


def test_a_model_that_cannot_be_built_is_told_and_the_others_are_built(tmp_path: Path) -> None:
    broken = {**LINEAR, "name": "broken", "backend": "eager", "source": {"factory": "tests.models.networks:Counts"}}
    path = written(tmp_path, broken, {**LINEAR, "backend": "eager"})
    built = build(str(path))
    assert built.exit_code == 1
    assert "broken: outputs: " in built.output
    assert "linear: built for cpu" in built.output


def test_what_accept_found_and_what_the_config_waives_stand_under_a_models_table(tmp_path: Path) -> None:
    asked = {"accept": {"cosine": 0.99}, "batch_tolerance": 0.5}
    waived = {**LINEAR, "name": "waived", "backend": "eager", **asked}
    built = build(str(written(tmp_path, waived, {**LINEAR, "backend": "eager"})))
    assert built.exit_code == 0, built.output
    lines = built.output.splitlines()
    first = next(number for number, each in enumerate(lines) if each.startswith("waived: built for cpu"))
    told = [each for each in lines if " accept: " in each or each.startswith("waived: !")]
    assert told == lines[first - len(told) : first]
    assert [each.partition(":")[0] for each in told] == ["waived"] * len(told)
    assert any("smallest cosine 1.00000 (0.99 asked)" in each for each in told)
    assert any(each.endswith("allowed by batch_tolerance: 0.5") for each in told)
    assert lines[-1] == f"kept in the cache {tmp_path}/cache"


def test_what_ends_the_process_of_a_build_is_left_out(tmp_path: Path) -> None:
    weights = tmp_path / "w.pt"
    torch.save(CrashesInBf16().state_dict(), weights)
    source = {"factory": "tests.pitstop.mistakes.crashing:CrashesInBf16", "weights": str(weights)}
    given = {**LINEAR, **WIDE, "name": "crashes", "backend": "eager", "source": source}
    path = written(tmp_path, {**given, "precision": "auto", "accept": {"cosine": 0.5}})
    built = build(str(path))
    assert built.exit_code == 0, built.output
    assert built.output.count("signal 11") == 2
    assert "it has ended the process twice" in " ".join(built.output.split())


def test_a_network_that_ends_the_process_by_itself_is_built_once(tmp_path: Path) -> None:
    path = written(tmp_path, {**LINEAR, "source": {"factory": "tests.pitstop.mistakes.crashing:EndsInEager"}, **WIDE})
    built = build(str(path))
    assert built.exit_code == 1
    said = " ".join(built.output.split())
    assert "linear: its build ended the process with signal 11 (SIGSEGV)" in said
    assert "so the network may end it as it runs eagerly" in said
    assert "built again" not in said


def _ends(monkeypatch: pytest.MonkeyPatch, *ends: tuple[str | None, Exception | Built]) -> list[list[str]]:
    """Let each process of a build leave a file, which an attempt of it may be, and end so; return what each found."""
    found, left = [], iter(ends)

    def run(_: str, __: object, ___: float, environment: Mapping[str, str], ____: object) -> Iterator[Built]:
        folder, (file, end) = Path(environment[attempts.VARIABLE]), next(left)
        found.append(sorted(each.name for each in folder.iterdir()))
        if file is not None:
            (folder / file).write_text(str(len(found)))
        if isinstance(end, Built):
            yield end
        else:
            raise end

    monkeypatch.setattr(child_process, "run", run)
    return found


CRASH = child_process.EndedError("ended the process with signal 11 (SIGSEGV)", crashed=True)
DONE = Built(True, "built")


@pytest.mark.parametrize("end", [KeyboardInterrupt(), child_process.TooSlowError("took longer than 10 s")])
def test_a_build_that_was_interrupted_leaves_nothing_out_of_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: Exception
) -> None:
    path = written(tmp_path, LINEAR)
    found = _ends(monkeypatch, ("aoti", end), ("aoti", end), ("aoti", DONE))
    status = 130 if isinstance(end, KeyboardInterrupt) else 1
    assert [build(str(path)).exit_code for _ in range(3)] == [status, status, 0]
    assert found == [[], [], []]


@pytest.mark.parametrize(
    "ends, builds, said",
    [
        ([("aoti", CRASH), ("aoti", CRASH), (None, DONE)], 3, "linear: built"),
        ([("aoti", CRASH), (None, CRASH)], 2, "linear: its build ended the process with signal 11"),
        ([(None, CRASH)], 1, "linear: its build ended the process with signal 11"),
    ],
)
def test_a_build_is_repeated_only_if_a_candidate_ended_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: list[Any], builds: int, said: str
) -> None:
    found = _ends(monkeypatch, *ends)
    built = build(str(written(tmp_path, LINEAR)))
    assert len(found) == builds
    assert said in built.output.splitlines()[-2 if builds < 3 else -1]


@pytest.mark.parametrize(
    "dest, bound, said",
    [
        ("", "", "the store has no name"),
        ("memory://x", "", "memory://x: what is kept there is gone when the build's process ends"),
        ("simplecache::memory://x", "", "is gone when the build's process ends"),
        ("st", "nan", "PITSTOP_STORE_GIB: 'nan' is not a number of GiB above 0"),
    ],
)
def test_a_build_that_could_keep_nothing_is_refused_before_anything_is_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dest: str, bound: str, said: str
) -> None:
    monkeypatch.setenv("PITSTOP_STORE_GIB", bound)
    built = build(str(written(tmp_path, {**LINEAR, "backend": "auto"})), "--store", dest)
    assert (built.exit_code, said in built.output) == (1, True), built.output
    assert "tries" not in built.output


def test_a_build_whose_findings_are_not_kept_fails_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path / "file" / "cache"))
    built = build(str(written(tmp_path, {**LINEAR, "backend": "eager"})))
    assert (built.exit_code, ".json is not kept: " in built.output) == (1, True), built.output
    assert "set PITSTOP_CACHE to another folder" in built.output


def test_an_unknown_model_and_a_broken_file_build_nothing(tmp_path: Path) -> None:
    path = written(tmp_path, LINEAR)
    unknown = build(str(path), "--model", "linaer")
    assert (unknown.exit_code, "there is no model 'linaer'\nhelp: did you mean 'linear'?" in unknown.output) == (
        2,
        True,
    )
    path.write_text("applications: 3")
    assert build(str(path)).exit_code == 2

"""A start goes by what an earlier one of the same model found, as long as all that decides it is the same."""

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from configs.schema import ModelConfig
from models.compile import shared_store, store
from models.compile.build import Compiled
from models.errors import ModelError
from models.runtime.runner import Runner
from models.signature import Rows
from models.startup import batch_size_selection, contender, kept_start, mistake_checks, stages, start, warmup
from models.startup.check_results import as_json
from models.startup.open_model import OpenedModel, open_model
from tests.models.test_open_model import config

NETWORKS = "tests.models.networks"
BACKEND = '''
def make(module, inputs):
    """{0}"""
    return module.forward
'''
START = """
import json, sys
from configs.schema import ModelConfig
from models.startup.open_model import open_model
open_model(ModelConfig.model_validate(json.loads(sys.argv[1])), "cpu", kept=True)
"""
HOOK = '''
def make():
    """{0}"""
    return lambda rows: rows
'''
POSTPROCESS = '''
def make():
    """{0}"""
    return lambda rows: {{"y": next(iter(rows.values()))}}
'''


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def anew(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the models that were checked as a whole, not by what was found before."""
    seen: list[str] = []
    whole = start.Start._anew

    def counted(self: start.Start, bound: Any, given: ModelConfig, key: Any) -> OpenedModel:
        seen.append(given.name)
        return whole(self, bound, given, key)

    monkeypatch.setattr(start.Start, "_anew", counted)
    return seen


@pytest.fixture
def slowed(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How many times as long as its rows in ms a forward takes from now on: the last that was added."""
    times = [1.0]

    def run_ms(runner: Runner, rows: Rows) -> float:
        runner.run([rows])
        return times[-1] * len(rows["x"])

    for module in (warmup, contender, batch_size_selection):
        monkeypatch.setattr(module, "run_ms", run_ms)
    return times


def opened(**keys: Any) -> OpenedModel:
    return open_model(config(f"{NETWORKS}:Linear", **keys), "cpu", kept=True)


def plain(served: OpenedModel) -> list[dict[str, Any]]:
    """The checks, without what a start says of itself."""
    aside = {"sentence", "ran", "made", "asked", "fallback"}
    return [{key: value for key, value in as_json(each).items() if key not in aside} for each in served.checks.results]


@pytest.mark.usefixtures("slowed")
def test_a_second_start_takes_what_the_first_found_and_answers_alike(anew: list[str]) -> None:
    first, second = opened(), opened()
    assert anew == ["m"]
    assert (second.how, second.precision, second.candidates) == (first.how, first.precision, first.candidates)
    assert second.forward_ms == first.forward_ms
    assert plain(second) == plain(first)
    by = [served.summary()["checked_by"] for served in (first, second)]
    assert by == ["this start", "an earlier start on this node"]
    rows = {"x": np.random.default_rng(0).random((3, 4), np.float32)}
    np.testing.assert_allclose(second.runner.run([rows])["y"], first.runner.run([rows])["y"], rtol=1e-5)
    assert second.runner.warmed == set(second.runner.layout.shapes)


def test_a_later_start_corrects_what_was_timed_in_a_busy_moment_and_keeps_it(
    slowed: list[float], anew: list[str]
) -> None:
    slowed.append(3.0)
    first = opened()
    slowed.append(1.0)
    second = opened()
    slowed.append(2.0)
    third = opened()
    assert anew == ["m"]
    assert second.forward_ms == {shape: pytest.approx(ms / 3) for shape, ms in first.forward_ms.items()}
    assert third.forward_ms == second.forward_ms
    assert plain(third) == plain(second)
    assert second.checks.device.rows_s == pytest.approx(3 * first.checks.device.rows_s)
    assert second.checks.batching.best_rows_s == second.checks.device.rows_s
    assert third.checked_by == "an earlier start on this node"


def test_shapes_that_a_later_start_has_no_time_for_are_corrected_by_those_that_ran(
    slowed: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    slowed.append(3.0)
    first = opened()
    slowed.append(1.0)
    monkeypatch.setattr(stages, "_AGAIN_MS", 0)
    second = opened()
    assert second.checks.warmed_shapes.ran == 1
    assert len(second.forward_ms) > 1
    assert second.forward_ms == {shape: pytest.approx(ms / 3) for shape, ms in first.forward_ms.items()}


def test_a_start_that_is_hardly_faster_leaves_what_was_found(slowed: list[float], cache: Path) -> None:
    first = opened()
    [record] = (cache / "starts").glob("*.json")
    before = record.read_bytes()
    slowed.append(0.95)
    assert opened().forward_ms == first.forward_ms
    assert record.read_bytes() == before


def test_what_a_build_timed_is_corrected_on_this_node_and_never_in_the_store(
    slowed: list[float], tmp_path: Path, cache: Path, anew: list[str]
) -> None:
    (tmp_path / "store").mkdir()
    given = config(f"{NETWORKS}:Linear", store=str(tmp_path / "store"))
    slowed.append(3.0)
    first = open_model(given, "cpu", kept=True)
    bound = stages.bind_source(given, None)
    key = kept_start.key_of(first.config, bound.identity, torch.device("cpu"), bound.samples)
    [found] = kept_start.read(key, first.config)
    kept_start.write(key, found, built=True)
    [published] = (tmp_path / "store" / "builds").glob("*.json")
    of_build = published.read_bytes()
    for kind in ("starts", "builds"):
        shutil.rmtree(cache / kind)
    slowed.append(1.0)
    second = open_model(given, "cpu", kept=True)
    slowed.append(2.0)
    third = open_model(given, "cpu", kept=True)
    assert second.forward_ms == {shape: pytest.approx(ms / 3) for shape, ms in first.forward_ms.items()}
    assert third.forward_ms == second.forward_ms
    assert third.checked_by == "pitstop build"
    assert published.read_bytes() == of_build
    assert anew == ["m"]


def test_found_outputs_are_those_of_the_first_start(anew: list[str]) -> None:
    given = config(f"{NETWORKS}:Linear").model_copy(update={"outputs": ()})
    first, second = (open_model(given, "cpu", kept=True) for _ in range(2))
    assert anew == ["m"]
    assert second.config.outputs == first.config.outputs


@pytest.mark.parametrize("keys", [{"name": "other"}, {"version": "2"}, {"ingress_replicas": 1}])
def test_what_changes_nothing_of_the_forward_needs_no_check(keys: dict[str, Any], anew: list[str]) -> None:
    opened()
    opened(**keys)
    assert anew == ["m"]


@pytest.mark.parametrize(
    "keys", [{"max_batch_size": 4}, {"backend": "eager"}, {"precision": "bf16"}, {"tolerance": 0.5}, {"batch": "whole"}]
)
def test_another_config_is_checked_as_a_whole(keys: dict[str, Any], anew: list[str]) -> None:
    opened()
    opened(**keys)
    assert len(anew) == 2


def test_other_weights_are_checked_as_a_whole(tmp_path: Path, anew: list[str]) -> None:
    for value in (1.0, 2.0):
        torch.save({"layer.weight": torch.full((2, 4), value), "layer.bias": torch.ones(2)}, tmp_path / "w.pt")
        served = opened(source={"factory": f"{NETWORKS}:Linear", "weights": str(tmp_path / "w.pt")})
        assert served.runner.run([{"x": np.ones((1, 4), np.float32)}])["y"].tolist() == [[4 * value + 1] * 2]
    assert len(anew) == 2


@pytest.mark.parametrize(
    "key, code", [("backend", BACKEND), ("preprocess", HOOK), ("postprocess", POSTPROCESS)], ids=lambda each: each[:11]
)
def test_other_code_of_a_backend_or_a_hook_is_checked_as_a_whole(
    key: str, code: str, tmp_path: Path, cache: Path
) -> None:
    file, records = tmp_path / "mine.py", []
    given = config(f"{NETWORKS}:Linear", **{key: f"{file}:make"}).model_dump(mode="json")
    for text in ("one", "one", "another"):
        file.write_text(code.format(text))
        # Each in a process of its own, since one loads a file once.
        subprocess.run([sys.executable, "-c", START, json.dumps(given)], check=True)
        records.append(len(list((cache / "starts").glob("*.json"))))
    assert records == [1, 1, 2]


def test_other_example_rows_are_checked_as_a_whole(tmp_path: Path, anew: list[str]) -> None:
    for value in (1.0, 2.0, 2.0):
        np.savez(tmp_path / "rows.npz", x=np.full((2, 4), value, np.float32))
        opened(example=str(tmp_path / "rows.npz"))
    assert len(anew) == 2


def test_another_number_of_threads_is_checked_as_a_whole(anew: list[str]) -> None:
    threads = torch.get_num_threads()
    try:
        for count in (1, 2, 2):
            torch.set_num_threads(count)
            opened()
    finally:
        torch.set_num_threads(threads)
    assert len(anew) == 2


def test_an_answer_that_differs_now_is_checked_as_a_whole(monkeypatch: pytest.MonkeyPatch, anew: list[str]) -> None:
    opened()

    def differs(*_: object) -> None:
        raise ModelError("output 'y': differs by 1\nhelp: none")

    monkeypatch.setattr(mistake_checks, "spot_check", differs)
    assert opened().checks.compilation.code == "passed"
    assert len(anew) == 2


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"value": 3}'])
def test_a_record_of_another_form_is_no_record(text: str, cache: Path, anew: list[str]) -> None:
    opened()
    [record] = (cache / "starts").glob("*.json")
    record.write_text(text)
    opened()
    assert len(anew) == 2


def key_of(given: ModelConfig) -> store.Key | None:
    bound = stages.bind_source(given, None)
    return kept_start.key_of(given, bound.identity, torch.device("cpu"), bound.samples)


def with_check(name: str, **changes: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda found: [{**each, **changes} if each["check"] == name else each for each in found["checks"]]


def with_time(ms: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda found: [[*found["forward_ms"][0][:2], ms], *found["forward_ms"][1:]]


def with_row(**changes: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda found: [{**found["table"][0], **changes}, *found["table"][1:]]


def with_output(**changes: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda found: [{**found["outputs"][0], **changes}]


# A part of a document, and what stands there in place of what a start wrote; None: it is not there.
BAD: list[tuple[str, Callable[[dict[str, Any]], Any] | None]] = [
    *((part, None) for part in ("checks", "forward_ms", "candidate", "table", "outputs", "packed_from")),
    *((part, lambda _: "x") for part in ("checks", "forward_ms", "candidate", "table", "outputs", "packed_from")),
    ("candidate", lambda _: ["no_such", "fp32"]),
    ("candidate", lambda _: ["torchscript", "no_such"]),
    ("candidate", lambda _: ["torchscript", "int8_dynamic"]),
    ("candidate", lambda _: ["torchscript", 3]),
    ("candidate", lambda _: ["torchscript"]),
    ("candidate", lambda _: ["torchscript", "bf16"]),
    ("packed_from", lambda _: [1]),
    ("packed_from", lambda _: 0),
    ("forward_ms", lambda _: []),
    ("forward_ms", lambda found: found["forward_ms"][1:]),
    ("forward_ms", lambda found: [*found["forward_ms"], [10**7, [], 1.0]]),
    ("forward_ms", lambda found: [[rows, [3], ms] for rows, _, ms in found["forward_ms"]]),
    *(("forward_ms", with_time(ms)) for ms in ("1.0", "x", None, 0, -1, float("nan"), float("inf"), True)),
    ("outputs", lambda _: []),
    ("outputs", with_output(name="z")),
    ("outputs", with_output(datatype="FP16")),
    ("outputs", with_output(shape=[-1, -1])),
    ("checks", lambda _: []),
    ("checks", lambda found: found["checks"][1:]),
    ("checks", lambda found: [*found["checks"], {"check": "no such"}]),
    ("checks", with_check("padding", code="zzz")),
    ("checks", with_check("padding", code="failed")),
    ("checks", with_check("compilation", how=3)),
    ("checks", with_check("compilation", how="eager")),
    ("checks", with_check("compilation", deviation="x")),
    ("checks", with_check("compilation", refused=[{"way": "script", "code": "zz"}])),
    ("checks", with_check("device", rows_s="x")),
    ("table", lambda _: []),
    ("table", with_row(outcome="refused")),
    ("table", with_row(outcome="zz")),
    ("table", with_row(backend="aoti")),
    ("table", with_row(precision="bf16")),
    ("table", with_row(forward_ms=[1])),
]


@pytest.mark.parametrize("part, bad", BAD, ids=[f"{part}-{number}" for number, (part, _) in enumerate(BAD)])
def test_a_document_of_another_form_costs_a_warning_and_all_is_checked(
    part: str, bad: Callable[[dict[str, Any]], Any] | None, anew: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    first = opened(backend="torchscript")
    key = key_of(first.config)
    found = store.read_json("starts", key)
    assert found.keys() >= {part}
    rest = {name: value for name, value in found.items() if name != part}
    store.write_json("starts", key, rest if bad is None else {**rest, part: bad(found)})
    caplog.clear()
    second = opened(backend="torchscript")
    assert anew == ["m", "m"]
    assert len([each for each in caplog.records if each.levelname == "WARNING"]) == 1
    assert second.config.outputs == first.config.outputs
    assert (second.precision, {*second.forward_ms}) == ("fp32", {*first.forward_ms})
    # What was checked anew is kept in its place.
    opened(backend="torchscript")
    assert anew == ["m", "m"]


def test_a_candidate_that_this_start_would_not_compare_is_not_served(
    anew: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    first = opened(backend="torchscript")
    key = key_of(first.config)
    for backend, precision in (("torchscript", "bf16"), ("compile", "fp32"), ("torchscript", "no_such")):
        found = store.read_json("starts", key)
        found["candidate"], found["table"] = [backend, precision], with_row(backend=backend, precision=precision)(found)
        store.write_json("starts", key, found)
        served = opened(backend="torchscript")
        assert (served.chosen.backend, served.precision) == ("torchscript", "fp32")
    assert caplog.text.count("is no candidate") == 3
    assert len(anew) == 4


def test_a_document_nested_too_deeply_costs_a_warning(
    cache: Path, tmp_path: Path, anew: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    opened()
    [record] = (cache / "starts").glob("*.json")
    record.write_text("[" * 100_000)
    opened()
    assert "cannot be read and is done without (RecursionError)" in caplog.text
    (tmp_path / "store" / "builds").mkdir(parents=True)
    (tmp_path / "store" / "builds" / record.name).write_text("[" * 100_000)
    record.unlink()
    opened(store=str(tmp_path / "store"))
    assert "does not fit" in caplog.text
    assert len(anew) == 3


def test_whatever_is_raised_while_a_kept_start_is_opened_costs_a_warning(
    monkeypatch: pytest.MonkeyPatch, anew: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    opened()

    def raises(*_: object) -> None:
        raise AttributeError("odd")

    monkeypatch.setattr(stages, "warm_again", raises)
    opened()
    assert "m: what an earlier start on this node found does not hold: AttributeError: odd" in caplog.text
    assert len(anew) == 2


@pytest.mark.usefixtures("slowed")
def test_a_kept_acceptance_is_read_again_and_one_that_is_missing_is_not_done_without(anew: list[str]) -> None:
    accept = {"agreement": 0.9, "cosine": 0.9}
    first, second = opened(accept=accept), opened(accept=accept)
    assert plain(second) == plain(first)
    assert anew == ["m"]
    key = key_of(first.config)
    found = store.read_json("starts", key)
    found["checks"] = [each for each in found["checks"] if each["check"] != "accept"]
    store.write_json("starts", key, found)
    assert opened(accept=accept).checks.acceptance is not None
    assert len(anew) == 2


def test_what_a_build_found_comes_before_what_a_start_found(cache: Path, anew: list[str]) -> None:
    opened()
    [record] = (cache / "starts").glob("*.json")
    built = json.loads(record.read_text())
    checks = with_check("compilation", how="eager")(built["value"])
    value = {**built["value"], "candidate": ["eager", "fp32"], "checks": checks}
    store.write_json("builds", key_of(config(f"{NETWORKS}:Linear")), value)
    served = opened()
    assert served.runner.forward.__class__.__name__ == "Linear"
    assert served.checked_by == "pitstop build"
    assert anew == ["m"]


def test_where_a_build_s_outcome_cannot_be_served_a_start_s_is(anew: list[str]) -> None:
    first = opened(backend="torchscript")
    key = key_of(first.config)
    found = store.read_json("starts", key)
    # Its artefact is on no other node.
    gone = {"candidate": ["aoti", "fp32"], "table": with_row(backend="aoti")(found)}
    for value in ({**found, **gone}, {**found, "forward_ms": []}, {**found, "table": []}):
        store.write_json("builds", key, value)
        assert opened(backend="torchscript").checked_by == "an earlier start on this node"
    assert anew == ["m"]


def test_a_store_is_asked_for_what_builds_found_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "store").mkdir()
    asked: list[str] = []
    document = shared_store.document

    def noted(place: Any, kind: str, *rest: Any) -> Any:
        asked.append(kind)
        return document(place, kind, *rest)

    monkeypatch.setattr(shared_store, "document", noted)
    opened(store=str(tmp_path / "store"))
    assert "builds" in asked
    assert "starts" not in asked


def test_of_starts_at_once_one_looks_and_the_others_take_what_it_finds(
    monkeypatch: pytest.MonkeyPatch, anew: list[str]
) -> None:
    looks, other_waits = threading.Event(), threading.Event()
    whole = start.Start._anew
    making = store.making

    def slow(self: start.Start, *rest: Any) -> OpenedModel:
        looks.set()
        assert other_waits.wait(60)
        return whole(self, *rest)

    def told(backend: str, key: Any, *rest: Any) -> Any:
        if looks.is_set() and backend == "starts":
            other_waits.set()
        return making(backend, key, *rest)

    monkeypatch.setattr(start.Start, "_anew", slow)
    monkeypatch.setattr(store, "making", told)
    first = threading.Thread(target=opened)
    first.start()
    assert looks.wait(60)
    opened()
    first.join(60)
    assert anew == ["m"]


def test_random_answers_are_compared_again_where_both_draw_alike() -> None:
    network = f"{NETWORKS.replace('networks', 'meant_networks')}:Variational"
    four = [{"name": "y", "datatype": "FP32", "shape": [-1, 4]}]
    given = config(network, random=True, outputs=four, tolerance=0.5, backend="eager")
    served = open_model(given, "cpu", kept=True)
    otherwise = served.runner.with_forward(lambda x: torch.randn(len(x), 4) * 9)
    bound = stages.bind_source(given, None)
    reference = stages.run_eagerly(bound, given, torch.device("cpu")).reference
    compiled = Compiled(otherwise.forward, "eager")
    with pytest.raises(ModelError, match="differs by"):
        mistake_checks.spot_check(compiled, otherwise, reference, served.samples, given)

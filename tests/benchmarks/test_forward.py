"""The measurements of the forward that pitstop finds: all but the servers themselves, and the hours they take."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from benchmarks import artefacts, cache, networks, script
from benchmarks.device import Device, chosen
from benchmarks.forward import deviations, opened, servers, slow, starts
from benchmarks.forward.__main__ import PARTS, keep, parse
from benchmarks.forward.built import Built, as_shipped, building, fp32
from benchmarks.forward.deviations import Deviations
from benchmarks.forward.servers_table import of_the_limit, ratios
from benchmarks.forward.table import render
from benchmarks.peers import PEERS, Peer
from benchmarks.peers.peer import Launch
from benchmarks.peers.pitstop import shipped
from benchmarks.results import Closed, Measured
from benchmarks.server import Server
from benchmarks.summary import Round
from benchmarks.workloads import WORKLOADS, Workload
from configs.document import application
from models.startup.open_model import OpenedModel
from models.zoo.mlp import Mlp
from pitstop.report.numbers import TIMES

HEAD: dict[str, Any] = {
    "command": "python -m benchmarks.forward",
    "date": "2026-11-29T20:00:00+00:00",
    "commit": "abc",
    "hardware": {"cpu": "Some CPU", "cores": 2, "memory_gib": 24, "slug": "some-cpu-2-cores"},
    "versions": {"torch": "2.13.0"},
    "load_average": [0.1, 0.1, 0.1],
}


def test_all_parts_are_measured_by_default_and_kept_in_the_repository() -> None:
    options = parse([])
    assert options.parts == list(PARTS)
    assert options.out == script.RESULTS


@pytest.mark.parametrize("given", [["--quick"], ["servers", "--peers", "mosec"], ["starts", "--models", "minilm"]])
def test_less_than_a_whole_part_is_kept_outside_the_repository(given: list[str]) -> None:
    assert cache.PROJECT not in parse(given).out.parents


def test_one_whole_part_is_kept_in_the_repository() -> None:
    options = parse(["deviations"])
    assert (options.parts, options.rows, options.out) == (["deviations"], 10_000, script.RESULTS)


@pytest.mark.parametrize("given", [["servres"], ["--models", "resnet"], ["--peers", "pitstop"]])
def test_an_unknown_name_is_refused(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(given)
    assert given[-1] in capsys.readouterr().err


def test_a_part_takes_the_place_of_an_earlier_measurement_of_it_and_leaves_the_others(tmp_path: Path) -> None:
    keep(tmp_path, "deviations", {**HEAD, "models": [], "command": "first"})
    keep(tmp_path, "starts", {**HEAD, "before": "abc", "models": [], "command": "second"})
    path = keep(tmp_path, "deviations", {**HEAD, "models": [], "command": "third"})
    assert path.name == "forward_some-cpu-2-cores_202611.json"
    parts = json.loads(path.read_text())["parts"]
    assert {name: part["command"] for name, part in parts.items()} == {"deviations": "third", "starts": "second"}
    markdown = path.with_suffix(".md").read_text()
    assert markdown.index("second") < markdown.index("third")
    assert "first\n" not in markdown


def test_the_fp32_way_finds_its_backend_and_forgoes_what_the_shipped_config_accepts() -> None:
    raw = shipped("minilm")
    args = raw["applications"][1]["args"]
    args["accept"] = {"cosine": 0.999}
    fp32("minilm").apply(raw)
    assert (args["backend"], args["precision"], "accept" in args) == ("auto", "fp32", False)
    raw = shipped("minilm")
    as_shipped("minilm").apply(raw)
    assert raw == shipped("minilm")


def test_a_way_is_built_once_into_the_store_with_a_cache_that_no_server_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[list[str], str]] = []

    def run(command: list[str], env: dict[str, str], **_: object) -> None:
        calls.append((command, env["PITSTOP_CACHE"]))

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setenv("PITSTOP_STORE", "before")
    with building() as built:
        assert os.environ["PITSTOP_STORE"] == str(built.store)
        paths = {built.config(as_shipped("mlp")) for _ in range(2)}
        [(command, kept)] = calls
        assert command[2:] == ["pitstop", "build", *map(str, paths), "--model", "mlp", "--store", str(built.store)]
        assert kept != os.environ["PITSTOP_CACHE"]
        assert list(built.seconds) == ["mlp: as shipped"]
    assert os.environ["PITSTOP_STORE"] == "before"


def test_pitstop_and_the_peers_go_in_turns_each_held_to_its_own_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[tuple[str, str]] = []
    prepared: list[str] = []

    def measure(peer: Peer, workload: Workload, look: Callable[[Server], None] | None = None) -> Measured:
        assert (look is None) == (peer.name != "pitstop")
        done.append((peer.name, chosen().precision))
        return found(peer.name, workload.name, 100)

    monkeypatch.setattr(servers, "bf16_units", lambda: ("amx_bf16",))
    monkeypatch.setattr(servers, "prepare", lambda _: prepared.append(chosen().precision))
    monkeypatch.setattr(servers, "_limit", lambda *_: {"1": 10.0})
    entries = servers.entries_of("minilm", ["mosec"])
    assert len(list(servers.starts(WORKLOADS["minilm"], entries, Built(Path()), measure))) == 4 * 3
    once = [("pitstop", "fp32"), ("pitstop", "bf16"), ("mosec", "fp32"), ("mosec", "bf16")]
    assert done == [*once, *reversed(once), *once]
    assert prepared == ["fp32", "bf16"]
    assert chosen() == Device()
    assert [len(each.limits) for each in entries] == [3, 3, 0, 0]
    assert [each.as_json()["server"] for each in entries] == [
        "pitstop, fp32",
        "pitstop, as shipped",
        "mosec, fp32",
        "mosec, bf16",
    ]


def test_a_start_that_fails_has_no_limit_and_bf16_peers_say_why_they_are_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(servers, "bf16_units", tuple)
    monkeypatch.setattr(servers, "prepare", lambda _: None)
    monkeypatch.setattr(servers, "_limit", lambda *_: {"1": 10.0})
    entries = servers.entries_of("minilm", ["mosec"])
    fails = Measured("pitstop", "minilm", "", 1, 0, not_measured="gone")
    list(servers.starts(WORKLOADS["minilm"], entries, Built(Path()), lambda *_: fails))
    assert [each.limits for each in entries] == [[], [], [], []]
    assert entries[3].as_json()["not_measured"] == servers.NO_BF16


def found(server: str, workload: str, rate_rps: float, rounds: int = 1) -> Measured:
    measured = Measured(server, workload, "as it comes", 8, 0)
    one = Round(rate_rps, p50_ms=1.5, p99_ms=3.25, answers=9, client_cpu=0.1)
    measured.closed = [Closed(connections, [one] * rounds) for connections in (1, 8, 32)]
    return measured


@pytest.fixture
def workload() -> dict[str, Any]:
    """A model's servers, as the JSON has them, with two passes."""
    entries = servers.entries_of("resnet50", ["mosec", "triton"])
    for entry, rate_rps in zip(entries, (15, 60, 10, 12, 30, 20), strict=True):
        entry.starts = [found(entry.peer.name, "resnet50", rate_rps)] * 2
        if entry.way is not None:
            # At its best 16 and 24 rows a second before a round, and 16 after it.
            entry.limits = [({"1": 100.0, "8": 500.0}, {"1": 100.0, "8": 500.0}), ({"8": 1000 / 3}, {"8": 500.0})]
            entry.properties = {"backend": "aoti", "precision": "fp32", "candidates": CANDIDATES}
    content = {"name": "resnet50", "what": "pictures", "servers": [each.as_json() for each in entries]}
    decoded: dict[str, Any] = json.loads(json.dumps(content))
    return decoded


CANDIDATES = [
    {"backend": "aoti", "precision": "fp32", "rows_s": 16.9, "outcome": "chosen", "reason": ""},
    {"backend": "script", "precision": "fp32", "rows_s": None, "outcome": "refused", "reason": "off by 2"},
]


def test_rates_are_compared_with_the_best_peer_of_each_precision(workload: dict[str, Any]) -> None:
    assert {name: each[2] for name, each in ratios(workload).items()} == {
        "pitstop fp32 / best fp32 peer": (15 / 12, "Triton, fp32"),
        "pitstop as shipped / best fp32 peer": (5, "Triton, fp32"),
        "pitstop as shipped / best bf16 peer": (2, "mosec, bf16"),
    }


def test_a_rate_is_of_the_limit_right_before_and_after_it(workload: dict[str, Any]) -> None:
    assert of_the_limit(workload["servers"][0]) == [15 / 16, 15 / 20]


def test_the_table_has_every_server_the_ratios_and_the_candidates(workload: dict[str, Any]) -> None:
    workload["servers"].append({"server": "gone, bf16", "not_measured": "no Java"})
    part = {**HEAD, "bf16": ["avx512_bf16"], "built_s": {"resnet50: fp32": 61.4}, "workloads": [workload]}
    text = render({"servers": part})
    assert "This CPU has avx512_bf16." in text
    assert "resnet50: fp32 61 s" in text
    assert "| pitstop, fp32 | aoti, fp32 | 15 ± 0 % | 1.5 / 3.25 |" in text
    assert "| 84.4 % (75 to 93.8) |" in text
    assert "| pitstop as shipped / best bf16 peer | 2.00 (mosec, bf16) |" in text
    assert "| aoti | fp32 | 16.9 | chosen |  |" in text
    assert "| script | fp32 |  | refused | off by 2 |" in text
    assert "- gone, bf16: not measured: no Java" in text
    assert "- Triton, fp32: as it comes; up to 8 rows" in text


def test_starts_are_told_beyond_torch_beside_the_first_of_the_earlier_commit() -> None:
    def start(ready_s: float) -> dict[str, Any]:
        return {"ready_s": ready_s, "torch_s": 1.0, "how": "aoti", "precision": "bf16"}

    ways = {starts.BEFORE: [start(5), start(7), start(6)], starts.STORE: [start(3), start(2), start(4)]}
    text = render({"starts": {**HEAD, "before": "abc123", "models": [{"name": "minilm", "starts": ways}]}})
    assert f"| minilm | first, from the store | aoti, bf16 | 2.00 (1 to 3) | 0.40 {TIMES} | 1.00 |" in text
    assert "commit abc123" in text


def test_what_beside_a_long_forward_was_asked_and_how_late_a_thread_woke_is_told() -> None:
    asked = {"/v2/health/live": {"count": 1000, "p50_ms": 1.0, "p99_ms": 4.5, "most_ms": 9.0}}
    served = [{"backend": "aoti", "runs": "aoti", "forward_ms": 501, "asked": asked}]
    served.append({"backend": "eager", "not_measured": "no core"})
    inside = {"aoti_load_package": {"forward_ms": 500, "count": 9, "p50_ms": 252, "p99_ms": 500, "most_ms": 501}}
    part = {**HEAD, "layers": 6, "seconds": 60, "served": served, "in_process": inside}
    text = render({"interpreter": part})
    assert "| aoti | aoti | 501 | `/v2/health/live` | 1,000 | 1 | 4.5 | 9 |" in text
    assert "- eager: not measured: no core" in text
    assert "| aoti_load_package | 500 | 9 | 252 | 500 | 501 |" in text


def test_answers_are_counted_by_the_decade_of_what_they_are_off() -> None:
    expected = np.array([[1.0, 2.0], [4.0, -1.0], [2.0, 1.0]], np.float32)
    seen = Deviations()
    seen.add(expected, expected)
    # Off by 0.05 of 2, and with another highest entry.
    seen.add(np.array([[1.9, 2.0], [4.0, -1.2], [0.9, 1.0]], np.float32), expected)
    found = seen.as_json()
    assert found["rows"] == 6
    assert found["agreement"] == 5 / 6
    assert found["largest"] == pytest.approx(0.55)
    assert found["least_cosine"] == pytest.approx((1.8 + 1) / (5 * 1.81) ** 0.5)
    assert found["decades"] == {"-9": 3, "-2": 1, "-1": 2}
    ways = [{"way": "fp32", "runs": "aoti", "precision": "fp32", "kinds": {"random": found}}]
    text = render({"deviations": {**HEAD, "models": [{"name": "mlp", "ways": ways}]}})
    assert "| mlp | fp32: aoti, fp32 | random | 6 | 0.55 | 83.33 % |" in text


def test_an_answer_that_is_no_number_ends_the_comparison() -> None:
    with pytest.raises(ValueError, match="NaN"):
        Deviations().add(np.array([[np.nan, 1]], np.float32), np.ones((1, 2), np.float32))


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("forward") / "mlp.yaml"
    path.write_text(yaml.safe_dump(shipped("mlp")))
    return path


@pytest.fixture(scope="module")
def served(config: Path) -> OpenedModel:
    threads = torch.get_num_threads()
    try:
        return opened.opened(config, "mlp")
    finally:
        torch.set_num_threads(threads)


def test_pitstop_is_held_to_fp32_beside_peers_in_fp32_and_is_as_shipped_otherwise(tmp_path: Path) -> None:
    workload = WORKLOADS["resnet50"]
    launch = Launch(workload, PEERS["pitstop"].batch("resnet50"), 8000, tmp_path, Path("python"))
    args = {}
    for precision in ("fp32", "bf16"):
        with script.environment(Device("cpu", precision).environment):
            config = Path(PEERS["pitstop"].command(launch).argv[-1])
        args[precision] = application(yaml.safe_load(config.read_text()), "resnet50")["args"]
    assert args["fp32"]["precision"] == "fp32"
    assert "accept" not in args["fp32"]
    assert args["bf16"] == application(shipped("resnet50"), "resnet50")["args"]


def test_the_forward_is_timed_at_every_size_that_the_requests_which_wait_can_fill(served: OpenedModel) -> None:
    rows = opened.rows_of(served, WORKLOADS["mlp"].inputs()[:16])
    found = opened.forward_ms(served.runner, rows, waiting=16)
    assert list(found) == [1, 2, 4, 8, 16]
    assert all(ms > 0 for ms in found.values())


def test_requests_that_wait_together_share_batches_by_size_and_with_no_others() -> None:
    class Sized:
        """A runner to which a row is its size."""

        def shape(self, rows: list[int]) -> tuple[int, tuple[int, ...]]:
            return len(rows), (max(rows),)

    rows: Any = [9, 1, 8, 2, 5, 3, 4, 6, 7]
    batches: list[Any] = list(opened._batches(Sized(), rows, 4, 2))  # type: ignore[arg-type]
    assert batches == [[1, 2], [8, 9], [3, 4], [5, 6]]


def test_answers_come_back_in_order_whatever_the_batches_were(served: OpenedModel) -> None:
    rows = opened.rows_of(served, WORKLOADS["mlp"].inputs()[:9])
    answers = deviations.answers(served, rows, iter([1, 4, 2, 8]))
    module = Mlp().eval()
    np.testing.assert_allclose(answers, deviations.eager(module, rows, ["x"]), atol=1e-6)


def test_a_start_in_a_process_of_its_own_says_what_it_took_and_what_torch_did(config: Path, tmp_path: Path) -> None:
    found = starts._start(cache.PROJECT, config, "mlp", tmp_path)
    assert 0 < found["torch_s"] < found["ready_s"]
    assert starts.beyond_torch_s(found) >= sum(found["start_s"].values())


def test_rows_of_each_kind_fit_the_model() -> None:
    random = np.random.default_rng(0)
    for draw in deviations.DRAWS["resnet50"].values():
        rows = draw(None, random, 2)  # type: ignore[arg-type]
        assert [(row["image"].shape, row["image"].dtype) for row in rows] == [((1, 3, 224, 224), np.uint8)] * 2
    tokens = deviations.DRAWS["minilm"]["random"](None, random, 3)  # type: ignore[arg-type]
    assert all(row["input_ids"].shape == row["attention_mask"].shape for row in tokens)


def test_a_peer_gets_the_same_module_in_bf16_and_answers_in_float32(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path))
    threads = torch.get_num_threads()
    try:
        with script.environment(Device("cpu", "bf16").environment):
            artefacts.main(["minilm"])
            assert cache.prepared("minilm").name == "minilm-cpu-bf16.pt"
            answers = networks.load("minilm", 2)(WORKLOADS["minilm"].inputs())
    finally:
        torch.set_num_threads(threads)
    assert answers.dtype == np.float32
    off = np.abs(answers - np.load(cache.expected("minilm"))).max()
    assert 0 < off < 6e-2


def test_times_are_told_by_their_percentiles_and_the_most() -> None:
    assert slow.spans([float(each) for each in range(1, 101)]) == {
        "count": 100,
        "p50_ms": 50,
        "p99_ms": 99,
        "most_ms": 100,
    }


def test_a_thread_that_is_kept_from_waking_is_seen() -> None:
    held = slow._late_ms(lambda _: [sum(range(2000)) for _ in range(50)], torch.zeros(1))
    assert held["count"] > 0
    assert held["forward_ms"] > 0


def test_the_slow_network_is_the_same_one_in_every_process() -> None:
    row = torch.ones(1, slow.WIDTH)
    assert torch.equal(slow.Slow(1).eval()(row), slow.Slow(1).eval()(row))

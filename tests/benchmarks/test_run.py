from pathlib import Path

import pytest

from benchmarks import cache, run
from benchmarks.peers import PEERS, Peer
from benchmarks.peers.peer import Command, Launch
from benchmarks.results import Measured, Results
from benchmarks.run import parse
from benchmarks.server import KEEPS_FREED, _environment
from benchmarks.workloads import WORKLOADS, Workload


def test_everything_is_measured_by_default_and_kept_in_the_repository() -> None:
    options = parse([])
    assert options.only == list(PEERS)
    assert options.workloads == list(WORKLOADS)
    assert options.out == cache.PROJECT / "benchmarks" / "results"


@pytest.mark.parametrize("given", [["--quick"], ["--only", "pitstop,triton"], ["--workloads", "mlp"]])
def test_less_than_everything_is_kept_outside_the_repository(given: list[str]) -> None:
    assert cache.PROJECT not in parse(given).out.parents


def test_a_folder_can_be_named(tmp_path: Path) -> None:
    assert parse(["--quick", "--out", str(tmp_path)]).out == tmp_path


def test_an_unknown_name_is_refused_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--only", "pitstop,tritn"])
    assert "tritn" in (error := capsys.readouterr().err)
    assert "triton" in error


def test_every_pass_starts_every_server_and_goes_the_other_way_than_the_one_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[tuple[str, bool]] = []

    def measured(peer: Peer, workload: Workload) -> Measured:
        done.append((peer.name, bool(workload.memory_requests)))
        return Measured(peer.name, workload.name, "", 1, 0, not_measured="" if len(done) == 1 else "gone")

    monkeypatch.setattr(run, "prepare", lambda _: None)
    monkeypatch.setattr(run, "measure_limit", lambda limit, rounds: limit.rounds.extend([{1: 1.0}] * rounds))
    monkeypatch.setattr(run, "measure", measured)
    results = Results("servers", {}, {}, "", "", "", "")
    for _ in run._measured(results, WORKLOADS["mlp"], ["pitstop", "mosec"]):
        assert len(results.servers) == min(len(done), 2)
    names = ["pitstop", "mosec", "mosec", "pitstop", "pitstop", "mosec"]
    assert done == [(name, number < 2) for number, name in enumerate(names)]
    assert [(each.server, each.not_measured, len(each.missed)) for each in results.servers] == [
        ("pitstop", "", 2),
        ("mosec", "gone", 0),
    ]
    assert len(results.limits[0].rounds) == 4


def test_every_server_keeps_what_a_forward_frees_by_itself_or_because_malloc_is_told_to() -> None:
    told = {
        name
        for name, peer in PEERS.items()
        if KEEPS_FREED.items()
        <= _environment(peer, Launch(WORKLOADS["mlp"], peer.batch("mlp"), 1, Path(), Path()), Command(()), "").items()
    }
    assert told == set(PEERS) - {"pitstop"}

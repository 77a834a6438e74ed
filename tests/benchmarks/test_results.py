import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import table
from benchmarks.results import Closed, Limit, Measured, Open, Results, merged, read, write
from benchmarks.summary import Round

HARDWARE = {"cpu": "Some CPU", "cores": 2, "memory_gib": 24, "kernel": "6.1", "slug": "some-cpu-2-cores"}


def measured(server: str, rate_rps: float, **more: object) -> Measured:
    rounds = [Round(rate_rps * factor, 1.5, 3.25, 100, 0.3) for factor in (0.9, 1.0, 1.2)]
    found = Measured(server, "mlp", "as it comes", 64, 1.0, versions={"it": "1.0"}, memory_mib=512.3)
    found.closed = [Closed(connections, list(rounds)) for connections in (1, 16, 64)]
    found.open = [Open(load, [load * rate_rps] * 3, list(rounds)) for load in (0.5, 0.8)]
    for name, value in more.items():
        setattr(found, name, value)
    return found


@pytest.fixture
def results() -> Results:
    found = Results(
        theme="servers",
        hardware=HARDWARE,
        versions={"torch": "2.13.0"},
        commit="abc",
        command="python -m benchmarks.run",
        date="2026-11-24T23:00:00+00:00",
        threads="One thread each.",
    )
    found.limits = [Limit("mlp", [{1: 1.0, 8: 2.0}, {1: 1.2, 8: 2.2}, {1: 0.9, 8: 1.8}])]
    found.servers = [measured("fast", 2_000), measured("slow", 100), measured("gone", 1, not_measured="no Java")]
    return found


def test_the_json_holds_every_round_and_how_it_was_made(results: Results, tmp_path: Path) -> None:
    path = write(results, tmp_path / "results", "the table")
    content = json.loads(path.read_text())
    assert [each["rate_rps"] for each in content["servers"][0]["closed"][2]["rounds"]] == [1800, 2000, 2400]
    assert content["limits"][0]["rounds"][0] == {"1": 1.0, "8": 2.0}
    assert {"hardware", "versions", "commit", "command", "date"} <= content.keys()
    assert path.with_suffix(".md").read_text() == "the table\n"


def test_no_number_is_null_in_json(results: Results, tmp_path: Path) -> None:
    results.servers[0].started_s = float("nan")
    assert json.loads(write(results, tmp_path, "").read_text())["servers"][0]["started_s"] is None


def test_the_limit_is_the_best_batch_size_over_the_rounds(results: Results) -> None:
    assert table.best(results.limits[0]) == (8, 4000.0)


def test_the_table_tells_each_server_beside_the_limit(results: Results) -> None:
    lines = table.render(results).splitlines()
    rows = {line.split("|")[1].strip(): line for line in reversed(lines) if line.startswith("| ")}
    assert "4,000 ± 10 % by batches of 8" in rows["*in process, no server*"]
    assert "2,000 ± 15 %" in rows["fast"]
    assert "1.5 / 3.25" in rows["fast"]
    assert "50.0 %" in rows["fast"]
    assert "| 0.5 |" in rows["fast"], "1.5 ms at c=1, of which the forward takes 1.0"
    assert "gone" not in rows


def test_every_row_of_a_table_has_as_many_cells(results: Results) -> None:
    block: list[str] = []
    for line in [*table.render(results).splitlines(), ""]:
        if line.startswith("|"):
            block.append(line)
        else:
            assert len({row.count("|") for row in block}) <= 1
            block = []


def test_a_server_without_figures_is_named_with_the_reason(results: Results) -> None:
    assert "- gone: not measured: no Java" in table.render(results)


def test_failures_and_memory_are_told_below_the_table(results: Results) -> None:
    failed = Round(1, 1, 1, 1, 0.1, errors={"status 503": 2})
    results.servers[0].closed[1].rounds += [failed, failed]
    results.servers[0].watched_mib = {1_000: 300.0, 100_000: 301.5}
    report = table.render(results)
    assert "- fast, c=16: 4 failed, status 503" in report
    assert "300.0 MiB after 1,000, 301.5 MiB after 100,000" in report


def test_the_starts_of_one_server_are_one_row_of_all_their_rounds() -> None:
    first, second = measured("fast", 2_000, watched_mib={1_000: 300.0}), measured("fast", 1_000, memory_mib=612.3)
    found = merged([first, second])
    assert [each.rate_rps for each in found.closed[2].rounds] == [1800, 2000, 2400, 900, 1000, 1200]
    assert found.open[1].offered_rps == [1600, 1600, 1600, 800, 800, 800]
    assert (len(found.open[1].rounds), found.memory_mib, found.watched_mib) == (6, 562.3, {1_000: 300.0})
    assert len(first.closed[2].rounds) == 3


def test_a_start_that_fails_costs_a_server_that_round_alone_and_is_told(results: Results) -> None:
    gone = Measured("fast", "mlp", "as it comes", 64, 1.0, not_measured="not ready after 180 s")
    for starts in ([gone, measured("fast", 2_000)], [measured("fast", 2_000), gone]):
        results.servers = [merged(starts)]
        text = table.render(results)
        assert "2,000 ± 15 %" in text
        assert "- fast: one of its starts not measured: not ready after 180 s" in text
    assert merged([gone, gone]).not_measured == "not ready after 180 s"


def test_a_run_in_which_nothing_could_be_measured_still_has_a_report(results: Results) -> None:
    results.servers = [measured("gone", 1, not_measured="no Java")]
    assert "no Java" in table.render(results)


def test_a_workload_measured_again_takes_the_place_of_what_a_whole_run_had_and_says_so(
    results: Results, tmp_path: Path
) -> None:
    results.limits.append(Limit("minilm", [{1: 10.0}]))
    results.servers.append(measured("fast", 50, workload="minilm"))
    path = write(results, tmp_path, "")
    later = read(path)
    later.limits, later.servers = [Limit("mlp", [{1: 0.5}])], [measured(name, 7) for name in ("fast", "slow", "gone")]
    later.date, later.commit = "2026-11-25T01:00:00+00:00", "def"
    whole = read(path)
    whole.replace(later)
    assert [(each.server, each.workload) for each in whole.servers] == [
        ("fast", "mlp"),
        ("slow", "mlp"),
        ("gone", "mlp"),
        ("fast", "minilm"),
    ]
    assert whole.servers[0].closed[0].rounds[1].rate_rps == 7
    assert [each.rounds for each in whole.limits] == [[{1: 0.5}], [{1: 10.0}]]
    assert whole.commit == "abc"
    text = table.render(whole)
    assert text.count("Measured again, all its servers in one run: 2026-11-25T01:00:00+00:00, commit def.") == 1
    assert text.index("## mlp") < text.index("Measured again") < text.index("## minilm")


@pytest.mark.parametrize(
    "change",
    [
        {"hardware": {**HARDWARE, "cores": 4}},
        {"versions": {"torch": "2.14.0"}},
        {"servers": [measured("fast", 7)]},
    ],
)
def test_what_was_measured_otherwise_takes_no_place_in_a_run(
    results: Results, tmp_path: Path, change: dict[str, Any]
) -> None:
    later = read(write(results, tmp_path, ""))
    for name, value in change.items():
        setattr(later, name, value)
    with pytest.raises(ValueError, match="not those of the run"):
        results.replace(later)

"""The reports of the bundled models: what is run, what the index says, and what a failure leaves."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks import reports
from benchmarks.cache import PROJECT
from benchmarks.report_index import CommandRun, render
from benchmarks.report_steps import SUBJECTS, ReportStep, steps
from benchmarks.reports import reported
from pitstop.plan.serving import ServingError

DIGITS = SUBJECTS[0]
URL = "http://127.0.0.1:41234"
PLAN = """
1 replica on cpu, at most 8 rows in a forward, wait 0 ms
load     rate/s  p50  measured  p99  measured    95 %    off  forward
planned     500  3.2       3.4  6.1       6.5  6.0-7.0   -6%    x1.02
80 %       1200  5.2       5.4  9.1       9.9  8.8-11.1   -8%    x1.02
"""
FOUND: dict[str, Any] = {
    "audit/audit.json": {
        "models": [
            {
                "mistakes": [{"number": 1, "made": False}],
                "busy": "",
                "steps": [
                    {"items_s": 100, "kind": "mistake", "label": "train mode"},
                    {"items_s": None, "kind": "path", "label": "channels_last"},
                    {"items_s": 400, "kind": "batch", "label": "batches of 8"},
                ],
            }
        ]
    },
    "load.json": {
        "percentiles": [
            {"level": 0.5, "value": 1.5, "low": 1.4, "high": 1.6},
            {"level": 0.99, "value": 4.0, "low": 3.5, "high": None},
        ],
        "client_limit": [],
        "answered": 5000,
        "plan": {"rate_rps": 500},
        "failed_share": 0,
    },
    "compare/compare.json": {
        "cpu": {"capacity": {"rate_rps": 1234.5}},
        "slo_ms": 50,
        "verdict": "Up to 2,469 a second the CPU costs less.",
    },
}


@contextmanager
def no_server(*_: object) -> Iterator[str]:
    yield URL


def fake(asked: list[Sequence[str]], failing: str = "") -> reports.Run:
    """A `pitstop` that writes what the real one would, or fails."""

    def run(words: Sequence[str]) -> tuple[int, str]:
        asked.append(words)
        if words[0] == failing:
            return 2, f"nothing listens at {URL}\nhelp: start it\n"
        [folder] = {Path(word).parent for word in words if word.endswith(("load.json", "plan.yaml"))} or {
            Path(word).parent for word in words if word.endswith(("audit", "compare")) and "/" in word
        }
        for name, content in FOUND.items():
            if name.startswith(words[0]):
                (folder / name).parent.mkdir(exist_ok=True)
                (folder / name).write_text(json.dumps(content))
        return 0, PLAN if words[0] == "plan" else f"asked {URL}\n"

    return run


def test_every_command_is_run_and_the_index_has_it_with_what_it_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "served", no_server)
    asked: list[Sequence[str]] = []
    ran = list(reported(DIGITS, tmp_path / "digits", False, fake(asked), lambda _: None))
    assert [words[0] for words in asked] == ["audit", "load", "compare", "plan"]
    assert f"{URL}/v2/models/digits-cpu" in asked[1]
    index = render(_record(), [(DIGITS, ran)], tmp_path)
    for text in (
        "`pitstop load http://127.0.0.1:8000/v2/models/digits-cpu --rate 500",
        "none of the five mistakes; 400 items/s (batches of 8) against 100 (train mode): 4.0 times",
        "5,000 answers at 500/s, p50 1.5 ms, p99 4 ms (95 %: 3.5 to ?), 0.00% failed",
        "the CPU replica sustains 1,230/s",
        "planned (500/s) 6.1 and 6.5; 80 % (1200/s) 9.1 and 9.9",
    ):
        assert text in index
    assert URL not in index
    assert URL not in (tmp_path / "digits" / "load.txt").read_text()


def test_a_command_that_fails_is_named_and_the_rest_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "served", no_server)
    ran = list(reported(DIGITS, tmp_path / "digits", True, fake([], failing="load"), lambda _: None))
    assert [bool(each.failed) for each in ran] == [False, True, False, False]
    assert "**failed**: exit 2: help: start it" in render(_record(), [(DIGITS, ran)], tmp_path)


def test_a_server_that_does_not_start_fails_the_two_commands_that_need_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def broken(*_: object) -> Iterator[str]:
        raise ServingError("digits-cpu did not start: no room\nhelp: see the log")
        yield ""

    monkeypatch.setattr(reports, "served", broken)
    ran = list(reported(DIGITS, tmp_path / "digits", True, fake([]), lambda _: None))
    assert [each.failed for each in ran if each.failed] == [
        "the server did not start: digits-cpu did not start: no room"
    ] * 2


def test_figures_that_are_not_there_are_a_failure_too(tmp_path: Path) -> None:
    ran = [CommandRun(ReportStep("audit", ("audit",)), 1, "")]
    assert "**failed**: it left no figures (FileNotFoundError)" in render(_record(), [(DIGITS, ran)], tmp_path)


def test_no_folder_of_this_machine_is_kept_and_no_picture_is_touched(tmp_path: Path) -> None:
    picture = f"data:image/png;base64,AAAA{str(tmp_path.parent).replace('-', '+')}/BBBB="
    folder = tmp_path / "reports"
    folder.mkdir()
    (folder / "x.html").write_text(f'{PROJECT}/configs/x.yaml {folder}/digits {picture}" {Path.home()}/y')
    reports._clean(folder)
    text = (folder / "x.html").read_text()
    assert text == f'configs/x.yaml reports/digits {picture}" y'
    assert reports._without(["/a/b"], "/a/b/c /a/b-2/z /a/b") == "c /a/b-2/z "


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda each: each.name)
def test_every_model_is_one_of_its_config(subject: Any) -> None:
    from configs.loader import load

    names = [app.config.name for app in load(PROJECT / subject.config).models]
    assert {subject.model, subject.gpu_model} <= set(names)
    assert [each.name for each in steps(subject, Path("x"), quick=False)] == ["audit", "load", "compare", "plan"]


def _record() -> dict[str, Any]:
    return {
        "hardware": {"cpu": "A CPU", "cores": 2, "memory_gib": 8},
        "versions": {"torch": "2"},
        "commit": "abc",
        "date": "2026-11-26",
        "load_average": [0.1, 0.1, 0.1],
        "command": "python -m benchmarks.reports",
    }

import json
from pathlib import Path

from pitstop.measure import results
from pitstop.measure.hardware import hardware, versions

HEAD = {
    "command": "python -m x",
    "date": "2026-11-24T23:00:00+00:00",
    "commit": "abc",
    "hardware": {"cpu": "Some CPU", "cores": 2, "slug": "some-cpu-2-cores"},
    "versions": {"python": "3.11", "ray": "2"},
    "load_average": [0.12, 0.1, 0.1],
}


def test_the_machine_is_described() -> None:
    found = hardware(gpu=False)
    assert found.cores >= 1
    assert found.memory_gib >= 1
    assert set(found.slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert found.slug.endswith(f"-{found.cores}-cores")
    assert versions()["torch"][0].isdigit()


def test_a_head_says_by_which_command_where_with_what_and_when() -> None:
    found = results.head(["python", "-m", "x", "--out", "a folder"])
    assert found["command"] == "python -m x --out 'a folder'"
    assert set(found) == set(HEAD)
    assert found["hardware"]["gpu"] is None


def test_a_file_is_named_by_theme_hardware_and_month() -> None:
    assert results.stem("servers", HEAD) == "servers_some-cpu-2-cores_202611"


def test_a_head_is_told_in_a_line() -> None:
    line = "Some CPU, 2 cores; python 3.11, ray 2; commit abc; 2026-11-24T23:00:00+00:00; load average before: 0.1."
    assert results.told(HEAD) == line
    with_gpu = {**HEAD, "hardware": {"cpu": "Some CPU", "cores": 2, "gpu": "A GPU"}, "load_average": []}
    assert results.told(with_gpu).startswith("A GPU, Some CPU, 2 cores; ")


def test_every_file_of_the_repository_can_be_told() -> None:
    folder = Path(__file__).resolve().parents[3] / "benchmarks" / "results"
    found = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    measured = [each for each in found if "load_average" in each]
    assert len(measured) >= 4
    assert all(str(each["commit"]) in results.told(each) for each in measured)


def test_what_shows_a_record_lies_beside_it(tmp_path: Path) -> None:
    path = results.write(tmp_path / "new", "a.b", {"x": [float("nan"), 1.5]}, "a table", b"png")
    assert path.read_text() == '{\n "x": [\n  null,\n  1.5\n ]\n}\n'
    assert (path.parent / "a.b.md").read_text() == "a table\n"
    assert (path.parent / "a.b.png").read_bytes() == b"png"

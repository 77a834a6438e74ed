from pathlib import Path

import pytest

from benchmarks.scaling.__main__ import calculate, main
from benchmarks.scaling.inputs import ASSUMED, MEASURED, RAY, inputs
from benchmarks.scaling.parts import of_gpus, of_rate, old_proxies
from benchmarks.script import RESULTS
from pitstop.plan.choose import BUSIEST
from tests.deployments.ray_compat.tested import private

KNOWN = {name: each.value for name, each in inputs().items()}
SMALL, IMAGE = KNOWN["numbers_bytes"], KNOWN["image_bytes"]


def bears(fleet: object, name: str) -> float:
    [part] = [each for each in fleet.parts if each.name == name]  # type: ignore[attr-defined]
    return float(part.bears_rps)


def test_every_input_says_where_it_comes_from() -> None:
    for each in inputs().values():
        assert each.value > 0
        assert each.kind in (MEASURED, RAY, ASSUMED)
        assert each.source
        if each.kind == MEASURED:
            assert (RESULTS / each.source.split(":")[0]).is_file()


def test_what_is_taken_from_ray_is_what_ray_has() -> None:
    pytest.importorskip("ray.serve")
    constant = "ray.serve._private.constants.RAY_SERVE_HAPROXY_"
    assert KNOWN["maxconn"] == private(f"{constant}MAXCONN")
    assert KNOWN["hard_stop_s"] == private(f"{constant}HARD_STOP_AFTER_S")
    assert KNOWN["coalesce_s"] == private(f"{constant}BROADCAST_COALESCE_S")


def test_a_rate_needs_as_many_gpus_as_answer_it() -> None:
    one = of_gpus(1, SMALL, KNOWN)
    assert one.rate_rps == pytest.approx(BUSIEST * KNOWN["gpu_rps"])
    assert of_rate(one.rate_rps * 10, SMALL, KNOWN).gpus == 10
    assert of_rate(one.rate_rps * 10 + 1, SMALL, KNOWN).gpus == 11


def test_a_gpu_faster_than_an_event_loop_needs_ingress_replicas() -> None:
    fast = {**KNOWN, "gpu_rps": 4 * KNOWN["loop_rps"]}
    fleet = of_gpus(1, SMALL, fast)
    assert fleet.weak[0].name == "event loops of the replicas"
    assert fleet.ingress_replicas == 4
    assert of_gpus(1, SMALL, KNOWN).ingress_replicas == 0


def test_a_body_crosses_the_network_again_where_the_replica_is_on_another_node() -> None:
    alone = bears(of_gpus(8, IMAGE, KNOWN), "the network")
    two = bears(of_gpus(16, IMAGE, KNOWN), "the network")
    assert alone == pytest.approx(BUSIEST * KNOWN["node_gbit"] * 1e9 / 8 / IMAGE)
    assert two == pytest.approx(2 * alone / 1.5)


def test_images_fill_the_network_first_and_numbers_do_not() -> None:
    assert of_gpus(100, IMAGE, KNOWN).parts[0].name == "the network"
    assert of_gpus(100, SMALL, KNOWN).weak == []


def test_old_proxies_are_bounded_by_how_often_haproxy_reloads() -> None:
    assert old_proxies(1, KNOWN) == pytest.approx(2)
    assert old_proxies(1e9, KNOWN) == pytest.approx(KNOWN["hard_stop_s"] / KNOWN["coalesce_s"])


def test_the_committed_file_is_what_the_command_makes(tmp_path: Path) -> None:
    main(["--out", str(tmp_path)])
    [made, committed] = [folder / "scaling_simulated_202611.md" for folder in (tmp_path, RESULTS)]

    def figures(path: Path) -> list[str]:
        return [line for line in path.read_text().splitlines() if line.startswith("|")]

    assert figures(made) == figures(committed)
    assert calculate(4000)["fleets"]

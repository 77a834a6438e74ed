"""The Kubernetes manifests: as the command writes them, of fields that exist, with room for what the config asks."""

import os
import re
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from rich.console import Console

from configs.loader import ConfigError, load
from pitstop.kubernetes.groups import Group, Size, groups_of, pods
from pitstop.kubernetes.main import DONE, UNUSABLE, KubernetesOptions, kubernetes, rendered
from pitstop.replicas import replica_bounds
from tests.pitstop.fields_schema import schema

PROJECT = Path(__file__).resolve().parents[2]
CONFIG = Path("configs/cluster.yaml")
SHIPPED = PROJECT / "configs" / "kubernetes"


@pytest.fixture(autouse=True)
def _in_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)


@cache
def documents() -> dict[str, dict[str, Any]]:
    """Return the shipped manifests by kind and name."""
    found = {}
    for path in SHIPPED.glob("*.yaml"):
        for each in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            found[f"{each['kind']} {each['metadata']['name']}"] = each
    return found


def cluster() -> dict[str, Any]:
    found: dict[str, Any] = documents()["RayService pitstop"]["spec"]["rayClusterConfig"]
    return found


def all_pods() -> list[dict[str, Any]]:
    return [each["template"] for each in (cluster()["headGroupSpec"], *cluster()["workerGroupSpecs"])]


def test_the_shipped_manifests_are_those_that_the_command_writes() -> None:
    wanted = rendered(KubernetesOptions(CONFIG, SHIPPED, "pitstop:latest", "pitstop"))
    found = {path.name: path.read_text(encoding="utf-8") for path in SHIPPED.glob("*.yaml")}
    assert found == wanted, "run `pitstop kubernetes configs/cluster.yaml --out configs/kubernetes/` again"


def test_the_config_stands_in_the_ray_service_as_it_is_but_for_the_line_for_editors() -> None:
    embedded = documents()["RayService pitstop"]["spec"]["serveConfigV2"]
    first, _, rest = CONFIG.read_text(encoding="utf-8").partition("\n")
    assert first.startswith("# yaml-language-server: ")
    assert embedded == rest


@pytest.mark.parametrize("key", sorted(documents()))
def test_every_field_of_a_manifest_exists(key: str) -> None:
    # The lists of fields are written by hand: tests/pitstop/fields/README.md says from which versions.
    document = documents()[key]
    jsonschema.validate(document, schema(document["kind"]))


@pytest.mark.parametrize(
    "where", [("enableInTreeAutoscalling",), ("headGroupSpec", "template", "spec", "containers", 0, "readynessProbe")]
)
def test_a_misspelt_field_would_be_found(where: tuple[str | int, ...]) -> None:
    document = yaml.safe_load(yaml.safe_dump(documents()["RayService pitstop"]))
    parent = document["spec"]["rayClusterConfig"]
    for key in where[:-1]:
        parent = parent[key]
    parent[where[-1]] = True
    with pytest.raises(jsonschema.ValidationError, match=str(where[-1])):
        jsonschema.validate(document, schema("RayService"))


def test_the_groups_have_room_for_every_replica() -> None:
    groups = {each["groupName"]: each for each in cluster()["workerGroupSpecs"]}
    # resnet50: 1 to 4 replicas of a GPU, twice as many in a rollout; resnet50-cpu: 1 to 8 of four cores.
    assert {name: (each["minReplicas"], each["maxReplicas"]) for name, each in groups.items()} == {
        "gpu": (1, 8),
        "cpu": (1, 8),
    }
    limits = {name: each["template"]["spec"]["containers"][0]["resources"]["limits"] for name, each in groups.items()}
    assert limits["gpu"]["nvidia.com/gpu"] == "1"
    assert "nvidia.com/gpu" not in limits["cpu"]
    assert {name: each["rayStartParams"]["num-cpus"] for name, each in groups.items()} == {"gpu": "1", "cpu": "4"}
    assert all(int(limits[name]["cpu"]) > int(each["rayStartParams"]["num-cpus"]) for name, each in groups.items())


def test_pods_run_without_privileges_are_probed_and_leave_empty() -> None:
    for template in all_pods():
        [container] = template["spec"]["containers"]
        assert container["securityContext"]["runAsNonRoot"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["readinessProbe"]
        assert container["livenessProbe"]
    for group in cluster()["workerGroupSpecs"]:
        spec = group["template"]["spec"]
        leave = spec["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][-1]
        deadline = re.search(r"ray drain-node .*--deadline-remaining-seconds (\d+)\n", leave)
        assert deadline
        assert int(deadline[1]) < spec["terminationGracePeriodSeconds"]


def test_the_ports_that_are_open_are_those_that_serve() -> None:
    [same, clients, prometheus, operator] = documents()["NetworkPolicy pitstop"]["spec"]["ingress"]
    assert "ports" not in same
    assert [each["port"] for each in clients["ports"]] == [8000, 9000]
    assert "from" not in clients
    assert [each["port"] for each in (*prometheus["ports"], *operator["ports"])] == [8080, 8265]


def test_what_selects_pods_selects_those_of_the_ray_service() -> None:
    labels = [template["metadata"]["labels"] for template in all_pods()]
    metrics = documents()["Service pitstop-metrics"]
    assert all(metrics["spec"]["selector"] == each for each in labels)
    monitor = documents()["ServiceMonitor pitstop"]["spec"]
    assert monitor["selector"]["matchLabels"] == metrics["metadata"]["labels"]
    assert [each["port"] for each in monitor["endpoints"]] == [each["name"] for each in metrics["spec"]["ports"]]
    # KubeRay adds ray.io/node-type.
    for kind in ("head", "worker"):
        selected = documents()[f"PodDisruptionBudget pitstop-{kind}"]["spec"]["selector"]["matchLabels"]
        assert selected == {**labels[0], "ray.io/node-type": kind}


def test_no_manifest_holds_a_secret() -> None:
    for path in SHIPPED.iterdir():
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(?i)(password|api[_-]?key|secret\w*|auth_token)\s*[:=]", text), path


@pytest.mark.parametrize(
    "sizes, pod, count",
    [
        ([], Size(4), 0),
        ([Size(4)] * 3, Size(4), 3),
        ([Size(1)] * 5, Size(4), 2),
        ([Size(3), Size(2), Size(1), Size(2)], Size(4), 2),
        ([Size(1, 0.25)] * 5, Size(4, 1), 2),
        ([Size(1, 0.1)] * 10, Size(10, 1), 1),
        ([Size(0.1)] * 10, Size(1), 1),
    ],
)
def test_replicas_share_pods_as_far_as_they_fit(sizes: list[Size], pod: Size, count: int) -> None:
    assert pods(sizes, pod) == count


def edited(folder: Path, *changes: tuple[str, str]) -> Path:
    text = CONFIG.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = folder / "edited.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_replicas_that_share_a_gpu_share_a_pod(tmp_path: Path) -> None:
    path = edited(tmp_path, ("device: cuda ", "num_gpus: 0.25\n      num_cpus: 2\n      device: cuda "))
    [_, gpu] = groups_of(load(path))
    assert gpu == Group("gpu", Size(8, 1), 1, 2)


@pytest.mark.parametrize(
    "replicas, bounds",
    [
        ({}, (1, 1)),
        ({"num_replicas": 3}, (3, 3)),
        ({"num_replicas": "auto"}, (1, 100)),
        ({"num_replicas": "auto", "autoscaling_config": {"min_replicas": 2}}, (2, 100)),
        ({"num_replicas": "auto", "autoscaling_config": {"max_replicas": 8}}, (1, 8)),
        ({"autoscaling_config": {"min_replicas": 0}}, (0, 1)),
    ],
)
def test_the_bounds_of_replicas_are_those_of_serve(replicas: dict[str, Any], bounds: tuple[int, int]) -> None:
    assert replica_bounds(replicas) == bounds


def test_num_replicas_auto_alone_has_room_for_the_hundred_that_serve_may_start(tmp_path: Path) -> None:
    raw = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    for app in raw["applications"][1:]:
        app["deployments"][0].pop("autoscaling_config", None)
        app["deployments"][0] |= {"num_replicas": "auto", "max_surge_percent": 0}
    path = tmp_path / "auto.yaml"
    path.write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")
    assert [(each.least, each.most) for each in groups_of(load(path))] == [(1, 100), (1, 100)]


def test_an_accelerator_has_a_group_of_its_own(tmp_path: Path) -> None:
    path = edited(tmp_path, ("device: cuda ", "accelerator_type: A10G\n      device: cuda "))
    assert [each.name for each in groups_of(load(path))] == ["cpu", "gpu-a10g"]


def test_ingress_replicas_get_cores(tmp_path: Path) -> None:
    path = edited(tmp_path, ("device: cuda ", "ingress_replicas: 3\n      device: cuda "))
    [cpu, _] = groups_of(load(path))
    # Both models have three: resnet50-cpu takes its args from resnet50.
    assert (cpu.pod, cpu.least, cpu.most) == (Size(4), 1 + 2, 8 + 2)


@pytest.mark.parametrize(
    "old, new, sentence",
    [
        ("host: 0.0.0.0", "host: 127.0.0.1", "no one outside the pod reaches"),
        ("device: cuda ", "device: auto ", "device is auto"),
        ("max_batch_size: 32", "max_batch: 32", "unknown key"),
    ],
)
def test_a_config_that_no_cluster_can_serve_is_refused(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    options = KubernetesOptions(edited(tmp_path, (old, new)), tmp_path / "out", "image", "name")
    with pytest.raises(ConfigError, match=sentence):
        rendered(options)
    said = StringIO()
    assert kubernetes(options, Console(file=said, markup=False)) == UNUSABLE
    assert "help:" in said.getvalue()
    assert not options.out.exists()


def test_image_and_name_are_the_users(tmp_path: Path) -> None:
    options = KubernetesOptions(CONFIG, tmp_path / "new", "registry.example/mine:3", "mine")
    assert kubernetes(options, Console(file=StringIO())) == DONE
    [service] = yaml.safe_load_all((tmp_path / "new" / "rayservice.yaml").read_text())
    assert service["metadata"]["name"] == "mine"
    images = {
        each["template"]["spec"]["containers"][0]["image"]
        for each in service["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    }
    assert images == {"registry.example/mine:3"}


def test_the_image_is_locked_unprivileged_and_says_whether_it_is_ready() -> None:
    text = (SHIPPED / "Dockerfile").read_text(encoding="utf-8")
    users = re.findall(r"(?m)^USER (\S+)", text)
    assert users == ["1000"]
    assert users[-1] == str(all_pods()[0]["spec"]["containers"][0]["securityContext"]["runAsUser"])
    assert re.search(r"(?m)^HEALTHCHECK", text)
    assert "--constraint requirements.lock" in text
    assert re.search(r"(?m)^ARG TORCH_INDEX=\S+/cpu$", text)
    assert text.index('--index-url "${TORCH_INDEX}"') < text.index("--constraint requirements.lock")


def test_the_image_holds_what_a_node_needs_and_no_more() -> None:
    ignored, *kept = (SHIPPED / "Dockerfile.dockerignore").read_text(encoding="utf-8").split()
    assert ignored == "**"
    found = {each.removeprefix("!").rstrip("/") for each in kept if each.startswith("!")}
    assert all(os.path.exists(each) for each in found)  # noqa: PTH110  # Relative to the root, as docker takes them.
    assert {"configs", "models", "deployments", "pitstop", "requirements.lock"} <= found
    assert {"tests", "benchmarks", ".git"}.isdisjoint(found)

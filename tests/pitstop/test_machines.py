"""The cluster launcher's file, held against Ray's own schema and against the config that it is for."""

import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.loader import load
from pitstop.kubernetes.groups import groups_of
from tests.deployments.ray_compat.tested import private

PROJECT = Path(__file__).resolve().parents[2]
RAW: dict[str, Any] = yaml.safe_load((PROJECT / "configs" / "machines" / "aws.yaml").read_text(encoding="utf-8"))


def test_ray_takes_the_file() -> None:
    validated(yaml.safe_load(yaml.safe_dump(RAW)))


def test_ray_refuses_a_key_that_it_does_not_know() -> None:
    import jsonschema

    with pytest.raises(jsonschema.ValidationError, match="idle_timeout_minuts"):
        validated({**RAW, "idle_timeout_minuts": 5})


def test_the_machines_have_room_for_every_replica_of_the_cluster_config() -> None:
    types = RAW["available_node_types"]
    most = 0
    for group in groups_of(load(PROJECT / "configs" / "cluster.yaml")):
        machine = types[group.name]
        assert machine["resources"]["CPU"] >= group.pod.cpus
        assert machine["resources"].get("GPU", 0) >= math.ceil(group.pod.gpus)
        assert (machine["min_workers"], machine["max_workers"]) == (group.least, group.most)
        most += group.most
    assert RAW["max_workers"] == most


def test_the_head_takes_no_model_and_the_token_stays_outside() -> None:
    assert RAW["available_node_types"][RAW["head_node_type"]]["resources"] == {"CPU": 0}
    assert list(RAW["file_mounts"].values()) == ["~/.ray/auth_token"]
    starts = [RAW[f"{kind}_start_ray_commands"][-1] for kind in ("head", "worker")]
    assert all("RAY_AUTH_MODE=token ray start" in each for each in starts)


def validated(raw: dict[str, Any]) -> None:
    """Have Ray's cluster launcher look at a file."""
    util = "ray.autoscaler._private.util"
    private(f"{util}.validate_config")(private(f"{util}.prepare_config")(raw))

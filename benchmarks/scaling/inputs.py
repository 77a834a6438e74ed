"""The numbers that the arithmetic takes, each with where it comes from: a results file, Ray's source, or assumed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from ..script import RESULTS

_SERVERS = "servers_amd-epyc-2-cores_202611.json"
_GRPC = "grpc_amd-epyc-2-cores_202611.json"
MEASURED, RAY, ASSUMED = "measured", "Ray's source", "assumed"


@dataclass(frozen=True, slots=True)
class Input:
    """One number. `kind` is MEASURED, RAY or ASSUMED; `source` says where exactly."""

    value: float
    unit: str
    kind: str
    source: str


def inputs() -> dict[str, Input]:
    """Return every input by name."""
    return {**_measured(), **_of_ray(), **_assumed()}


def _measured() -> dict[str, Input]:
    loop = _closed(json.loads((RESULTS / _SERVERS).read_text()), 64)
    proxy = _proxy_us(json.loads((RESULTS / _GRPC).read_text()), 64)
    told = "median of `rate_rps` of server pitstop, workload mlp, closed loop, 64 connections; taken for images too"
    way = "median of `cpu_us.haproxy` of way `through the front`, 64 calls: 64 numbers over HTTP; taken for images too"
    return {
        "loop_rps": Input(loop, "requests/s of one event loop", MEASURED, f"{_SERVERS}: {told}"),
        "proxy_us": Input(proxy, "µs of HAProxy a request", MEASURED, f"{_GRPC}: {way}"),
    }


def _of_ray() -> dict[str, Input]:
    constants = "ray 2.60 serve/_private/constants.py"
    return {
        "maxconn": Input(4096, "connections of one HAProxy", RAY, f"{constants}: RAY_SERVE_HAPROXY_MAXCONN"),
        "hard_stop_s": Input(
            120, "s an old HAProxy may stay", RAY, f"{constants}: RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S"
        ),
        "coalesce_s": Input(0.1, "s between reloads", RAY, f"{constants}: RAY_SERVE_HAPROXY_BROADCAST_COALESCE_S"),
    }


def _assumed() -> dict[str, Input]:
    return {
        "gpu_rps": Input(
            4000, "rows/s of one GPU", ASSUMED, "a GPU that does 4,000 images/s: measure yours with `pitstop plan`"
        ),
        "full_rows": Input(64, "rows of a full batch", ASSUMED, "args.max_batch_size"),
        "latency_ms": Input(50, "ms a request is under way", ASSUMED, "gives the connections in use, by Little's law"),
        "node_gpus": Input(8, "GPUs of a node", ASSUMED, "a usual GPU machine"),
        "node_gbit": Input(25, "Gbit/s of a node's network", ASSUMED, "a usual GPU machine"),
        "proxy_threads": Input(
            8, "threads of HAProxy on a node", ASSUMED, "RAY_SERVE_HAPROXY_NBTHREAD; assumed to share evenly"
        ),
        "files_a_connection": Input(
            2.5, "files a connection", ASSUMED, "what HAProxy asks for at its start; not measured here"
        ),
        "open_files": Input(65536, "open files of a process", ASSUMED, "ulimit -n"),
        "controller_rps": Input(1000, "reports/s of the controller", ASSUMED, "not measured; it is one Python process"),
        "report_s": Input(2, "s between a replica's reports", ASSUMED, "metrics_interval_s in configs/cluster.yaml"),
        "image_bytes": Input(
            150_528, "bytes of an image", ASSUMED, "3 x 224 x 224 bytes, sent binary: exact, its header left out"
        ),
        "numbers_bytes": Input(700, "bytes of 64 numbers", ASSUMED, "64 numbers of some ten characters as JSON"),
    }


def _closed(record: Mapping[str, Any], connections: int) -> float:
    [server] = [each for each in record["servers"] if (each["server"], each["workload"]) == ("pitstop", "mlp")]
    [loop] = [each for each in server["closed"] if each["connections"] == connections]
    return float(median(each["rate_rps"] for each in loop["rounds"]))


def _proxy_us(record: Mapping[str, Any], calls: int) -> float:
    found = [each for each in record["rounds"] if (each["way"], each["calls"]) == ("through the front", calls)]
    return float(median(each["cpu_us"]["haproxy"] for each in found))

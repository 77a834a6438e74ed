"""Who gets in, over every door of a real server; and what the logs hold afterwards."""

import contextlib
import re
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import requests
import yaml

from deployments.protocol.encoding import to_binary
from deployments.stubs import open_inference_pb2 as pb
from deployments.stubs.open_inference_pb2_grpc import GRPCInferenceServiceStub
from pitstop import processes
from tests.fuzz import seeds
from tests.fuzz.conftest import ALL, ECHO_ONLY, OPEN_ONLY, Served, bearer
from tests.serving import PROXY, left_over, wait_until

pytestmark = pytest.mark.ray

Code = grpc.StatusCode
CLOSED = ["/v2", "/v2/models", "/v2/repository/index", "/v2/models/nothing", "/nothing", "/v2/models/echo"]
CLOSED += ["/v2/models/echo/stats", "/v2/models/echo/config", "/v2/models/echo/nothing", "/openapi.json"]
OPEN = ["/v2/health/live", "/v2/health/ready", "/v2/models/echo/ready", "/v2/models/open", "/v2/models/open/stats"]
OPEN += ["/docs", "/docs/", "/docs/docs.js"]
INFER = [seed for seed in seeds.http() if seed.model == "echo" and seed.path == "/infer"]


def status(served: Served, path: str, token: str | None = None) -> int:
    return requests.get(served.url + path, headers=bearer(token) if token else {}, timeout=60).status_code


@pytest.mark.parametrize("path", CLOSED)
def test_all_is_closed(served: Served, path: str) -> None:
    answer = requests.get(served.url + path, timeout=60)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert "echo" not in answer.text
    assert status(served, path, "x" * 40) == 401
    assert status(served, path, ALL) in (200, 404)


@pytest.mark.parametrize("path", OPEN)
def test_but_the_probes_and_the_model_without_access(served: Served, path: str) -> None:
    assert status(served, path) == 200


def test_the_description_has_the_models_that_the_token_opens(served: Served) -> None:
    for token, wanted in ((ALL, {"echo", "open"}), (ECHO_ONLY, {"echo", "open"}), (OPEN_ONLY, {"open"})):
        found = requests.get(f"{served.url}/openapi.json", headers=bearer(token), timeout=60).json()
        assert {path.split("/")[3] for path in found["paths"] if path.startswith("/v2/models/")} == wanted
        assert found["paths"]["/v2/models/open/infer"]["post"]["security"] == []


@pytest.mark.parametrize("seed", INFER[:2])
def test_inference_needs_a_token_that_opens_the_model(served: Served, seed: seeds.Seed) -> None:
    url = f"{served.url}/v2/models/echo/infer"
    found = [
        requests.post(url, seed.body, headers={**seed.headers, **more}, timeout=60).status_code
        for more in ({}, bearer("x" * 40), bearer(OPEN_ONLY), bearer(ECHO_ONLY), bearer(ALL))
    ]
    assert found == [401, 401, 403, 200, 200]


def test_grpc_asks_for_the_same_tokens_on_both_ports(served: Served) -> None:
    one_hop = yaml.safe_load(served.serving.config.read_text())["grpc_options"]["port"]
    request = pb.ModelInferRequest.FromString(seeds.grpc())
    for port, application in ((served.serving.grpc_port, ()), (one_hop, (("application", "echo"),))):
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub: Any = GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]
            found = []
            for token in ("", "x" * 40, OPEN_ONLY, ECHO_ONLY):
                metadata = (*application, *((("authorization", f"Bearer {token}"),) if token else ()))
                call = stub.ModelInfer.future(request, metadata=metadata, timeout=60)
                found.append(call.code())
            assert found == [Code.UNAUTHENTICATED, Code.UNAUTHENTICATED, Code.PERMISSION_DENIED, Code.OK]
            assert stub.ServerLive(pb.ServerLiveRequest(), metadata=application, timeout=60).live
            assert stub.ModelReady(pb.ModelReadyRequest(name="echo"), metadata=application, timeout=60).ready
            stream = stub.ModelStreamInfer(iter([request]), metadata=application, timeout=60)
            if application:
                assert stream.code() is Code.UNAUTHENTICATED
            else:  # The next message might name a model that asks for no token.
                [answer] = list(stream)
                assert "a token is needed" in answer.error_message
                assert answer.infer_response.outputs == []


def test_the_grpc_proxy_names_no_model_to_who_has_no_token(served: Served) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{served.serving.grpc_port}") as channel:
        stub: Any = GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]
        call = stub.ModelInfer.future(pb.ModelInferRequest(model_name="nothing"), timeout=60)
        assert (call.code(), "echo" in call.details()) == (Code.UNAUTHENTICATED, False)


def test_a_token_rotates_while_requests_run(served: Served) -> None:
    new, was = "new-9e8d7c6b5a41203", served.tokens.read_text()
    assert status(served, "/v2/models/echo", new) == 401
    _write(served.tokens, f"{was}\n{new}\n")
    wait_until(lambda: status(served, "/v2/models/echo", new) == 200, within_s=60)
    assert status(served, "/v2/models/echo", ALL) == 200
    _write(served.tokens, was)
    wait_until(lambda: status(served, "/v2/models/echo", new) == 401, within_s=60)
    assert status(served, "/v2/models/echo", ALL) == 200


def test_nothing_of_ours_listens_beyond_this_machine(served: Served) -> None:
    if served.path == PROXY:
        pytest.skip("Ray's own proxy puts gRPC on every interface")
    outside = {port for port, host in _listening(served.serving.mark) if host not in ("127.0.0.1", "::1")}
    config = yaml.safe_load(served.serving.config.read_text())
    variables = config["controller_options"]["runtime_env"]["env_vars"]
    ports = {served.serving.port, served.serving.grpc_port, config["grpc_options"]["port"]}
    assert ports & outside == set()
    fallback = {int(variables[f"RAY_SERVE_FALLBACK_PROXY_{kind}_PORT"]) for kind in ("HTTP", "GRPC")}
    command = next(line for line in left_over(served.serving.mark) if "haproxy" in line and " -f " in line)
    haproxy = Path(command.partition(" -f ")[2].split()[0]).read_text()
    replicas = {int(port) for port in re.findall(r"^\s*server \S+ \S+:(\d+)", haproxy, re.MULTILINE)} - fallback
    assert len(replicas) >= 6  # Three applications, HTTP and gRPC.
    assert replicas & outside == set()


def test_what_listens_beyond_it_is_named_at_the_start(served: Served) -> None:
    variables = yaml.safe_load(served.serving.config.read_text())["controller_options"]["runtime_env"]["env_vars"]
    named = [variables[f"RAY_SERVE_{name}"] for name in NAMED] if served.path != PROXY else []
    served.serving.wait_for("open to the network: ", 60)
    line = next(line for line in served.serving.lines if "open to the network: " in line)
    assert all(port in line for port in named)
    assert str(served.serving.grpc_port) not in line


def test_each_replica_s_port_that_unpickles_is_among_what_is_named(served: Served) -> None:
    ours = processes.of(served.serving.process.pid, served.serving.mark)
    replicas = {pid for pid, line in ours.items() if "ray::ServeReplica" in line}
    variables = yaml.safe_load(served.serving.config.read_text())["controller_options"]["runtime_env"]["env_vars"]
    served.serving.wait_for("open to the network: ", 60)
    line = next(line for line in served.serving.lines if "open to the network: " in line)
    outside = {port for port, host in _of(replicas) if host not in ("127.0.0.1", "::1") and str(port) not in line}
    known = {
        served.serving.grpc_port,
        served.serving.port,
        *(int(value) for value in variables.values() if value.isdigit()),
    }
    assert len(replicas) >= 3
    assert len(outside - known) >= len(replicas)  # Ray's workers have a port of their own besides.
    assert "one port of each replica (calls between replicas, which unpickle what they receive, " in line
    assert "RAY_AUTH_MODE is disabled" in line  # As the tests start it.


NAMED = ("HAPROXY_STATS_PORT", "HAPROXY_METRICS_PORT", "FALLBACK_PROXY_GRPC_PORT")


def test_logs_name_request_ids_and_hold_neither_payloads_nor_tokens(served: Served) -> None:
    payload, name = "PAYLOAD-a7f3e1", "an-id-of-4711"
    tensor = {"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [-9999]}
    headers = {"x-request-id": name}
    failed = requests.post(
        f"{served.url}/v2/models/open/infer", json={"id": payload, "inputs": [tensor]}, headers=headers, timeout=60
    )
    assert (failed.status_code, failed.headers["x-request-id"]) == (500, name)
    texts = np.array([[payload.encode()] * 2], object)
    request = pb.ModelInferRequest.FromString(seeds.grpc())
    request.raw_input_contents[3] = to_binary("BYTES", texts)
    sent = request.SerializeToString()
    protobuf = {"Content-Type": "application/x-protobuf", **bearer(ALL)}
    url = f"{served.url}/v2/models/echo/infer"
    assert requests.post(url, sent, headers=protobuf, timeout=60).status_code == 200
    for body in (b"{" + payload.encode(), f'{{"inputs": "{payload}"}}'.encode()):
        assert requests.post(url, body, headers=bearer(ALL), timeout=60).status_code == 400
    wait_until(lambda: name in _logs(served), within_s=60)
    logs = _logs(served)
    assert [secret for secret in (payload, ALL, ECHO_ONLY, OPEN_ONLY) if secret in logs] == []


def _logs(served: Served) -> str:
    files = [path for path in served.serving.folder.glob("**/logs/**/*") if path.is_file()]
    return served.serving.log + "".join(path.read_text(errors="replace") for path in files)


def _write(path: Path, text: str) -> None:
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.replace(path)


def _listening(mark: str) -> set[tuple[int, str]]:
    """Return port and address of each TCP socket on which a process of the run listens."""
    return _of(processes.of(None, mark))


def _of(pids: Iterable[int]) -> set[tuple[int, str]]:
    inodes = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            inodes |= {link.readlink().name for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
    found = set()
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and f"socket:[{words[9]}]" in inodes:
                address, port = words[1].split(":")
                found.add((int(port, 16), _address(family, address)))
    return found


def _address(family: int, written: str) -> str:
    """Read an address of /proc/net/tcp, words of four bytes in this machine's order."""
    words = [bytes.fromhex(written[at : at + 8])[::-1] for at in range(0, len(written), 8)]
    found = socket.inet_ntop(family, b"".join(words))
    return found.removeprefix("::ffff:")

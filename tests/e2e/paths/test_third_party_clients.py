"""Clients that others wrote, unmodified. Triton's and KServe's want a protobuf that Ray does not, so each has a venv.

The venvs are made once, below $PITSTOP_CACHE or ~/.cache/pitstop.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.serving import PROJECT, Serving

pytestmark = pytest.mark.ray

# Taken at import: the tests of this folder give the server a cache of its own, and these venvs outlast it.
CLIENTS = Path(os.environ.get("PITSTOP_CACHE", Path.home() / ".cache" / "pitstop")) / "clients"
PACKAGES = {"triton": ["tritonclient[http,grpc]==2.73.0"], "kserve": ["kserve==0.21.0"]}
SCRIPTS = PROJECT / "tests" / "clients"


def python(client: str) -> Path:
    """Return the interpreter of a client's venv, made on first use."""
    folder = CLIENTS / client
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / "made.json"
    with (CLIENTS / f"{client}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists() or json.loads(made.read_text()) != PACKAGES[client]:
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
            pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            # Most of what they bring is never imported.
            subprocess.run([*pip, "--no-compile", *PACKAGES[client]], check=True)
            made.write_text(json.dumps(PACKAGES[client]))
    return folder / "bin" / "python"


@pytest.mark.parametrize("client", PACKAGES)
def test_an_unmodified_client_finds_all_it_asks_for(serving: Serving, client: str) -> None:
    script = SCRIPTS / f"{client}_client.py"
    command = [str(python(client)), str(script), f"127.0.0.1:{serving.port}", f"127.0.0.1:{serving.grpc_port}"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300, cwd=serving.folder)
    assert done.returncode == 0, done.stdout + done.stderr


def test_curl_asks_as_the_protocol_s_examples_do(serving: Serving) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    body = '{"inputs": [{"name": "x", "shape": [2, 1], "datatype": "FP32", "data": [1, 2]}]}'
    command = [curl, "--silent", "--show-error", "--fail", "--data", body, f"{serving.model('slow')}/infer"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=30)
    assert json.loads(done.stdout)["outputs"][0]["data"] == [2, 4]
    command[-1] = f"{serving.model('nothing')}/infer"
    missing = subprocess.run(command, check=False, capture_output=True, timeout=30)
    assert b"404" in missing.stderr


def test_requests_keeps_its_connection(serving: Serving) -> None:
    body = {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [1]}]}
    with requests.Session() as session:
        for _ in range(3):
            answer = session.post(f"{serving.model('slow')}/infer", json=body, timeout=30)
            assert answer.json()["outputs"][0]["data"] == [2]
            assert answer.headers.get("connection", "keep-alive") == "keep-alive"

"""Triton Inference Server with its Python backend, https://github.com/triton-inference-server.

The server is the binary inside the nvidia-pytriton wheel, started by itself: PyTriton's own launcher adds a process
between server and model, and fails on some Python 3.11 releases.
"""

import shutil
import sys
import sysconfig
from functools import partial
from pathlib import Path

from ..cache import PROJECT
from ..device import chosen
from ..venvs import shared
from .codecs import open_inference
from .peer import Batching, Command, Launch, Peer

# The interpreter in Triton's stub takes no notice of PYTHONPATH.
_MODEL = """import sys

sys.path[:0] = {path!r}

from benchmarks.peers.apps.triton_model import TritonPythonModel  # noqa
"""
_TENSORS = {
    "mlp": ('name: "x" data_type: TYPE_FP32 dims: [64]', 'name: "y" data_type: TYPE_FP32 dims: [10]'),
    "resnet50": (
        'name: "image" data_type: TYPE_UINT8 dims: [3, 224, 224]',
        'name: "logits" data_type: TYPE_FP32 dims: [1000]',
    ),
    "minilm": ('name: "text" data_type: TYPE_STRING dims: [1]', 'name: "embedding" data_type: TYPE_FP32 dims: [384]'),
}
_OFF = ("--allow-grpc=false", "--allow-metrics=false")


def _command(launch: Launch) -> Command:
    site = next(launch.python.parents[1].glob("lib/python*/site-packages"))
    home = site / "pytriton" / "tritonserver"
    backends = launch.folder / "backends"
    shutil.copytree(home / "backends", backends)
    # The backend looks for its stub, one for each version of Python, in its own folder.
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    shutil.copy(home / "python_backend_stubs" / version / "triton_python_backend_stub", backends / "python")
    _write_repository(launch, site)
    where = (f"--model-repository={launch.folder / 'models'}", f"--backend-directory={backends}")
    ports = ("--http-address=127.0.0.1", f"--http-port={launch.port}")
    return Command((str(home / "bin" / "tritonserver"), *where, *ports, *_OFF), _environment(site))


def _write_repository(launch: Launch, site: Path) -> None:
    name, batching = launch.workload.name, launch.batching
    folder = launch.folder / "models" / name / "1"
    folder.mkdir(parents=True)
    (folder / "model.py").write_text(_MODEL.format(path=[str(PROJECT), str(site), str(shared())]))
    given, found = _TENSORS[name]
    config = f"""
name: "{name}" backend: "python" max_batch_size: {batching.max_batch_size}
input [{{ {given} }}]
output [{{ {found} }}]
instance_group [{{ count: {chosen().workers} kind: KIND_CPU }}]
dynamic_batching {{ max_queue_delay_microseconds: {int(1000 * (batching.wait_ms or 0))} }}
"""
    (folder.parent / "config.pbtxt").write_text(config)


def _environment(site: Path) -> dict[str, str]:
    """Return what the stub, a program with Python inside, needs to find Python, and the libraries of the wheel."""
    libraries = f"{site / 'nvidia_pytriton.libs'}:{sysconfig.get_config_var('LIBDIR')}"
    return {"LD_LIBRARY_PATH": libraries, "PYTHONHOME": sys.base_prefix}


PEER = Peer(
    name="Triton",
    packages=("nvidia-pytriton==0.7.0",),
    settings="Python backend, dynamic batching, no gRPC, no metrics",
    batching={"mlp": Batching(64, 0), "resnet50": Batching(8, 0), "minilm": Batching(16, 0)},
    command=_command,
    ready=lambda workload: f"/v2/models/{workload.name}/ready",
    # Triton's batch dimension comes on top of the tensor's own.
    codec=partial(open_inference, text_shape=(1, 1)),
)

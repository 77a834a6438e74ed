"""What an application's `args` and `user_config` may hold.

`ModelConfig` is identity: a change restarts the replica. `Tunables` change in place, with no request lost.
Frozen, and an unknown key is an error: Ray itself would drop it in silence.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from .backends import DEFAULT, BackendName
from .strict import Strict
from .tunables import CanaryConfig, Tunables
from .values import check_batch_bytes, check_bounds, host, open_size, printable, whole_above_one

__all__ = ["AccessConfig", "CanaryConfig", "ModelConfig", "PredictConfig", "RootConfig"]
__all__ += ["SourceConfig", "Strict", "TensorConfig", "Tunables"]

Datatype = Literal[
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES"
]
Device = Literal["auto", "cuda", "cpu"]
Precision = Literal["fp64", "fp32", "tf32", "bf16", "fp16"]
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
GpuShare = Annotated[float, AfterValidator(whole_above_one)]
TensorName = Annotated[str, AfterValidator(printable)]
Host = Annotated[str, AfterValidator(host)]
IMPORT_PATH = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"
ImportPath = Annotated[str, Field(pattern=IMPORT_PATH)]


class TensorConfig(Strict):
    """One input or output of the model, as its metadata will show it."""

    name: TensorName = Field(description="Its name on the wire.")
    datatype: Datatype = Field(description="Its Open Inference datatype.")
    shape: tuple[int, ...] = Field(
        min_length=1, strict=False, description="Its shape; the first dimension counts rows and is -1."
    )
    low: float | None = Field(None, description="Lowest value a probe may use, for inputs such as token ids.")
    high: float | None = Field(None, description="Highest value a probe may use.")

    @model_validator(mode="after")
    def _rows_first(self) -> "TensorConfig":
        if self.shape[0] != -1:
            raise ValueError(f"shape {list(self.shape)} must begin with -1, the number of rows")
        if any(size == 0 or size < -1 for size in self.shape[1:]):
            raise ValueError(f"shape {list(self.shape)} may hold only positive sizes, or -1 where a size is open")
        check_bounds(self.datatype, self.low, self.high)
        return self


class SourceConfig(Strict):
    """Where the model comes from: a factory with weights, a TorchScript file, or a .pt2 export."""

    factory: ImportPath | None = Field(None, description="`package.module:callable` that returns an nn.Module.")
    kwargs: dict[str, object] = Field(default_factory=dict, description="Arguments of the factory.")
    weights: str | None = Field(
        None,
        min_length=1,
        description="Safetensors or state_dict for the factory: a path or fsspec URL; an index of shards: a path.",
    )
    torchscript: str | None = Field(None, min_length=1, description="A TorchScript file: a path or fsspec URL.")
    export: str | None = Field(
        None, min_length=1, description="A .pt2 file made by torch.export.save: a path or fsspec URL."
    )
    sha256: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{64}$",
        description="Expected checksum of the file, hex. An index of shards takes none: it would cover no shard.",
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> "SourceConfig":
        given = [key for key in ("factory", "torchscript", "export") if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(f"name exactly one of factory, torchscript and export; got {given or 'none'}")
        if self.factory is None and (self.weights or self.kwargs):
            raise ValueError(f"weights and kwargs belong to a factory; {given[0]} carries its own")
        if self.sha256 and self.factory and not self.weights:
            raise ValueError("sha256 is given, but there is no file for it to check: add weights")
        return self


class PredictConfig(Strict):
    """How the friendly /predict turns images into rows and outputs into an answer."""

    image: ImportPath | None = Field(None, description="Callable: image bytes to one row of the single input.")
    answer: ImportPath | None = Field(None, description="Callable: one row of every output, by name, to a JSON object.")


class AccessConfig(Strict):
    """Who may ask: bearers of a token. The tokens themselves never stand in the config."""

    tokens_env: str | None = Field(
        None, pattern=r"^[A-Za-z_]\w*$", description="Variable that holds tokens, a line each."
    )
    tokens_file: str | None = Field(None, min_length=1, description="File of tokens, a line each; re-read on change.")

    @model_validator(mode="after")
    def _exactly_one(self) -> "AccessConfig":
        if (self.tokens_env is None) == (self.tokens_file is None):
            raise ValueError("name exactly one of tokens_env and tokens_file")
        return self


class ModelConfig(Strict):
    """One model on one kind of device: the `args` of an application."""

    name: str = Field(pattern=NAME, max_length=200, description="The model's name on the wire.")
    version: str = Field("1", pattern=NAME, max_length=200, description="The version it answers to.")
    source: SourceConfig = Field(description="Where the model comes from.")
    inputs: tuple[TensorConfig, ...] = Field(
        min_length=1, strict=False, description="Inputs, named as forward's parameters or in their order."
    )
    outputs: tuple[TensorConfig, ...] = Field(
        min_length=1, strict=False, description="Outputs, in the order they are returned."
    )
    device: Device = Field("auto", description="cuda: a GPU or nothing; cpu: never a GPU; auto: says which it took.")
    num_cpus: float = Field(
        1, ge=0.0001, le=4096, description="CPU cores reserved with Ray; on the CPU also the thread count."
    )
    num_gpus: GpuShare = Field(1, ge=0.0001, le=1024, description="Share of a GPU, where the device is one.")
    accelerator_type: str | None = Field(None, min_length=1, description="A GPU model to insist on, as Ray names it.")
    ingress_replicas: int = Field(0, ge=0, le=256, description="Replicas that read requests, in front of the device's.")
    backend: BackendName = Field(DEFAULT, description="How the forward runs; docs/tuning.md lists the backends.")
    torchscript: Literal["auto", "script", "trace"] = Field("auto", description="How TorchScript is made.")
    cuda_graphs: bool = Field(True, description="On a GPU, replay the forward from CUDA graphs where that is faster.")
    precision: Precision = Field(
        "fp32", description="Arithmetic of the forward; fp64 where an input, an output or a parameter is FP64."
    )
    memory_format: Literal["contiguous", "channels_last"] = Field("contiguous", description="Layout of 4-D tensors.")
    tolerance: float | None = Field(None, gt=0, description="Largest relative deviation from eager.")
    batch_tolerance: float | None = Field(None, gt=0, description="Largest relative change of an answer by its batch.")
    batch_sizes: tuple[int, ...] | None = Field(
        None, strict=False, description="Warmed batch sizes; powers of two by default."
    )
    max_rows: int = Field(32, ge=1, le=65536, description="Most rows in one forward.")
    lengths: tuple[int, ...] | None = Field(
        None, strict=False, description="Warmed sizes of the one open dimension besides rows."
    )
    preprocess: ImportPath | None = Field(None, description="Factory of a callable from wire arrays to model arrays.")
    predict: PredictConfig = Field(PredictConfig(image=None, answer=None), description="Hooks of /predict.")
    access: AccessConfig | None = Field(None, description="Whose requests are answered; everybody's by default.")

    @model_validator(mode="after")
    def _consistent(self) -> "ModelConfig":
        for kind, tensors in (("inputs", self.inputs), ("outputs", self.outputs)):
            names = [tensor.name for tensor in tensors]
            if len(set(names)) != len(names):
                raise ValueError(f"{kind} has two tensors of one name: {names}")
        for tensor in self.outputs:
            if tensor.datatype == "BYTES" or -1 in tensor.shape[1:]:
                raise ValueError(f"output {tensor.name!r} must be numeric, with no open size but the rows")
        self._check_precision()
        self._check_open_sizes()
        self._check_batch_sizes()
        for tensor in (*self.inputs, *self.outputs):
            check_batch_bytes(tensor, self.max_rows, max(self.lengths or (1,)))
        return self

    def _check_precision(self) -> None:
        doubles = [each.name for each in (*self.inputs, *self.outputs) if each.datatype == "FP64"]
        if doubles and self.precision not in ("fp64", "fp32"):
            raise ValueError(
                f"{doubles[0]!r} is declared FP64, which precision: {self.precision} cannot hold: leave it out"
            )

    def _check_open_sizes(self) -> None:
        if self.preprocess is not None:
            return
        if any(tensor.datatype == "BYTES" for tensor in self.inputs):
            raise ValueError("a BYTES input needs preprocess, which turns it into tensors")
        open_sizes = [tensor.shape[1:].count(-1) for tensor in self.inputs]
        if any(open_sizes) and self.lengths is None:
            raise open_size()
        if self.lengths is not None and max(open_sizes) == 0:
            raise ValueError("lengths is given, but no input has an open size")
        if any(count and tensor.shape[1] != -1 for count, tensor in zip(open_sizes, self.inputs, strict=True)):
            raise ValueError("an open size must come right after the rows: [-1, -1, ...]")
        if max(open_sizes) > 1:
            raise ValueError("an input may have one open size besides the rows")

    def _check_batch_sizes(self) -> None:
        for key in ("batch_sizes", "lengths"):
            sizes = getattr(self, key)
            if sizes is not None and (not sizes or list(sizes) != sorted(set(sizes)) or sizes[0] < 1):
                raise ValueError(f"{key} {list(sizes)} must be positive and rising")
        if self.batch_sizes is not None and self.batch_sizes[-1] != self.max_rows:
            raise ValueError(f"batch_sizes must end with max_rows, {self.max_rows}; got {self.batch_sizes[-1]}")


class RootConfig(Strict):
    """The `args` of the root application."""

    server_name: str = Field("pitstop", min_length=1, description="The name that /v2 gives.")
    grpc_port: int | None = Field(None, ge=1, le=65535, description="Port for any gRPC client; none by default.")
    grpc_host: Host | None = Field(None, min_length=1, description="Where it listens; http_options.host by default.")
    access: AccessConfig | None = Field(None, description="Who may see the server's pages; everybody by default.")

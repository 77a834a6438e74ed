"""What an application's `args` and `user_config` may hold.

`ModelConfig` is identity: a change restarts the replica. `Tunables` change in place, with no request lost.
Frozen, and an unknown key is an error: Ray itself would drop it without a message.
"""

import math
from typing import Annotated, Literal, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from . import open_sizes
from .accept import AcceptConfig
from .backends import BACKENDS, DEFAULT, BackendName
from .code_files import import_path
from .precisions import AUTO, PRECISIONS, PrecisionName, quantizes
from .strict import Strict
from .tensors import DimConfig, OutputConfig, TensorConfig, open_dims
from .user_config import CanaryConfig, Tunables
from .values import check_batch_bytes, host, some_paths, whole_above_one

__all__ = ["AcceptConfig", "AuthConfig", "CanaryConfig", "ModelConfig", "OutputConfig", "PredictConfig", "RootConfig"]
__all__ += ["AccessLogConfig", "SourceConfig", "Strict", "TensorConfig", "TracingConfig", "Tunables"]

Device = Literal["auto", "cuda", "cpu"]
Task = Literal[
    "text-classification",
    "token-classification",
    "sentence-embedding",
    "image-classification",
    "object-detection",
    "automatic-speech-recognition",
]
KINDS = ("factory", "torchscript", "exported_program", "pretrained")
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
GpuShare = Annotated[float, AfterValidator(whole_above_one)]
Host = Annotated[str, AfterValidator(host)]
_SomePath = Annotated[str, Field(min_length=1)]
Examples = Annotated[
    str | tuple[str, ...],
    BeforeValidator(some_paths, _SomePath | Annotated[tuple[_SomePath, ...], Field(min_length=1)] | None),
]
ImportPath = Annotated[str, AfterValidator(import_path)]


class SourceConfig(Strict):
    """Where the model comes from: a factory with weights, a TorchScript file, a .pt2 export, or a directory of
    transformers."""

    factory: ImportPath | None = Field(
        None, description="`package.module:callable` or `path/to/file.py:callable` that returns an nn.Module."
    )
    kwargs: dict[str, object] = Field(default_factory=dict, description="Arguments of the factory.")
    weights: str | None = Field(
        None,
        min_length=1,
        description="Safetensors or state_dict for the factory: a path or fsspec URL; an index of shards: a path.",
    )
    torchscript: str | None = Field(None, min_length=1, description="A TorchScript file: a path or fsspec URL.")
    exported_program: str | None = Field(
        None, min_length=1, description="A .pt2 file made by torch.export.save: a path or fsspec URL."
    )
    pretrained: str | None = Field(
        None, min_length=1, description="A directory that transformers' save_pretrained wrote, or a Hugging Face id."
    )
    task: Task | None = Field(None, description="What a pretrained model does: its inputs, outputs and hooks follow.")
    revision: str | None = Field(None, min_length=1, description="Branch, tag or commit of a Hugging Face id.")
    sha256: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{64}$",
        description="Expected SHA-256 of the file, in hex. Not for an index of shards: it would cover no shard.",
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> "SourceConfig":
        given = [key for key in KINDS if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(f"name exactly one of {', '.join(KINDS[:-1])} and {KINDS[-1]}; got {given or 'none'}")
        if self.pretrained is not None and self.task is None:
            raise ValueError(f"pretrained needs its task\nhelp: add task, one of {', '.join(get_args(Task))}")
        if self.pretrained is None and (self.task or self.revision):
            raise ValueError(f"task and revision belong to pretrained, and this is a {given[0]}")
        if self.pretrained is not None and self.sha256:
            raise ValueError("sha256 is of one file, and pretrained is a directory: name a commit as revision")
        if self.factory is None and (self.weights or self.kwargs):
            raise ValueError(f"weights and kwargs belong to a factory; {given[0]} has its own")
        if self.sha256 and self.factory and not self.weights:
            raise ValueError("sha256 is given, but there is no file for it to check: add weights")
        return self


class PredictConfig(Strict):
    """How /predict turns files into rows, and outputs into an answer."""

    decode: ImportPath | None = Field(
        None,
        description="Callable that turns the bytes of a body or file into one row; named as source.factory is.",
    )
    encode: ImportPath | None = Field(
        None,
        description="Callable that turns one row of every output, by name, into a JSON object or other bytes.",
    )


class AuthConfig(Strict):
    """The tokens that clients need. The tokens themselves are never in the config."""

    tokens_env: str | None = Field(
        None, pattern=r"^[A-Za-z_]\w*$", description="Environment variable that holds the tokens, one a line."
    )
    tokens_file: str | None = Field(
        None, min_length=1, description="File that holds the tokens, one a line; read again when it changes."
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> "AuthConfig":
        if (self.tokens_env is None) == (self.tokens_file is None):
            raise ValueError("name exactly one of tokens_env and tokens_file")
        return self


class TracingConfig(Strict):
    """Traces over OTLP. What is left out is read from OpenTelemetry's own variables, OTEL_*."""

    endpoint: str | None = Field(
        None,
        pattern=r"^https?://[^/\s]+",
        description="Where the collector takes OTLP over HTTP; OTEL_EXPORTER_OTLP_ENDPOINT, or http://localhost:4318.",
    )
    sample: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Share of the requests without a traceparent that is traced; OTEL_TRACES_SAMPLER_ARG, or 0.01.",
    )
    service_name: str | None = Field(
        None, min_length=1, description="The service's name in traces; OTEL_SERVICE_NAME, or pitstop."
    )


class AccessLogConfig(Strict):
    """A line of JSON in the log for a share of the requests, without what they hold."""

    sample: float = Field(ge=0, le=1, description="Share of the requests that are logged.")


class ModelConfig(Strict):
    """One model on one kind of device: the `args` of an application."""

    name: str = Field(pattern=NAME, max_length=200, description="The model's name in URLs and messages.")
    version: str = Field("1", pattern=NAME, max_length=200, description="The model's version in URLs and messages.")
    source: SourceConfig = Field(description="Where the model comes from.")
    example: Examples | None = Field(
        None,
        description="Real requests for the checks of the start: files, or a callable that returns them.",
    )
    inputs: tuple[TensorConfig, ...] = Field(
        (),
        min_length=1,
        strict=False,
        validate_default=True,
        description="Inputs, with the names of forward's parameters or in their order; left out, they are found in "
        "example, source.exported_program or source.pretrained.",
    )
    outputs: tuple[OutputConfig, ...] = Field(
        (),
        min_length=1,
        strict=False,
        description="Outputs, with the names or in the order in which forward returns them; left out, they are found "
        "by running the network.",
    )
    device: Device = Field(
        "auto",
        description="cuda requires a GPU; cpu never uses one; auto uses a GPU if there is one and logs which.",
    )
    num_cpus: float = Field(
        1, ge=0.0001, le=4096, description="CPU cores that Ray reserves; on a CPU also the number of threads."
    )
    num_gpus: GpuShare = Field(
        1, ge=0.0001, le=1024, description="Share of a GPU that Ray reserves, if the device is a GPU."
    )
    accelerator_type: str | None = Field(None, min_length=1, description="Required type of GPU, by Ray's name for it.")
    ingress_replicas: int = Field(
        0, ge=0, le=256, description="Replicas that read requests, in front of those with the device."
    )
    backend: BackendName = Field(
        DEFAULT,
        description="How the forward is compiled: auto, which measures what is there and takes the fastest that passes "
        f"the checks; {', '.join(BACKENDS)}; or a function of your own, `package.module:function` or "
        "`path/to/file.py:function`.",
    )
    torchscript: Literal["auto", "script", "trace"] = Field(
        "auto", description="How TorchScript is made; auto chooses."
    )
    store: str | None = Field(
        None,
        min_length=1,
        description="Folder or fsspec URL with what was compiled before; PITSTOP_STORE by default.",
    )
    cuda_graphs: bool = Field(
        True, description="On a GPU, replay the forward from CUDA graphs if that is faster; never if it is random."
    )
    precision: PrecisionName = Field(
        "fp32",
        description="Precision of the forward; fp64 if an input, an output or a parameter is FP64; auto takes the "
        "fastest that `accept` allows.",
    )
    accept: AcceptConfig | None = Field(
        None,
        description="What a faster variant's answers must keep of eager fp32's; without it precision: auto stays at "
        "fp32.",
    )
    memory_format: Literal["contiguous", "channels_last"] = Field(
        "contiguous", description="Memory layout of 4-D tensors."
    )
    tolerance: float | None = Field(None, gt=0, description="Largest relative difference from eager.")
    batch_tolerance: float | None = Field(
        None, gt=0, description="Largest relative change of an answer by the rest of its batch."
    )
    batch_sizes: tuple[int, ...] | None = Field(
        None, strict=False, description="Batch sizes to warm; powers of two by default."
    )
    max_batch_size: int = Field(32, ge=1, le=65536, description="Largest batch, in rows.")
    batch: Literal["shared", "whole"] = Field(
        "shared",
        description="whole: the rows of a request belong together; a forward takes one request, all of it.",
    )
    random: bool = Field(
        False, description="The forward is meant to draw random numbers; a request may carry the parameter seed."
    )
    lengths: tuple[int, ...] | None = Field(
        None,
        strict=False,
        description="Sizes to warm of an open dimension without a name, the same in every input of a request.",
    )
    dims: dict[str, DimConfig] = Field(
        default_factory=dict, description="The open dimensions that shapes name, each with its sizes and its padding."
    )
    model_inputs: tuple[TensorConfig, ...] | None = Field(
        None,
        strict=False,
        min_length=1,
        description="Inputs of forward as preprocess returns them, where several dims make their shapes unclear.",
    )
    preprocess: ImportPath | None = Field(
        None, description="Factory of a callable that turns request arrays into model arrays; named as source.factory."
    )
    postprocess: ImportPath | None = Field(
        None, description="Factory of a callable that turns what the network returned for a request into the outputs."
    )
    handler: ImportPath | None = Field(
        None, description="Class with a preprocess or a postprocess method, or both, in place of the two keys."
    )
    predict: PredictConfig = Field(PredictConfig(decode=None, encode=None), description="Hooks of /predict.")
    auth: AuthConfig | None = Field(
        None, description="Tokens that clients need; none by default, so everyone may send requests."
    )
    tracing: TracingConfig | None = Field(None, description="Traces over OTLP; `{}` switches them on.")
    access_log: AccessLogConfig | None = Field(None, description="A log of requests, as lines of JSON.")

    @property
    def open_dims(self) -> dict[str, DimConfig]:
        """The open dimensions by name; that of `lengths` has none."""
        return open_dims(self.lengths, self.dims)

    @property
    def middle_sizes(self) -> tuple[int, ...]:
        """The size of each open dimension that is measured where nobody names one: its middle one."""
        return tuple(each.sizes[len(each.sizes) // 2] for each in self.open_dims.values())

    @property
    def may_preprocess(self) -> bool:
        """Whether there may be a preprocess: a handler's class may have none."""
        return self.preprocess is not None or self.handler is not None or self.source.pretrained is not None

    @property
    def complete(self) -> bool:
        """Whether it says what the model takes and gives; else models/startup/complete.py finds it out."""
        return bool(self.inputs and self.outputs)

    @property
    def whole(self) -> bool:
        """Whether the rows of a request belong together."""
        return self.batch == "whole"

    @property
    def fixed_shapes(self) -> bool:
        """Whether every batch has a shape that the start warmed."""
        return not self.open_dims and not self.whole

    @property
    def threads(self) -> int:
        """The threads that a replica runs on a CPU."""
        return max(1, math.floor(self.num_cpus))

    @field_validator("inputs", mode="wrap")
    @classmethod
    def _or_found(cls, given: object, check: ValidatorFunctionWrapHandler, info: ValidationInfo) -> object:
        """Let inputs be left out where something tells them; `()` is the default, a list is somebody's."""
        source, example = info.data.get("source"), info.data.get("example")
        if given != ():
            return check(given)
        if source is None or source.pretrained or source.exported_program or example:
            return ()
        raise PydanticCustomError("missing", "Field required")

    @model_validator(mode="after")
    def _consistent(self) -> "ModelConfig":
        for kind, tensors in (("inputs", self.inputs), ("outputs", self.outputs)):
            names = [tensor.name for tensor in tensors]
            if len(set(names)) != len(names):
                raise ValueError(f"{kind} has two tensors with the same name: {names}")
        if self.handler is not None and (self.preprocess is not None or self.postprocess is not None):
            raise ValueError("handler stands for preprocess and postprocess: name either the class or the factories")
        if self.source.pretrained is not None and (hook := self.preprocess or self.postprocess or self.handler):
            raise ValueError(
                f"source.pretrained brings its own preprocess and postprocess, and the config names {hook}\n"
                "help: remove it, or name a factory of yours that calls from_pretrained"
            )
        open_sizes.check_dims(self)
        if self.postprocess is not None:
            self.check_hook_outputs()
        # What a handler's class has is known once it is imported: models/sources/hooks.py calls these then.
        elif self.handler is None and self.source.pretrained is None:
            self.check_own_outputs()
        if not self.may_preprocess:
            self.check_own_inputs()
        self._check_precision(self.inputs)
        self._check_cast()
        self._check_batch_sizes()
        for tensor in (*self.inputs, *(self.model_inputs or ()), *self.outputs):
            check_batch_bytes(tensor, self.max_batch_size, open_sizes.largest(self, tensor))
        return self

    def check_hook_outputs(self) -> None:
        """Raise ValueError if an output says where it is in what forward returns, though postprocess returns it."""
        if placed := [each.name for each in self.outputs if each.path is not None]:
            raise ValueError(f"output {placed[0]!r} has `from`, but postprocess returns the outputs: remove it")

    def check_own_outputs(self) -> None:
        """Raise ValueError if an output is one that only postprocess can give."""
        open_sizes.check_own_outputs(self)
        self._check_precision(self.outputs)

    def _check_precision(self, tensors: tuple[TensorConfig, ...]) -> None:
        doubles = [each.name for each in tensors if each.datatype == "FP64"]
        if doubles and self.precision not in ("fp64", "fp32", AUTO):
            raise ValueError(
                f"{doubles[0]!r} is declared FP64, which precision: {self.precision} cannot represent: remove precision"
            )

    def _check_cast(self) -> None:
        if quantizes(self.precision) and not PRECISIONS[self.precision].takes(self.source):
            raise ValueError(
                f"precision: {self.precision} replaces layers of a network of Python, and this source is a file\n"
                "help: quantise the network before it is exported, or name its factory"
            )
        if self.accept is not None and self.random:
            raise ValueError(
                "accept compares answers with eager fp32's, and random: true lets each draw numbers of its own\n"
                "help: remove accept, and name one precision"
            )

    def check_own_inputs(self) -> None:
        """Raise ValueError if an input is one that only preprocess can take."""
        if any(tensor.datatype == "BYTES" for tensor in self.inputs):
            raise ValueError("a BYTES input needs preprocess, which turns it into tensors")
        if self.model_inputs is not None:
            raise ValueError("model_inputs are what preprocess returns, and there is none: remove them")
        open_sizes.check_own_inputs(self)

    def _check_batch_sizes(self) -> None:
        for key in ("batch_sizes", "lengths"):
            sizes = getattr(self, key)
            if sizes is not None and (not sizes or list(sizes) != sorted(set(sizes)) or sizes[0] < 1):
                raise ValueError(f"{key} {list(sizes)} must be positive and ascending")
        if self.batch_sizes is not None and self.batch_sizes[-1] != self.max_batch_size:
            raise ValueError(
                f"batch_sizes must end with max_batch_size, {self.max_batch_size}; got {self.batch_sizes[-1]}"
            )


class RootConfig(Strict):
    """The `args` of the root application."""

    server_name: str = Field("pitstop", min_length=1, description="The server's name in /v2.")
    grpc_port: int | None = Field(
        None, ge=1, le=65535, description="Port of the gRPC proxy, for any gRPC client; none by default."
    )
    grpc_host: Host | None = Field(
        None, min_length=1, description="Address on which the gRPC proxy listens; http_options.host by default."
    )
    auth: AuthConfig | None = Field(
        None, description="Tokens that the server's pages need; none by default, so everyone may read them."
    )

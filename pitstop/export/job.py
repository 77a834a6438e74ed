"""One export as plain data, so that it can be handed to a subprocess as JSON, and what comes back."""

from typing import Literal

from pydantic import Field

from configs.schema import SourceConfig
from configs.strict import Strict
from configs.tensors import DimConfig, OutputConfig, TensorConfig, open_dims

Kind = Literal["safetensors", "torchscript", "pt2"]


class Job(Strict):
    """What to make, from what, and where to."""

    to: Kind = Field(description="The kind of artefact.")
    dest: str = Field(description="Where it is written; moved into place once it has proved itself.")
    file: str | None = Field(None, description="The checkpoint or pickle, as the user named it.")
    source: SourceConfig | None = Field(None, description="The network: a factory, with or without the file's weights.")
    trusted: bool = Field(False, description="Whether the file may run its author's code; only in a subprocess.")
    inputs: tuple[TensorConfig, ...] = Field((), description="Inputs as they come over the wire.")
    outputs: tuple[OutputConfig, ...] = Field((), description="Outputs; found by running the network where empty.")
    lengths: tuple[int, ...] = Field((), description="Sizes of the open dimension besides rows that has no name.")
    dims: dict[str, DimConfig] = Field(default_factory=dict, description="The open dimensions that have names.")
    model_inputs: tuple[TensorConfig, ...] | None = Field(None, description="What preprocess returns, where given.")
    preprocess: str | None = Field(None, description="Factory of a callable from wire arrays to model arrays.")
    postprocess: str | None = Field(None, description="Factory of a callable from what the network returns to outputs.")
    handler: str | None = Field(None, description="Class that has one or both of them as methods.")
    example: str | tuple[str, ...] | None = Field(None, description="Real rows: files or callables.")
    decode: str | None = Field(None, description="The callable that reads pictures among them.")
    batch: Literal["shared", "whole"] = Field("shared", description="Whether the rows of a request belong together.")
    random: bool = Field(False, description="Whether the forward is meant to draw random numbers.")
    torchscript: Literal["auto", "script", "trace"] = Field("auto", description="How TorchScript is made.")

    @property
    def open_dims(self) -> dict[str, DimConfig]:
        """The open dimensions by name; that of `lengths` has none."""
        return open_dims(self.lengths, self.dims)


class Case(Strict):
    """One comparison with the source, on inputs that nothing else has seen."""

    rows: int = Field(description="Rows of the batch.")
    sizes: tuple[int, ...] = Field(description="Sizes of the open dimensions; none where no size is open.")
    seed: int = Field(description="The seed that the inputs were drawn from.")
    deviation: float = Field(description="Largest difference over the largest magnitude.")


class Made(Strict):
    """An artefact that has proved itself."""

    how: str = Field(description="script, trace, torch.export or weights.")
    note: str = Field("", description="What the user should know of how it was made.")
    outputs: tuple[OutputConfig, ...] = Field((), description="Outputs, as given or as found.")
    factory: str | None = Field(None, description="A factory that was seen to take these weights.")
    tensors: int = Field(0, description="Weights that were read back and found the same, bit by bit.")
    tolerance: float = Field(0, description="Largest deviation allowed.")
    cases: tuple[Case, ...] = Field((), description="Every comparison; none where the network was not run.")

    @property
    def worst(self) -> float:
        return max((case.deviation for case in self.cases), default=0.0)

"""What answers must keep of eager fp32's for a faster variant of a forward to go live: the key `accept` of a model."""

from pydantic import Field, model_validator

from .strict import Strict


class AccuracyConfig(Strict):
    """Labelled rows, and the share of them that must be answered right."""

    data: str = Field(
        min_length=1,
        description="A .npz, .safetensors or .jsonl file, or fsspec URL, with every input by its name, and `label`: a "
        "whole number a row.",
    )
    at_least: float = Field(gt=0, le=1, description="Smallest share of rows that are answered with their label.")
    output: str | None = Field(
        None,
        min_length=1,
        description="Output whose highest entry is the answer, as a client gets it; the first that fits.",
    )


class AcceptConfig(Strict):
    """How near to eager fp32 the answers must be; each measure that is given must hold."""

    agreement: float | None = Field(
        None, ge=0, le=1, description="Smallest share of rows whose highest entry is where eager fp32's is."
    )
    cosine: float | None = Field(
        None, ge=-1, le=1, description="Smallest cosine between a row's answer and eager fp32's."
    )
    tolerance: float | None = Field(None, gt=0, description="Largest relative difference from eager fp32.")
    accuracy: AccuracyConfig | None = Field(None, description="What must be answered right of a labelled file.")

    @model_validator(mode="after")
    def _at_least_one(self) -> "AcceptConfig":
        if not self.model_fields_set or all(getattr(self, name) is None for name in type(self).model_fields):
            raise ValueError(
                "accept has no measure\nhelp: give one at least of agreement, cosine, tolerance and accuracy"
            )
        return self

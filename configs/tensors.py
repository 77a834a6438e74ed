"""One input or output of a model, and the open sizes that tensors share by name."""

import math
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, PlainValidator, model_validator

from .named_size import NAME, NamedSize, named_size
from .strict import Strict
from .values import check_bounds, dotted, printable

Datatype = Literal[
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES"
]
TensorName = Annotated[str, AfterValidator(printable)]


def _size(value: object) -> int | str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"{value!r} is no size\nhelp: write a whole number, or the name of an open dimension")
    return value


def _pad(value: object) -> float | str | dict[str, float]:
    if value == "none":
        return "none"
    given = value if isinstance(value, dict) else {"": value}
    if not given or not all(isinstance(name, str) and _is_number(each) for name, each in given.items()):
        raise ValueError(f"{value!r} is no padding\nhelp: write a number, a number by input, or none")
    return value if isinstance(value, dict) else float(str(value))


def _bound(value: object) -> float | str | None:
    if value is None or (isinstance(value, str) and NAME.fullmatch(value)):
        return value
    if not _is_number(value):
        raise ValueError(f"{value!r} is no number\nhelp: write a number, or the name of a dimension")
    return value  # type: ignore[return-value]  # Whole numbers stay whole: a float rounds those above 2**53.


def _is_number(value: object) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # A whole number beyond every float.
        return False


# The second argument is what configs/json_schema.py says of them.
Bound = Annotated[float | str, PlainValidator(_bound, float | str | None)]
Size = Annotated[int | str, PlainValidator(_size, int | str)]
Pad = Annotated[float | str | dict[str, float], PlainValidator(_pad, float | Literal["none"] | dict[str, float])]
Dotted = Annotated[str | None, BeforeValidator(dotted, str | int | float | None)]


class TensorConfig(Strict):
    """One input or output of the model, as its metadata shows it."""

    name: TensorName = Field(description="Its name in requests and answers.")
    datatype: Datatype = Field(description="Its Open Inference datatype.")
    shape: tuple[Size, ...] = Field(
        min_length=1,
        strict=False,
        description="Its shape: first the rows, as -1 or a name, then sizes; an open one is a name of `dims`, or -1.",
    )
    low: float | None = Field(
        None,
        description="Lowest value in probe inputs; of whole numbers also the lowest that a client may send, 0 where "
        "only `high` is given.",
    )
    high: Bound | None = Field(
        None,
        description="Highest value in probe inputs; of whole numbers also the highest that a client may send, as the "
        "last row of an embedding. Or the name of a dimension, for inputs such as row lengths.",
    )

    @property
    def sizes(self) -> tuple[int, ...]:
        """The shape as metadata shows it: -1 for every open size."""
        return tuple(-1 if isinstance(size, str) else size for size in self.shape)

    @property
    def named(self) -> tuple[NamedSize, ...]:
        """The open sizes that have a name, without the rows."""
        return tuple(named_size(axis, size) for axis, size in enumerate(self.shape) if axis and isinstance(size, str))

    @model_validator(mode="after")
    def _rows_first(self) -> "TensorConfig":
        rows, *others = self.shape
        if isinstance(rows, str):
            if not NAME.fullmatch(rows):
                raise ValueError(
                    f"shape {list(self.shape)} must begin with the rows: -1, or a plain name such as batch"
                )
            if any(isinstance(size, str) and named_size(0, size).name == rows for size in others):
                raise ValueError(f"shape {list(self.shape)} names {rows} again, but only the first size counts rows")
        elif rows != -1:
            raise ValueError(f"shape {list(self.shape)} must begin with -1, the number of rows")
        if any(isinstance(size, int) and (size == 0 or size < -1) for size in others):
            raise ValueError(
                f"shape {list(self.shape)} may hold only positive sizes, names of dims, and -1 for an open dimension"
            )
        for size in others:
            if isinstance(size, str):
                named_size(0, size)
        if isinstance(self.high, str) and self.datatype.strip("UINT").isdecimal():
            check_bounds(self.datatype, self.low, None)
        elif isinstance(self.high, str):
            raise ValueError(f"high names the dimension {self.high}, but {self.datatype} holds no whole numbers")
        else:
            check_bounds(self.datatype, self.low, self.high)
        return self


class OutputConfig(TensorConfig):
    """One output, and where in what forward returns it is. `from` is a keyword in Python, so the field has an alias."""

    model_config = ConfigDict(serialize_by_alias=True)

    path: Dotted = Field(
        None,
        alias="from",
        description="Where it is in what forward returns: names and indices, as `logits`, `1.0`, `hidden_states.-1`.",
    )


class DimConfig(Strict):
    """The sizes of an open dimension, and what fills a row up to them."""

    sizes: tuple[int, ...] = Field(
        min_length=1, strict=False, description="Sizes to warm, ascending; the last is the largest that may come."
    )
    pad: Pad = Field(
        0.0,
        description="What fills rows up to the next size, for all inputs or by input; none: only equal sizes share a "
        "forward.",
    )

    @property
    def padded(self) -> bool:
        return self.pad != "none"

    def pad_of(self, name: str) -> float:
        """Return what fills an input."""
        return self.pad.get(name, 0.0) if isinstance(self.pad, dict) else float(self.pad)

    @model_validator(mode="after")
    def _ascending(self) -> "DimConfig":
        if list(self.sizes) != sorted(set(self.sizes)) or self.sizes[0] < 1:
            raise ValueError(f"sizes {list(self.sizes)} must be positive and ascending")
        return self


def open_dims(lengths: tuple[int, ...] | None, dims: dict[str, DimConfig]) -> dict[str, DimConfig]:
    """Return the open dimensions by name; that of `lengths` has the name ""."""
    return {"": DimConfig(sizes=lengths, pad=0.0)} if lengths else dims

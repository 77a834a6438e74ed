"""What a model takes and gives, as JSON Schema: its tensors with datatype and shape, and examples."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from models.signature import Signature, Tensor

from ..openai.embeddings import names_in
from ..protocol.encoding import has_json

Schema = dict[str, Any]
Metadata = Mapping[str, Any]
# Larger examples tell no more.
_MOST_NUMBERS = 256
_KINDS = {"BOOL": "boolean", "BYTES": "string"}
_VALUES: dict[str, Any] = {"boolean": False, "string": "text", "integer": 0, "number": 0.0}
_JSON = "application/json"


def signature(tensors: Sequence[Metadata]) -> str:
    """Return tensors in a line: `image UINT8 [-1, 1, 8, 8]`."""
    return ", ".join(f"{each['name']} {each['datatype']} {list(each['shape'])}" for each in tensors)


def embeds(metadata: Metadata) -> bool:
    """Whether a model answers OpenAI's embeddings."""
    inputs, outputs = (
        tuple(Tensor(each["name"], each["datatype"], tuple(each["shape"])) for each in metadata[kind])
        for kind in ("inputs", "outputs")
    )
    return names_in(Signature(inputs, outputs)) is not None


def schemas(name: str, metadata: Metadata, general: Mapping[str, Schema]) -> dict[str, Schema]:
    """Return the schemas of a model's requests and answers, by their names; `general` are those of every model."""
    inputs, outputs = _ranged(metadata), metadata["outputs"]
    request = dict(general["InferRequest"]["properties"])
    request["inputs"] = _tensors(inputs)
    names = {"type": "string", "enum": [each["name"] for each in outputs]}
    asked = request["outputs"]["items"]
    request["outputs"] = {
        **request["outputs"],
        "items": {**asked, "properties": {**asked["properties"], "name": names}},
    }
    answer = {
        "model_name": {"const": name},
        "model_version": {"type": "string", "enum": list(metadata["versions"])},
        "id": {"type": "string"},
        "parameters": {"type": "object"},
        "outputs": {**_tensors(outputs), "minItems": 0},
    }
    instances = {**general["PredictRequest"]["properties"]["instances"], "items": _instance(inputs)}
    predict = {**general["PredictRequest"]["properties"], "instances": instances}
    return {
        f"{name}.InferRequest": {"type": "object", "required": ["inputs"], "properties": request},
        f"{name}.InferAnswer": {"type": "object", "required": ["model_name", "outputs"], "properties": answer},
        f"{name}.PredictRequest": {"type": "object", "required": ["instances"], "properties": predict},
    }


def fill(operation: Schema, route: str, name: str, metadata: Metadata) -> None:
    """Put a model's schemas and examples into the operation of a route."""
    example = example_request(metadata)
    if route == "/infer":
        _put(operation["requestBody"], f"{name}.InferRequest", example)
        operation["responses"]["200"] = {
            "description": "The outputs. The numbers of the example are made up.",
            "content": {
                _JSON: {"schema": _ref(f"{name}.InferAnswer")},
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            },
        }
        _put(operation["responses"]["200"], f"{name}.InferAnswer", _example_answer(name, metadata))
    elif route == "/predict":
        _put(operation["requestBody"], f"{name}.PredictRequest", None if example is None else _instances(example))
        if reads := metadata.get("properties", {}).get("predict_reads"):
            operation["requestBody"]["description"] = reads
    elif route == "/v1/embeddings":
        operation["requestBody"]["content"][_JSON]["example"] = {"model": name, "input": "a text"}


def example_request(metadata: Metadata) -> Schema | None:
    """Return a request that the model answers: its own example, else zeros; None where neither is known to fit."""
    properties = metadata.get("properties", {})
    if (own := properties.get("example")) is not None:
        return {"inputs": own["inputs"]}
    fixed = all(size != -1 for each in metadata["inputs"] for size in each["shape"][1:])
    if not fixed or any(each["datatype"] == "BYTES" or not has_json(each["datatype"]) for each in metadata["inputs"]):
        return None  # Only an example can tell texts and sizes that fit.
    found = _filled(_ranged(metadata))
    return None if found is None else {"inputs": found}


def _example_answer(name: str, metadata: Metadata) -> Schema | None:
    found = _filled(metadata["outputs"])
    return None if found is None else {"model_name": name, "model_version": metadata["versions"][0], "outputs": found}


def _filled(tensors: Sequence[Metadata]) -> list[Schema] | None:
    """Return tensors of one row whose open sizes are 1; None where they are too large, or have no form in JSON."""
    found = []
    for each in tensors:
        shape = [1 if size == -1 else size for size in each["shape"]]
        if math.prod(shape) > _MOST_NUMBERS or not has_json(each["datatype"]):
            return None
        value = _VALUES[_kind(each["datatype"])]
        if isinstance(value, int):
            value = min(max(value, each.get("minimum", value)), each.get("maximum", value))
        found.append({**_described(each), "shape": shape, "data": [value] * math.prod(shape)})
    return found


def _instances(example: Schema) -> Schema | None:
    """Return the rows of a request as /predict takes them: each a list, or an object with a list for each input."""
    columns = {}
    for each in example["inputs"]:
        flat = np.empty(len(each["data"]), dtype=object)
        flat[:] = each["data"]
        columns[each["name"]] = flat.reshape(each["shape"]).tolist()
    if len(columns) == 1:
        return {"instances": next(iter(columns.values()))}
    return {"instances": [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]}


def _tensors(tensors: Sequence[Metadata]) -> Schema:
    kinds = [_tensor(each) for each in tensors]
    items = kinds[0] if len(kinds) == 1 else {"oneOf": kinds}
    return {"type": "array", "minItems": len(kinds), "maxItems": len(kinds), "items": items}


def _tensor(tensor: Metadata) -> Schema:
    sizes = [{"type": "integer", "minimum": 0} if size == -1 else {"const": size} for size in tensor["shape"]]
    shape = {"type": "array", "prefixItems": sizes, "minItems": len(sizes), "maxItems": len(sizes)}
    items = {"type": [_kind(tensor["datatype"]), "array"], **_range(tensor)}
    data = {"type": "array", "items": items, "description": "Flat, or nested."}
    properties: Schema = {
        "name": {"const": tensor["name"]},
        "datatype": {"const": tensor["datatype"]},
        "shape": {**shape, "description": str(list(tensor["shape"]))},
        "parameters": _ref("Parameters"),
    }
    if has_json(tensor["datatype"]):
        properties["data"] = data
    return {
        "type": "object",
        "title": tensor["name"],
        "required": ["name", "shape", "datatype"],
        "properties": properties,
    }


def _instance(inputs: Sequence[Metadata]) -> Schema:
    """Return the schema of a row of /predict: the row of the only input, or an object of them by name."""
    rows = {each["name"]: _row(each) for each in inputs}
    named: Schema = {"type": "object", "required": list(rows), "properties": rows, "additionalProperties": False}
    return {"oneOf": [next(iter(rows.values())), named]} if len(rows) == 1 else named


def _row(tensor: Metadata) -> Schema:
    found: Schema = {"type": _kind(tensor["datatype"]), **_range(tensor)}
    for size in reversed(tensor["shape"][1:]):
        found = {"type": "array", "items": found} | ({} if size == -1 else {"minItems": size, "maxItems": size})
    return found


def _ranged(metadata: Metadata) -> list[Schema]:
    """Return the inputs with the least and the greatest whole number that each takes, where the model bounds them."""
    ranges = metadata.get("properties", {}).get("ranges", {})
    return [{**each, **_bounds(ranges.get(each["name"], {}))} for each in metadata["inputs"]]


def _bounds(given: Mapping[str, Any]) -> Schema:
    padding = [each for each in (given.get("padding"),) if each is not None]
    # The upper bound may be a dimension, of which each request has its own size.
    known = {"minimum": given.get("low"), "maximum": given.get("high")}
    ends = {"minimum": min, "maximum": max}
    return {key: ends[key]([each, *padding]) for key, each in known.items() if isinstance(each, int)}


def _range(tensor: Metadata) -> Schema:
    return {key: tensor[key] for key in ("minimum", "maximum") if key in tensor}


def _kind(datatype: str) -> str:
    return _KINDS.get(datatype) or ("number" if datatype.startswith("FP") else "integer")


def _described(tensor: Metadata) -> Schema:
    return {"name": tensor["name"], "datatype": tensor["datatype"]}


def _put(described: Schema, schema: str, example: Schema | None) -> None:
    described["content"][_JSON] = {"schema": _ref(schema)} | ({} if example is None else {"example": example})


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}

"""A server's own OpenAPI description: the general one, with the models that are ready for each `{model}`. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any, NamedTuple

from . import model_schemas

Schema = dict[str, Any]
_MODEL, _VERSION = "{model}", "{version}"
_METHODS = ("get", "post")
_TOKEN = ("401", "403")
_SERVER = "server"


class Described(NamedTuple):
    """A model's metadata, as it answers with it, and whether it needs a token."""

    metadata: Mapping[str, Any]
    secured: bool


def document(
    general: Mapping[str, Any],
    server: Mapping[str, Any],
    models: Mapping[str, Described],
    left_out: Mapping[str, str],
    secured: bool,
) -> Schema:
    """Return the description.

    Args:
        general: what openapi.yaml says.
        server: the server's metadata.
        models: the models by name.
        left_out: why a model is not among them, by its name.
        secured: whether the server's own pages need a token.
    """
    found: Schema = {key: value for key, value in deepcopy(dict(general)).items() if not key.startswith("x-")}
    found["info"] |= {
        "title": server["name"],
        "version": server["version"],
        "description": "\n\n".join([found["info"]["description"], *_notes(left_out)]),
    }
    found["servers"] = [{"url": "/"}]
    del found["security"]
    found["tags"] = [{"name": _SERVER, "description": "The server as a whole."}, *_tags(models)]
    found["paths"] = dict(_paths(general["paths"], models, secured))
    schemas, bases = found["components"]["schemas"], general["components"]["schemas"]
    for name, model in models.items():
        schemas |= model_schemas.schemas(name, model.metadata, bases)
    _name_embedders(schemas, models)
    return found


def _notes(left_out: Mapping[str, str]) -> Iterator[str]:
    for name, why in sorted(left_out.items()):
        yield f"Left out: `{name}`. {why[:1].upper()}{why[1:]}."


def _tags(models: Mapping[str, Described]) -> Iterator[Schema]:
    for name, model in models.items():
        tensors = (model_schemas.signature(model.metadata[kind]) for kind in ("inputs", "outputs"))
        yield {"name": name, "description": " → ".join(tensors)}
        yield {"name": _of_version(name), "description": "The same paths, at a version."}


def _of_version(name: str) -> str:
    return f"{name}, by version"


def _paths(general: Mapping[str, Any], models: Mapping[str, Described], secured: bool) -> Iterator[tuple[str, Schema]]:
    own = {path: item for path, item in general.items() if _MODEL not in path}
    for path, item in own.items():
        yield path, {method: _operation(item[method], _SERVER, secured) for method in _methods(item)}
    for name, model in models.items():
        for path, item in general.items():
            if path not in own and not ("/v1/" in path and not model_schemas.embeds(model.metadata)):
                yield path.replace(_MODEL, name), _item(path, item, name, model)


def _item(path: str, item: Mapping[str, Any], name: str, model: Described) -> Schema:
    versioned = _VERSION in path
    found: Schema = {"parameters": [_version(model)]} if versioned else {}
    route = path.partition(_VERSION if versioned else _MODEL)[2]
    for method in _methods(item):
        operation = _operation(item[method], _of_version(name) if versioned else name, model.secured)
        operation["operationId"] += f"-{name}"
        model_schemas.fill(operation, route, name, model.metadata)
        found[method] = operation
    return found


def _methods(item: Mapping[str, Any]) -> Iterable[str]:
    return (method for method in _METHODS if method in item)


def _version(model: Described) -> Schema:
    allowed = {"type": "string", "enum": list(model.metadata["versions"])}
    return {"name": "version", "in": "path", "required": True, "schema": allowed}


def _operation(general: Mapping[str, Any], tag: str, secured: bool) -> Schema:
    """Return an operation with what it needs: a token, and the errors of one, only where there is `auth`."""
    found: Schema = deepcopy(dict(general))
    probe = found.get("security") == []
    found |= {"tags": [tag], "security": [{"bearer": []}] if secured and not probe else []}
    if probe or not secured:
        for status in _TOKEN:
            found["responses"].pop(status, None)
    return found


def _name_embedders(schemas: Schema, models: Mapping[str, Described]) -> None:
    names = [name for name, model in models.items() if model_schemas.embeds(model.metadata)]
    if names:
        schemas["EmbeddingsRequest"]["properties"]["model"]["enum"] = names

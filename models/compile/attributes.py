"""A module's state beside its weights, as bytes for a content key: settings, tables, config objects, functions.

A value that could change what is compiled, but cannot be turned into bytes, raises NotComparableError: then nothing is
kept. No key depends on an object's address, a set's order or a file's folder, which differ between processes and nodes.
"""

import enum
import functools
import hashlib
import inspect
import logging
import types
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from configs.code_files import shown

# Values nested deeper than this, or in themselves, cannot be compared.
_DEEPEST = 8
_EXACT = (bool, int, float, complex, str, bytes, range, slice, np.generic, PurePath)
_NAMED = (torch.dtype, torch.device, torch.layout, torch.memory_format)
_TORCH = Path(torch.__file__).parent
# Hooks: torch numbers them through the whole process, so their keys differ between processes.
_HOOKS = ("_forward_hooks", "_forward_pre_hooks")
# torch's own attributes of every module: the mode, and the weights and submodules, which the key has by name.
_OWN = {"_compiled_call_impl", *vars(nn.Module())} - {*_HOOKS}
# A GraphModule's code is among its attributes as text; its graph says the same.
_GRAPH = {"_graph", "meta", "_tracer_cls", "_tracer_extras"}


class NotComparableError(Exception):
    """A value cannot be compared; the text says which."""


def settings(module: nn.Module) -> Iterator[bytes]:
    """Yield every module's attributes as bytes, by name; raise NotComparableError where one has none."""
    known = {id(tensor): name for name, tensor in [*module.named_parameters(), *module.named_buffers()]}
    known |= {id(part): name for name, part in module.named_modules()}
    for path, part in module.named_modules():
        # Its weights may be constants of its graph, and its code is in no file.
        if isinstance(part, torch.jit.ScriptModule):
            raise NotComparableError(
                f"module {path or 'itself'} is TorchScript, whose code and constants are not compared"
            )
        left_out = _OWN | _GRAPH if isinstance(part, fx.GraphModule) else _OWN
        for name, value in sorted(vars(part).items()):
            if name not in left_out:
                where = f"{path}.{name}".lstrip(".")
                yield where.encode() + _attribute(where, list(value.values()) if name in _HOOKS else value, known)


def constants(named: Mapping[str, object]) -> bytes:
    """Return the plain values and tensors among some values, as bytes; a file's other names come from other files."""
    plain = {name: value for name, value in named.items() if not name.startswith("__") and _is_plain(value)}
    return b"".join(name.encode() + _bytes(value, {}, _DEEPEST) for name, value in sorted(plain.items()))


def combined(kind: str, *parts: bytes | memoryview) -> bytes:
    """Return one digest of a kind and its parts, each with its length, so that their borders are unambiguous."""
    hasher = hashlib.sha256(kind.encode())
    for part in parts:
        hasher.update(f"|{len(part)}|".encode())
        hasher.update(part)
    return hasher.digest()


def code_of(file: str | None) -> bytes:
    """Return the digest of a file; empty for torch's own, since the key has torch's version."""
    if file is None or Path(file).is_relative_to(_TORCH) or not Path(file).is_file():
        return b""
    return combined("file", Path(file).read_bytes())


def name_of(kind: type) -> str:
    """Return a class's name, the same wherever its file lies."""
    return f"{shown(kind.__module__)}.{kind.__qualname__}"


def tensor_bytes(tensor: torch.Tensor) -> memoryview | None:
    """Return a tensor's bytes, without a copy where it is contiguous and in host memory; None where it has none."""
    # A subclass, of torchao say, keeps its data in other tensors; a quantized one has its scale beside its bytes.
    if type(tensor.data) is not torch.Tensor or tensor.is_quantized:
        return None
    try:
        return tensor.detach().contiguous().cpu().reshape(-1).view(torch.uint8).numpy().data
    except (RuntimeError, NotImplementedError, TypeError):  # Sparse or meta tensors.
        return None


def source_file(thing: object) -> str | None:
    """Return the file of a class, a function or a module."""
    try:
        if inspect.isclass(thing) or inspect.isfunction(thing) or inspect.ismodule(thing):
            return inspect.getsourcefile(thing)
    except Exception:  # Built in, or a proxy that raises where it is looked at.
        return None
    return None


def _attribute(where: str, value: object, known: Mapping[int, str]) -> bytes:
    try:
        return _bytes(value, known, _DEEPEST)
    except NotComparableError as error:
        raise NotComparableError(f"attribute {where} holds {error}") from error
    except Exception as error:  # An object of the user's may raise anything where it is looked at.
        raise NotComparableError(f"attribute {where} raised {type(error).__name__} when it was read") from error


def _is_plain(value: object, depth: int = _DEEPEST) -> bool:
    if isinstance(value, dict | list | tuple):
        each = [part for pair in value.items() for part in pair] if isinstance(value, dict) else value
        return depth > 0 and all(_is_plain(part, depth - 1) for part in each)
    if isinstance(value, torch.Tensor):
        return tensor_bytes(value) is not None
    if isinstance(value, np.ndarray):
        return not value.dtype.hasobject
    return value is None or isinstance(value, bool | int | float | complex | str | bytes)


def _bytes(value: Any, known: Mapping[int, str], depth: int) -> bytes:
    """Return a digest of a value, or raise NotComparableError; `known` has what is already in the key, by id."""
    if id(value) in known:
        return combined("known", known[id(value)].encode())
    if value is None or (isinstance(value, (*_EXACT, *_NAMED)) and not hasattr(value, "__dict__")):
        return combined(type(value).__qualname__, repr(value).encode())
    if depth == 0:
        raise NotComparableError(f"a {type(value).__name__} too deep in it to be compared")
    if isinstance(value, torch.Tensor | np.ndarray):
        return _array(value)
    parts = _parts(value)
    return combined(name_of(type(value)), *(_bytes(each, known, depth - 1) for each in parts))


def _array(value: Any) -> bytes:
    if isinstance(value, np.ndarray):
        data: bytes | memoryview | None = None if value.dtype.hasobject else np.ascontiguousarray(value).tobytes()
    else:
        data = tensor_bytes(value)
    if data is None:
        raise NotComparableError(f"a {type(value).__name__} without bytes to compare")
    return combined(f"{type(value).__name__} {list(value.shape)} {value.dtype}", data)


def _parts(value: Any) -> list[Any]:
    """Return the parts of a value."""
    for kinds, parts in _PARTS:
        if isinstance(value, kinds):
            return parts(value)
    return _object(value)


def _named(value: Any) -> list[Any]:
    """A class, a module or a function in C: by its name, what it is bound to, and its file."""
    name, module = getattr(value, "__qualname__", shown(value.__name__)), getattr(value, "__module__", None) or ""
    return [shown(module), name, getattr(value, "__self__", None), code_of(source_file(value))]


def _function(value: types.FunctionType) -> list[Any]:
    if not source_file(value):
        raise NotComparableError("a function without a file, which cannot be compared")
    held = [cell.cell_contents for cell in value.__closure__ or ()]
    place = [shown(value.__module__ or ""), value.__qualname__, value.__code__.co_firstlineno, value.__code__.co_code]
    return [*place, code_of(source_file(value)), value.__defaults__, value.__kwdefaults__, held]


def _object(value: Any) -> list[Any]:
    """Return the attributes of an object; an object of a class written in C may have more than it shows."""
    kinds = type(value).__mro__[:-1]
    files = [source_file(kind) for kind in kinds]
    if isinstance(value, nn.Module) or not all(files):
        raise NotComparableError(f"a {type(value).__name__}, which cannot be compared")
    slots = [name for kind in kinds for name in np.atleast_1d(getattr(kind, "__slots__", ())).tolist()]
    kept = {name: getattr(value, name, None) for name in slots if name not in ("__dict__", "__weakref__")}
    kept |= getattr(value, "__dict__", {})
    return [*sorted(kept.items()), *(code_of(file) for file in files)]


_PARTS: list[tuple[Any, Callable[[Any], list[Any]]]] = [
    (dict, lambda value: [*(part for pair in value.items() for part in pair), *_beside(value)]),
    (list | tuple, lambda value: [*value, *_beside(value)]),
    (set | frozenset, lambda value: [*sorted(_bytes(each, {}, _DEEPEST) for each in value), *_beside(value)]),
    (enum.Enum, lambda value: [value.name, value.value]),
    (weakref.ref, lambda value: [value()]),
    (functools.partial, lambda value: [value.func, value.args, value.keywords]),
    (types.MethodType, lambda value: [value.__self__, value.__func__]),
    (logging.Logger, lambda value: [value.name]),
    (types.FunctionType, _function),
    (type | types.BuiltinFunctionType | types.ModuleType, _named),
]


def _beside(value: Any) -> list[Any]:
    """Return the attributes of a container beside its contents."""
    return sorted(getattr(value, "__dict__", {}).items())

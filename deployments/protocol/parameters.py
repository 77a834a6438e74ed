"""The `parameters` of requests, inputs and outputs. Those unknown here are ignored, as the protocol has it."""

from typing import Any

from ..core.errors import BadRequest, show

_MOST = 2**63
_DIGITS = len(str(_MOST))


def object_of(message: dict[str, Any], where: str) -> dict[str, Any]:
    """Return the parameters of a request, input or output; null is taken for none."""
    parameters = message.get("parameters")
    if parameters is None:
        return {}
    if type(parameters) is not dict:
        raise BadRequest(f"{where}: parameters must be an object; got {show(parameters)}")
    return parameters


def reserved(parameters: dict[str, Any]) -> None:
    """Refuse names that belong to the server."""
    for name in parameters:
        if name.startswith("triton_"):
            raise BadRequest(f"parameter {show(name)}: names that begin with triton_ are reserved; choose another")


def in_message(parameters: dict[str, Any], where: str) -> None:
    """Refuse tensors that a client wants to pass in shared memory."""
    if "shared_memory_region" in parameters:
        raise BadRequest(f"{where} is said to lie in shared memory, which this server does not use: send it by value")


def flag(parameters: dict[str, Any], name: str, where: str, default: bool = False) -> bool:
    value = parameters.get(name, default)
    if type(value) is not bool:
        raise BadRequest(f"{where}: parameter {name} must be true or false; got {show(value)}")
    return value


def whole(parameters: dict[str, Any], name: str, where: str) -> int:
    """Return a count; 0 if there is none."""
    value = parameters.get(name, 0)
    if type(value) is not int or not 0 <= value < _MOST:
        raise BadRequest(f"{where}: parameter {name} must be a whole number, 0 or more; got {show(value)}")
    return value


def seed(parameters: dict[str, Any]) -> int | None:
    """Return the seed of a request's random numbers, or None if there is none."""
    given = parameters.get("seed")
    if given is None:
        return None
    if type(given) is not int or not 0 <= given < _MOST:
        raise BadRequest(f"the request: parameter seed must be a whole number from 0 to 2**63 - 1; got {show(given)}")
    return given


def seed_in_text(fields: dict[str, str]) -> int | None:
    """As `seed`, of fields that are text."""
    given = fields.get("seed", "")
    is_number = given.isascii() and given.isdecimal() and len(given) <= _DIGITS
    return seed({**fields, "seed": int(given)} if is_number else dict(fields))


def scheduling(parameters: dict[str, Any], left_s: float | None = None) -> tuple[float | None, int]:
    """Return a request's timeout in seconds, at most `left_s`, or None if there is none; and its priority."""
    timeout_us = whole(parameters, "timeout", "the request")
    limits = [each for each in (timeout_us / 1e6 if timeout_us else None, left_s) if each is not None]
    return min(limits, default=None), whole(parameters, "priority", "the request")

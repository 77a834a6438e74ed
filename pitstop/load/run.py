"""Runs a plan against a model from start to end: the requests are written, one is tried, then the clock starts."""

import asyncio
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress

import requests as http

from . import bodies
from .bodies import Format, Parameters, Request
from .clock import new_loop
from .errors import LoadError
from .load_runner import Drive
from .outcome import Sender
from .plan import Plan
from .record import Record
from .sender_grpc import GrpcSender
from .sender_http import Address, HttpSender
from .target import Target
from .token import token_header

Watch = Callable[[Drive], None]
_WATCH_S = 0.25
_SHOWN = 300


def run(
    target: Target,
    requests: Sequence[Request],
    kind: Format,
    grpc_port: int,
    plan: Plan,
    watch: Watch,
    parameters: Parameters | None = None,
) -> Record:
    """Put load on a model.

    Args:
        target: the model.
        requests: what to send, round and round.
        kind: how it is written.
        grpc_port: where gRPC listens.
        plan: how much, and for how long.
        watch: called some times a second, to show what has been measured so far.
        parameters: of every request.

    Returns:
        What was seen. After Ctrl-C: what was seen until then.
    """
    messages = [bodies.wire(target, request, kind, parameters) for request in requests]
    at_once = plan.connections if plan.rate_rps is None else min(plan.most, max(8, int(plan.rate_rps * 0.02)))
    return drive(_sender_for(target, messages, kind, grpc_port, plan), plan, at_once, watch)


def drive(sender: Sender, plan: Plan, at_once: int, watch: Watch | None = None) -> Record:
    """Put load on whatever a sender sends to.

    Args:
        sender: a new one, which is used up.
        plan: how much, and for how long.
        at_once: connections that are there before the first request is due.
        watch: called some times a second, to show what has been measured so far.
    """
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(_drive(sender, plan, at_once, watch))


def try_one(
    target: Target, request: Request, kind: Format, timeout_s: float, parameters: Parameters | None = None
) -> None:
    """Send one request as JSON or binary and insist on an answer, so that a run of errors is not what tells.

    Raises:
        LoadError: with what the server said.
    """
    headers, body = bodies.http_body(request, "binary" if kind == "grpc" else kind, parameters)
    try:
        answer = http.post(f"{target.url}/infer", data=body, headers={**headers, **token_header()}, timeout=timeout_s)
    except http.Timeout as error:
        raise LoadError(
            f"{target.model!r} does not answer within {timeout_s:g} s", "allow more by --timeout"
        ) from error
    except http.RequestException as error:
        raise LoadError(f"{target.url}/infer: {type(error).__name__}", "see the server's log") from error
    if answer.status_code != http.codes.ok:
        said = " ".join(answer.text.split())[:_SHOWN]
        raise LoadError(
            f"{target.model!r} refuses the first request: {answer.status_code} {said}",
            "bring inputs that it takes by --requests",
        )


def _sender_for(target: Target, messages: Sequence[bytes], kind: Format, grpc_port: int, plan: Plan) -> Sender:
    """Return what sends these messages."""
    if kind == "grpc":
        address = Address(target.address.host, grpc_port)
        return GrpcSender(address, target.model, messages, plan.timeout_s)
    most = plan.connections if plan.rate_rps is None else plan.most
    return HttpSender(target.address, messages, most, plan.timeout_s)


async def _drive(sender: Sender, plan: Plan, at_once: int, watch: Watch | None) -> Record:
    await sender.open(at_once)
    if isinstance(sender, GrpcSender) and (said := await sender.refusal()):
        await sender.close()
        raise LoadError(f"gRPC on port {sender.port} refuses the first request: {said}", "see --grpc-port, --requests")
    running = Drive(plan, sender)
    loop = asyncio.get_running_loop()
    with suppress(NotImplementedError, ValueError):  # Not on Windows, nor beside the main thread.
        loop.add_signal_handler(signal.SIGINT, running.stop)
    watching = loop.create_task(_watch(running, watch)) if watch else None
    try:
        return await running.run()
    finally:
        if watching:
            watching.cancel()
        with suppress(NotImplementedError, ValueError):
            loop.remove_signal_handler(signal.SIGINT)
        await sender.close()


async def _watch(running: Drive, watch: Watch) -> None:
    while True:
        await asyncio.sleep(_WATCH_S)
        watch(running)

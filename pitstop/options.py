"""The options that several commands have: one name and one help for one meaning."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from .completion import config_files, model_names

Config = Annotated[Path, typer.Argument(metavar="CONFIG", help="A Serve config file.", autocompletion=config_files)]
Model = Annotated[str | None, typer.Option("--model", help="Only this model of the file.", autocompletion=model_names)]
Quick = Annotated[
    bool, typer.Option("--quick", help="Compile nothing that takes minutes, and measure for a shorter time.")
]
Write = Annotated[bool, typer.Option("--write", help="Change the file; comments are kept.")]
Rows = Annotated[int, typer.Option("--rows", help="Rows in a request.")]
Requests = Annotated[
    Path | None, typer.Option("--requests", metavar="FILE", help="Requests to send: .json, or arrays as .npz.")
]
Json = Annotated[
    Path | None,
    typer.Option("--json", metavar="FILE", help="Write all figures to this file; - prints them and nothing else."),
]
Format = Annotated[Literal["binary", "json"], typer.Option("--format", help="Format of the requests.")]
SloMs = Annotated[float, typer.Option("--slo-ms", help="Latency target: p99, in milliseconds.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite existing files.")]

ARG = typer.Option(
    "--arg",
    metavar="NAME=VALUE",
    help="An argument of the network's class or factory, as YAML has it: 'heads=[1, 2]' is a list; may be repeated.",
)


def seconds(of: str) -> Any:
    return typer.Option("--seconds", "-s", help=f"Seconds of load: {of}.")


def length(of: str) -> Any:
    return typer.Option("--length", help=f"Size of an open dimension: {of}.")


def rate(of: str) -> Any:
    return typer.Option("--rate", help=f"Requests a second: {of}.")


def report(of: str) -> Any:
    return typer.Option("--report", metavar="DIR", help=f"Write a report into this folder: {of}.")


def input_(metavar: str, of: str) -> Any:
    return typer.Option("--input", metavar=metavar, help=f"An input of the network: {of}.")


def timeout(of: str, least: float | None = None) -> Any:
    return typer.Option("--timeout", min=least, help=f"Longest time to wait, in seconds: {of}.")


def budget_s(of: str) -> Any:
    return typer.Option("--budget-s", help=f"Seconds to spend: {of}.")


def url(of: str) -> Any:
    return typer.Option("--url", help=f"A running server: {of}.")


def name(of: str) -> Any:
    return typer.Option("--name", help=f"Name in what is written: {of}.")


def out(metavar: str, of: str) -> Any:
    return typer.Option("--out", "-o", metavar=metavar, help=f"Where to write: {of}.")


Length = Annotated[int | None, length("by default the example's, the middle one that is warmed, or 32")]

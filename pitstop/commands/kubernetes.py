"""The `kubernetes` command's arguments and help; imported with the command line, so it imports nothing heavy itself."""

from pathlib import Path
from typing import Annotated

import typer


def kubernetes(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A Serve config file.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the manifests; existing ones are replaced.")],
    image: Annotated[str, typer.Option(help="The image built from configs/kubernetes/Dockerfile.")] = "pitstop:latest",
    name: Annotated[str, typer.Option(help="Name of the RayService and its objects.")] = "pitstop",
) -> None:
    """Write the Kubernetes manifests that serve a config: a KubeRay RayService and what goes with it.

    The config stands in them as it is. Exits with 2 if it cannot be served on Kubernetes.

    Example: [bold]pitstop kubernetes configs/cluster.yaml --out configs/kubernetes/[/bold]
    """
    from ..kubernetes.main import KubernetesOptions
    from ..kubernetes.main import kubernetes as run

    raise typer.Exit(run(KubernetesOptions(config, out, image, name)))

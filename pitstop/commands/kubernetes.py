"""The `kubernetes` command's arguments and help; imported with the command line, so it imports nothing heavy itself."""

from pathlib import Path
from typing import Annotated

import typer

from .. import options


def kubernetes(
    config: options.Config,
    out: Annotated[Path, options.out("DIR", "a folder; the manifests in it are replaced")],
    image: Annotated[str, typer.Option(help="The image built from configs/kubernetes/Dockerfile.")] = "pitstop:latest",
    name: Annotated[str, options.name("that of the RayService and its objects")] = "pitstop",
) -> None:
    """Write the Kubernetes manifests that serve a config: a KubeRay RayService and what goes with it.

    The config stands in them as it is. Exits with 2 if it cannot be served on Kubernetes.

    Example: [bold]pitstop kubernetes configs/cluster.yaml --out configs/kubernetes/[/bold]
    """
    from ..kubernetes.main import KubernetesOptions
    from ..kubernetes.main import kubernetes as run

    raise typer.Exit(run(KubernetesOptions(config, out, image, name)))

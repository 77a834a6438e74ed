"""The servers that are measured, one file each: pitstop, and those it is compared with."""

from . import bentoml, litserve, mosec, pitstop, ray_serve, torchserve, triton
from .peer import Peer

__all__ = ["PEERS", "Peer"]

PEERS: dict[str, Peer] = {
    module.__name__.rpartition(".")[2]: module.PEER
    for module in (pitstop, triton, mosec, litserve, torchserve, bentoml, ray_serve)
}

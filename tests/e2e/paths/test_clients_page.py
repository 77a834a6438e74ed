"""Each block of docs/clients.md prints what the page shows; the one of openai is in ../test_openai.py."""

import shutil
import sys

import grpc
import pytest
import requests
import yaml
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (  # type: ignore[import-untyped]
    ProtoReflectionDescriptorDatabase,
)

from tests.clients_page import Snippet, output, snippets
from tests.e2e.paths.test_third_party_clients import python
from tests.serving import SHORT, Serving

pytestmark = [pytest.mark.ray, pytest.mark.parametrize("serving", [SHORT], indirect=True)]

NEEDS = {"fetch": "node", "curl": "curl"}


@pytest.mark.parametrize(
    "snippet",
    [each for each in snippets() if each.client != "openai"],
    ids=lambda each: f"{each.section}-{each.client}",
)
def test_every_block_prints_what_the_page_shows(serving: Serving, snippet: Snippet) -> None:
    if snippet.client in NEEDS and shutil.which(NEEDS[snippet.client]) is None:
        pytest.skip(f"{NEEDS[snippet.client]} is not installed")
    interpreter = str(python("triton")) if snippet.client == "tritonclient" else sys.executable
    assert output(snippet, serving, interpreter) == snippet.printed


def test_a_browser_lets_no_page_of_another_origin_ask(serving: Serving) -> None:
    """A preflight is refused, and no answer has a CORS header."""
    origin = {"Origin": "http://elsewhere.example", "Access-Control-Request-Method": "POST"}
    url = f"{serving.model('digits')}/infer"
    refused = requests.options(url, headers=origin, timeout=30)
    answers = [refused, requests.post(url, headers=origin, data=b"", timeout=30)]
    assert refused.status_code == 405
    assert [name for answer in answers for name in answer.headers if name.lower().startswith("access-control")] == []


@pytest.mark.parametrize("port", ["any client's", "one hop"])
def test_no_port_offers_reflection(serving: Serving, port: str) -> None:
    one_hop = yaml.safe_load(serving.config.read_text())["grpc_options"]["port"]
    with grpc.insecure_channel(f"127.0.0.1:{serving.grpc_port if port != 'one hop' else one_hop}") as channel:
        reflection = ProtoReflectionDescriptorDatabase(channel)
        with pytest.raises(grpc.RpcError):
            reflection.get_services()

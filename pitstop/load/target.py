"""What is to be measured: a model's address, and what the server says of it before the first request is sent."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests

from configs.suggest import advise

from .errors import LoadError, TokenError
from .port_probe import listener
from .sender_http import Address
from .token import VARIABLE, token_header

_TIMEOUT_S = 10
_EXAMPLE = "http://127.0.0.1:8000/v2/models/digits"
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Target:
    """A model that is ready. `inputs` and `properties` are as its metadata has them."""

    url: str
    model: str
    version: str
    address: Address
    inputs: tuple[dict[str, Any], ...]
    properties: dict[str, Any] = field(default_factory=dict)
    outputs: tuple[dict[str, Any], ...] = ()

    @property
    def host(self) -> str:
        """The Host header."""
        return urlsplit(self.url).netloc.rpartition("@")[2]

    @property
    def infer_path(self) -> str:
        return urlsplit(self.url).path + "/infer"


def find(url: str) -> Target:
    """Ask the server about a model.

    Raises:
        LoadError: the URL names none, nothing listens there, or the model is not ready.
    """
    root, model, version = _split(url)
    parts = urlsplit(root)
    base = f"{root}/v2/models/{model}" + (f"/versions/{version}" if version else "")
    ready = _get(f"{base}/ready")
    if ready.status_code in (404, 400):
        raise LoadError(f"{root} serves no model {model!r}", _known(root, model))
    if ready.status_code != requests.codes.ok:
        raise LoadError(
            f"{model!r} is not ready: {base}/ready answers {ready.status_code}",
            "it loads, or its start failed: wait until that answers 200, or see the server's log",
        )
    found = _metadata(base)
    address = Address(parts.hostname or "", parts.port or _PORTS[parts.scheme], parts.scheme == "https")
    properties, outputs = found.get("properties"), found.get("outputs")
    return Target(
        base,
        model,
        version,
        address,
        tuple(found["inputs"]),
        properties if isinstance(properties, dict) else {},
        tuple(outputs) if isinstance(outputs, list) else (),
    )


def _split(url: str) -> tuple[str, str, str]:
    """Return the server's root, the model and its version, empty where the URL has none."""
    parts = urlsplit(url)
    try:
        usable = parts.scheme in _PORTS and parts.hostname and (parts.port or 1)
    except ValueError:
        usable = False
    if not usable:
        raise LoadError(f"{url!r} is not the URL of a model", f"write it like {_EXAMPLE}")
    root = f"{parts.scheme}://{parts.netloc}"
    before, found, path = parts.path.partition("/v2/models/")
    words = path.strip("/").removesuffix("/infer").split("/")
    if not found or not words[0] or (len(words) > 1 and (words[1] != "versions" or len(words) != 3)):
        raise LoadError(f"{url!r} names no model", _known(root + before.rstrip("/"), ""))
    return root + before, words[0], words[2] if len(words) == 3 else ""


def _get(url: str) -> requests.Response:
    answer = _asked(url)
    if answer.status_code in (401, 403):
        raise TokenError(f"{url} asks for a token ({answer.status_code})", f"put one into the variable {VARIABLE}")
    return answer


def _asked(url: str) -> requests.Response:
    parts = urlsplit(url)
    try:
        return requests.get(url, timeout=_TIMEOUT_S, headers=token_header())
    except requests.Timeout as error:
        raise LoadError(f"{parts.netloc} does not answer", "see whether the server is overloaded, or stuck") from error
    except requests.ConnectionError as error:
        if "NameResolution" in str(error):
            raise LoadError(f"there is no host {parts.hostname!r}", "look for a slip in its name") from error
        raise _no_answer(url, error) from error
    except requests.RequestException as error:
        raise LoadError(f"{url} cannot be asked: {type(error).__name__}", f"write it like {_EXAMPLE}") from error


def _no_answer(url: str, error: Exception) -> LoadError:
    """Say why there is no HTTP answer: nothing listens, or something that speaks otherwise."""
    parts = urlsplit(url)
    port = parts.port or _PORTS[parts.scheme]
    found, there = listener(parts.hostname or "", port), f"something listens at {parts.netloc}, but it"
    path = parts.path.removesuffix("/ready")
    if found == "grpc":
        works = f"pitstop load http://{parts.hostname}:8000{path} --format grpc --grpc-port {port}"
        return LoadError(f"{there} speaks gRPC, not HTTP", f"name the HTTP port and this one: {works}")
    if found == "tls" and parts.scheme == "http":
        return LoadError(f"{there} speaks HTTPS", f"write https://{parts.netloc}{path}")
    if found == "tls":
        return LoadError(
            f"{parts.netloc}: its certificate is not accepted ({_certificate_error(error)})",
            "write the name that it is for, and name its authority's file in REQUESTS_CA_BUNDLE and SSL_CERT_FILE",
        )
    if found == "http" and parts.scheme == "https":
        return LoadError(f"{there} speaks HTTP without TLS", f"write http://{parts.netloc}{path}")
    if found != "nothing":
        return LoadError(f"{there} closes the connection without an HTTP answer", "see its log, or correct the port")
    return LoadError(
        f"nothing listens at {parts.netloc}", "start it with `pitstop run serve_config.yaml`, or correct the port"
    )


def _certificate_error(error: Exception) -> str:
    text = str(error)
    # What urllib3 puts around OpenSSL's own words is of no use to anybody.
    return text[text.rfind("certificate") :].partition(" (_ssl")[0].strip() if "certificate" in text else "TLS"


def _metadata(base: str) -> dict[str, Any]:
    answer = _get(base)
    try:
        found = answer.json()
        if found["inputs"] and all(each["name"] and each["datatype"] and each["shape"] for each in found["inputs"]):
            return dict(found)
    except (ValueError, KeyError, TypeError):
        pass
    raise LoadError(f"{base} gives no metadata with inputs", "the server must speak the Open Inference Protocol (v2)")


def _known(root: str, model: str) -> str:
    """Say which models there are."""
    try:
        answer = requests.post(
            f"{root}/v2/repository/index", json={}, timeout=_TIMEOUT_S, headers=token_header()
        ).json()
        names = [str(each["name"]) for each in answer]
    except (requests.RequestException, ValueError, KeyError, TypeError):
        names = []
    if not names:
        return f"write it like {_EXAMPLE}; the server there lists no models (Open Inference Protocol, v2)"
    return advise(model, names) if model else f"models there: {', '.join(sorted(names))}; write it like {_EXAMPLE}"

import base64
import json

from .pictures import read


def decode(body, content_type):
    """Read {"image": "<base64>"}, or a picture as it is."""
    if content_type.startswith("application/json"):
        try:
            body = base64.b64decode(json.loads(body)["image"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError('send {"image": "<base64 of a picture>"}') from error
    return read(body)


def answer(row):
    label = int(row["label"])
    return {"label": label, "probability": float(row["probabilities"][label])}

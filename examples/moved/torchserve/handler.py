import numpy as np
import torch
from pictures import read
from ts.torch_handler.base_handler import BaseHandler


class Handler(BaseHandler):
    def preprocess(self, requests):
        bodies = [request.get("data") or request.get("body") for request in requests]
        return torch.from_numpy(np.concatenate([read(bytes(body)) for body in bodies]))

    def postprocess(self, outputs):
        probabilities, labels = outputs
        return [
            {"label": int(label), "probability": float(row[label])}
            for row, label in zip(probabilities, labels, strict=True)
        ]

"""Networks for tables, recommendations and rankings, and what they return."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn


class Dlrm(nn.Module):
    """Numbers beside bags of categories, and the products of all their vectors; 0 fills a bag up."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.bottom = nn.Sequential(nn.Linear(13, 16), nn.ReLU(), nn.Linear(16, 8))
        self.bags = nn.ModuleList(nn.EmbeddingBag(60, 8, mode="sum", padding_idx=0) for _ in range(2))
        self.top = nn.Sequential(nn.Linear(8 + 3, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, dense, clicked, bought):
        x = self.bottom(dense)
        vectors = torch.stack([x, self.bags[0](clicked), self.bags[1](bought)], dim=1)
        products = vectors @ vectors.transpose(1, 2)
        pairs = products[:, [0, 0, 1], [1, 2, 2]]
        return self.top(torch.cat([x, pairs], dim=1)).sigmoid().squeeze(1)


class Churn(nn.Module):
    """Four columns of three kinds."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.country, self.plan = nn.Embedding(20, 4), nn.Embedding(5, 4)
        self.layers = nn.Sequential(nn.Linear(8 + 6 + 1, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, usage, country, plan, active):
        x = torch.cat([usage, self.country(country), self.plan(plan), active.float().unsqueeze(1)], dim=1)
        return self.layers(x).sigmoid()


def some_customers():
    usage = np.random.default_rng(0).normal(size=(8, 6)).astype(np.float32)
    return {"usage": usage, "country": np.arange(8), "plan": np.arange(8) % 5, "active": np.arange(8) > 3}


class Regression(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(width, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 3))

    def forward(self, x):
        return self.layers(x)


class AsDict(Regression):
    def forward(self, x):
        y = self.layers(x)
        return {"mean": y[:, 0], "spread": y[:, 1:].exp(), "hidden": y}


@dataclass
class Forecast:
    loss: torch.Tensor | None
    mean: torch.Tensor
    quantiles: torch.Tensor


class AsDataclass(Regression):
    def forward(self, x):
        y = self.layers(x)
        return Forecast(None, y[:, :1], y.sort(dim=1).values)


class WithNone(Regression):
    def forward(self, x, labels=None):
        y = self.layers(x)
        loss = None if labels is None else (y - labels).square().mean()
        return loss, y, None, (y.softmax(dim=1), None)


class Branches(Regression):
    """Another network for each kind of customer, chosen row by row."""

    def forward(self, x):
        y = self.layers(x)
        for row in range(x.shape[0]):
            if bool(x[row].sum() > 0):
                y[row] = y[row] * 2
        return y


class InPlace(Regression):
    """Writes into what it is given."""

    def forward(self, x):
        x -= x.mean(dim=1, keepdim=True)
        return self.layers(x.clamp_(-1, 1))


class WithNumpy(Regression):
    """Ends in numpy, as code that was a script does."""

    def forward(self, x):
        y = self.layers(x).numpy()
        return torch.from_numpy(np.sort(y, axis=1) - np.median(y, axis=1, keepdims=True))


class Floats(Regression):
    def forward(self, x):
        return [float(row.norm()) for row in self.layers(x)]


class Spectrum(nn.Module):
    def forward(self, signal):
        return torch.fft.rfft(signal)


class Experts(nn.Module):
    """Sends each row to the expert that a gate chooses."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.gate = nn.Linear(8, 3)
        self.experts = nn.ModuleList(nn.Linear(8, 4) for _ in range(3))

    def forward(self, x):
        chosen = self.gate(x).argmax(dim=1)
        y = x.new_zeros(x.shape[0], 4)
        for number, expert in enumerate(self.experts):
            mine = chosen == number
            y[mine] = expert(x[mine])
        return y


class Retrieval(nn.Module):
    """The three nearest of a hundred vectors."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.register_buffer("known", torch.randn(100, 8))

    def forward(self, query):
        scores, places = (query @ self.known.T).topk(3, dim=1)
        return {"places": places, "scores": scores}


class Ranking(nn.Module):
    """Scores the candidates of a query; a candidate of zeros is none."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.query, self.candidate = nn.Linear(6, 8), nn.Linear(5, 8)

    def forward(self, query, candidates):
        there = candidates.abs().sum(2) > 0
        scores = (self.candidate(candidates).tanh() * self.query(query).unsqueeze(1)).sum(2)
        return scores.masked_fill(~there, -1e9).softmax(dim=1)


class Forecaster(nn.Module):
    """The next six values of three series from the last 24, each normalised by itself."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(24, 6)

    def forward(self, history):
        mean, deviation = history.mean(1, keepdim=True), history.std(1, keepdim=True) + 1e-5
        x = (history - mean) / deviation
        return self.layer(x.transpose(1, 2)).transpose(1, 2) * deviation + mean


def quantised():
    """As the tutorials have it: int8 weights, and activations whose scale is that of the batch."""
    return torch.ao.quantization.quantize_dynamic(Regression().eval(), {nn.Linear}, dtype=torch.qint8)


class OfFeatures(Churn):
    """Takes its columns in a dict, as data loaders give them."""

    def forward(self, features):
        return super().forward(features["usage"], features["country"], features["plan"], features["active"])


def in_bf16():
    return Regression().bfloat16()


def in_fp16():
    return Regression().half()


def parallel():
    return nn.DataParallel(Regression())


class Ensemble(nn.Module):
    """Two models, and the mean of what they say."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.one = Regression()
        self.other = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 3))

    def forward(self, x):
        one, other = self.one(x).softmax(dim=1), self.other(x).softmax(dim=1)
        return {"both": (one + other) / 2, "agree": one.argmax(dim=1) == other.argmax(dim=1)}

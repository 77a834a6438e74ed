"""Networks on graphs."""

import torch
from torch import nn


class NodesOfOneGraph(nn.Module):
    """Classifies the nodes of one graph: a row is a node, with the numbers of its neighbours, or -1 for none."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.own, self.near, self.head = nn.Linear(6, 8), nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, nodes, neighbours):
        there = (neighbours >= 0) & (neighbours < nodes.shape[0])
        near = nodes[neighbours.where(there, 0)] * there.unsqueeze(-1)
        x = self.own(nodes) + self.near(near.sum(1) / there.sum(1, keepdim=True).clamp(min=1))
        return self.head(torch.relu(x) + x.mean(0))


class Molecules(nn.Module):
    """A number for each molecule: a row is a graph, its atoms and which of them are bound."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.atoms, self.layer, self.head = nn.Embedding(20, 8, padding_idx=0), nn.Linear(8, 8), nn.Linear(8, 1)

    def forward(self, atoms, bonds):
        x = self.atoms(atoms)
        there = (atoms > 0).unsqueeze(-1).float()
        for _ in range(2):
            x = torch.relu(self.layer(x + bonds.float() @ x)) * there
        return self.head(x.sum(1)).squeeze(1)

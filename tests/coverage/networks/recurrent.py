"""Networks with a state."""

import torch
from torch import nn


class LoopedLstm(nn.Module):
    """A loop in Python; steps beyond a row's own leave its state as it is."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.cell, self.head = nn.LSTMCell(4, 8), nn.Linear(8, 2)

    def forward(self, x, steps):
        h = c = torch.zeros(x.shape[0], 8, device=x.device)
        for step in range(x.shape[1]):
            new_h, new_c = self.cell(x[:, step], (h, c))
            on = (steps > step).unsqueeze(1)
            h, c = torch.where(on, new_h, h), torch.where(on, new_c, c)
        return self.head(h)


class PackedLstm(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.lstm, self.head = nn.LSTM(4, 8, batch_first=True, bidirectional=True), nn.Linear(16, 2)

    def forward(self, x, steps):
        packed = nn.utils.rnn.pack_padded_sequence(x, steps.cpu(), batch_first=True, enforce_sorted=False)
        _, (h, _) = self.lstm(packed)
        return self.head(torch.cat([h[0], h[1]], dim=1))


class StepTagger(PackedLstm):
    """Scores for each step of a sequence."""

    def forward(self, x, steps):
        packed = nn.utils.rnn.pack_padded_sequence(x, steps.cpu(), batch_first=True, enforce_sorted=False)
        return self.head(nn.utils.rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True)[0])


class LastStep(nn.Module):
    """Reads its last step, whatever that is: it has no mask."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.lstm, self.head = nn.LSTM(4, 8, batch_first=True), nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])


class Stateful(nn.Module):
    """One step; the client keeps the state."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.cell, self.head = nn.GRUCell(4, 8), nn.Linear(8, 2)

    def forward(self, x, state):
        state = self.cell(x, state)
        return self.head(state), state

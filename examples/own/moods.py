"""A classifier of texts of any length, with a tokenizer of its own."""

import numpy as np
import torch
from torch import nn

MOODS = ["glad", "sad"]


class Moods(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(1000, 64, padding_idx=0)
        self.layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)
        self.head = nn.Linear(64, len(MOODS))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        padding = ids == 0
        words = self.layer(self.embed(ids), src_key_padding_mask=padding).masked_fill(padding.unsqueeze(-1), 0)
        return self.head(words.sum(1) / (~padding).sum(1, keepdim=True)).softmax(1)


def tokenize():
    def run(rows):
        texts = [text.decode().lower().split() or ["?"] for text in rows["text"]]
        ids = np.zeros((len(texts), max(map(len, texts))), np.int64)
        for row, words in zip(ids, texts, strict=True):
            row[: len(words)] = [1 + sum(word.encode()) % 999 for word in words]
        return {"ids": ids}

    return run


def moods():
    def run(rows):
        [scores] = rows.values()
        return {"mood": [MOODS[best] for best in scores.argmax(1)], "score": scores.max(1)}

    return run


if __name__ == "__main__":  # In place of your training.
    torch.manual_seed(0)
    torch.save(Moods().state_dict(), "moods.pth")

"""Networks that read text, most of them of transformers."""

import json
import zlib

import numpy as np
import torch
from torch import nn
from torch.nn import functional

SMALL = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


def bert(kind, labels=5, **options):
    import transformers

    torch.manual_seed(0)
    return getattr(transformers, kind)(
        transformers.BertConfig(num_labels=labels, initializer_range=0.3, **SMALL, **options)
    )


def gpt2():
    """Reads the last token that is no padding, which has the id 49."""
    from transformers import GPT2Config, GPT2ForSequenceClassification

    torch.manual_seed(0)
    small = {"vocab_size": 50, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32}
    return GPT2ForSequenceClassification(GPT2Config(pad_token_id=49, num_labels=3, initializer_range=0.3, **small))


class Continuation(nn.Module):
    """Four more tokens, greedily."""

    def __init__(self):
        super().__init__()
        from transformers import GPT2Config, GPT2LMHeadModel

        torch.manual_seed(0)
        small = {"vocab_size": 50, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32, "initializer_range": 0.3}
        self.gpt2 = GPT2LMHeadModel(GPT2Config(bos_token_id=0, eos_token_id=0, pad_token_id=0, **small))

    def forward(self, input_ids, attention_mask):
        given = {"input_ids": input_ids, "attention_mask": attention_mask}
        ids = self.gpt2.generate(**given, max_new_tokens=4, min_new_tokens=4, do_sample=False)
        return ids[:, -4:]


class CrossEncoder(nn.Module):
    """A score for each candidate beside its query."""

    def __init__(self):
        super().__init__()
        self.bert = bert("BertForSequenceClassification", labels=1)

    def forward(self, input_ids, attention_mask):
        rows, candidates, tokens = input_ids.shape
        found = self.bert(input_ids.reshape(-1, tokens), attention_mask.reshape(-1, tokens)).logits
        return found.view(rows, candidates)


def pairs():
    """Each candidate behind its query."""
    read = tokenizer()

    def run(rows):
        texts = [[query + b" " + each for each in row] for query, row in zip(*rows.values(), strict=True)]
        found = read({"text": np.array(texts, object)})
        return {name: array.reshape(len(texts), -1, array.shape[1]) for name, array in found.items()}

    return run


class RelativePositions(nn.Module):
    """Weighs words by how far into the text they are, of whose length it takes the padded one."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.words = nn.Embedding(50, 4, padding_idx=0)

    def forward(self, words):
        place = torch.arange(words.shape[1], device=words.device) / words.shape[1]
        return (self.words(words) * place.unsqueeze(1)).sum(1)


class TextCnn(nn.Module):
    """Convolutions over a text, and the largest of each over time."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.words, self.conv = nn.Embedding(50, 8, padding_idx=0), nn.Conv1d(8, 12, 3, padding=1)
        self.head = nn.Linear(12, 3)

    def forward(self, words):
        x = self.conv(self.words(words).transpose(1, 2)).relu()
        return self.head(x.max(dim=2).values)


class LazyPositions(nn.Module):
    """Makes its positions when a longer text comes, as many do."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.words, self.head = nn.Embedding(50, 8, padding_idx=0), nn.Linear(8, 3)
        self.positions = None

    def forward(self, words):
        if self.positions is None or self.positions.shape[0] < words.shape[1]:
            place = torch.arange(words.shape[1], dtype=torch.float32, device=words.device).unsqueeze(1)
            self.positions = torch.sin(place / 10 ** torch.arange(0, 8, device=words.device))
        x = (self.words(words) + self.positions[: words.shape[1]]) * (words > 0).unsqueeze(2)
        return self.head(x.sum(1))


class SentenceEmbedding(nn.Module):
    def __init__(self):
        super().__init__()
        self.bert = bert("BertModel")

    def forward(self, input_ids, attention_mask):
        states = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).float()
        return functional.normalize((states * mask).sum(1) / mask.sum(1).clamp(min=1e-9), dim=1)


class Tagger(nn.Module):
    """Scores for the labels of each token, beside the mask that says which there are."""

    def __init__(self):
        super().__init__()
        self.bert = bert("BertForTokenClassification")

    def forward(self, input_ids, attention_mask):
        return {"scores": self.bert(input_ids, attention_mask).logits, "mask": attention_mask}


class Entities:
    """Text in, the label of each word out as JSON."""

    def __init__(self):
        self.preprocess = tokenizer()

    def postprocess(self, rows):
        best = rows["scores"].argmax(axis=2)
        return {"labels": [json.dumps(row[mask > 0].tolist()) for row, mask in zip(best, rows["mask"], strict=True)]}


class Encoder(nn.Module):
    """torch's own transformer, which in eval leaves out what the mask hides; a vector for each text."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.words = nn.Embedding(50, 16, padding_idx=0)
        self.layers = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 2)

    def states(self, tokens):
        return self.layers(self.words(tokens), src_key_padding_mask=tokens == 0)

    def forward(self, tokens):
        return self.states(tokens)[:, 0]


class TokenEncoder(Encoder):
    """A vector for each token."""

    def forward(self, tokens):
        return self.states(tokens)


class MaskedEncoder(nn.Module):
    """Vectors in, one out; the mask is torch's own: True where there is nothing."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 1)

    def forward(self, x, padding):
        states = self.layers(x, src_key_padding_mask=padding)
        return (states * ~padding.unsqueeze(2)).sum(1)


def tokenizer():
    """Words to numbers, as a hash has it."""

    def run(rows):
        texts = [[2 + zlib.crc32(word) % 48 for word in text.split()] or [1] for text in rows["text"].ravel()]
        longest = max(len(each) for each in texts)
        ids = np.array([each + [0] * (longest - len(each)) for each in texts], np.int64)
        return {"input_ids": ids, "attention_mask": (ids > 0).astype(np.int64)}

    return run


def layoutlm():
    from transformers import LayoutLMConfig, LayoutLMForSequenceClassification

    torch.manual_seed(0)
    return LayoutLMForSequenceClassification(LayoutLMConfig(max_2d_position_embeddings=128, num_labels=3, **SMALL))


def a_page():
    corners = np.random.default_rng(0).integers(0, 60, (4, 6, 2))
    boxes = np.concatenate([corners, corners + 9], axis=2)
    return {
        "input_ids": np.arange(24).reshape(4, 6) + 1,
        "bbox": boxes,
        "attention_mask": np.ones((4, 6), np.int64),
    }


def t5():
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    small = {"vocab_size": 50, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
    return T5ForConditionalGeneration(T5Config(decoder_start_token_id=0, initializer_factor=3.0, **small))


class Summary(nn.Module):
    """Greedy decoding, always seven tokens: what ends sooner is filled up."""

    def __init__(self, tokens=6):
        super().__init__()
        self.t5, self.tokens = t5(), tokens

    def forward(self, input_ids, attention_mask):
        ids = self.t5.generate(
            input_ids=input_ids, attention_mask=attention_mask, max_new_tokens=self.tokens, do_sample=False
        )
        return functional.pad(ids, (0, 1 + self.tokens - ids.shape[1]))


class Sampling(Summary):
    """Draws each token by its probability."""

    def forward(self, input_ids, attention_mask):
        options = {"do_sample": True, "top_k": 0, "max_new_tokens": self.tokens, "min_new_tokens": self.tokens}
        return self.t5.generate(input_ids=input_ids, attention_mask=attention_mask, **options)


class Translation(Summary):
    """Greedy decoding, with the number of tokens up to the end of each sentence."""

    def forward(self, input_ids, attention_mask):
        ids = super().forward(input_ids, attention_mask)[:, 1:]
        ended = (ids == self.t5.config.eos_token_id).long()
        return {"ids": ids, "words": torch.where(ended.any(1), ended.argmax(1) + 1, ids.shape[1])}


class Seq2Seq(nn.Module):
    """A GRU that reads numbers and writes others, each from the one before."""

    def __init__(self, steps=5):
        super().__init__()
        torch.manual_seed(0)
        self.words = nn.Embedding(40, 16, padding_idx=0)
        self.encoder, self.decoder = nn.GRUCell(16, 16), nn.GRUCell(16, 16)
        self.head, self.steps = nn.Linear(16, 40), steps

    def forward(self, source):
        state = torch.zeros(source.shape[0], 16, device=source.device)
        for step in range(source.shape[1]):
            word = source[:, step]
            state = torch.where((word > 0).unsqueeze(1), self.encoder(self.words(word), state), state)
        word, found = torch.ones_like(source[:, 0]), []
        for _ in range(self.steps):
            state = self.decoder(self.words(word), state)
            word = self.head(state).argmax(dim=1)
            found.append(word)
        return torch.stack(found, dim=1)


class BagOfWords(nn.Module):
    """Classifies texts by the mean of their words; 0 is no word."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.bag = nn.EmbeddingBag(100, 16, mode="mean", padding_idx=0)
        self.head = nn.Linear(16, 3)

    def forward(self, words):
        return self.head(self.bag(words))


class Keywords(nn.Module):
    """The words of a text that matter, best first, and how many they are."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.weight = nn.Embedding(100, 1, padding_idx=0)

    def forward(self, words):
        scores = self.weight(words).squeeze(-1)
        best, places = scores.clamp(min=0).sort(dim=1, descending=True, stable=True)
        found = best > 0
        return {"keywords": words.gather(1, places) * found, "found": found.sum(1)}

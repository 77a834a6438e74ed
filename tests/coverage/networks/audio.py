"""Networks that listen."""

import itertools

import numpy as np
import torch
from torch import nn


def whisper():
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    torch.manual_seed(0)
    small = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "init_std": 0.5}
    lengths = {"max_source_positions": 20, "max_target_positions": 16}
    tokens = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 3}
    return WhisperForConditionalGeneration(WhisperConfig(vocab_size=60, **small, **heads, **lengths, **tokens))


class Transcribe(nn.Module):
    """Eight tokens of text for each piece of audio, filled up with 0."""

    def __init__(self, tokens=8):
        super().__init__()
        self.whisper, self.tokens = whisper(), tokens

    def forward(self, input_features):
        ids = self.whisper.generate(input_features, max_new_tokens=self.tokens, do_sample=False)
        return nn.functional.pad(ids, (0, self.tokens - ids.shape[1]))


def wav2vec2():
    from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

    torch.manual_seed(0)
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    layers = {"conv_dim": (8, 8), "conv_kernel": (10, 3), "conv_stride": (5, 2), "num_feat_extract_layers": 2}
    norms = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}
    places = {"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2}
    return Wav2Vec2ForCTC(Wav2Vec2Config(vocab_size=20, **small, **layers, **norms, **places))


class Letters(nn.Module):
    """Scores of letters in each frame, and how many frames a piece of audio has."""

    def __init__(self):
        super().__init__()
        self.network = wav2vec2()

    def forward(self, input_values, attention_mask):
        logits = self.network(input_values, attention_mask=attention_mask).logits
        frames = self.network._get_feat_extract_output_lengths(attention_mask.sum(1))
        return {"logits": logits, "frames": frames.clamp(min=0)}


class Transcript:
    """16-bit samples in, text out: the best letter of each frame, without repetitions and blanks."""

    letters = "_ abcdefghijklmnopqr"

    def preprocess(self, rows):
        pieces = [np.frombuffer(each, np.int16) / np.float32(32768) for each in rows["pcm"].ravel()]
        longest = max(len(each) for each in pieces)
        samples = np.stack([np.pad(each, (0, longest - len(each))) for each in pieces])
        mask = np.array([[1] * len(each) + [0] * (longest - len(each)) for each in pieces], np.int64)
        return {"input_values": samples, "attention_mask": mask}

    def postprocess(self, rows):
        best = rows["logits"].argmax(axis=2)
        return {"text": [self.decode(row[:frames]) for row, frames in zip(best, rows["frames"], strict=True)]}

    def decode(self, best):
        return "".join(self.letters[each] for each, _ in itertools.groupby(best)).replace("_", "")


def a_recording():
    return {"pcm": np.array([np.arange(size, dtype=np.int16).tobytes() for size in (100, 300, 400)], object)}


class Vocoder(nn.Module):
    """Mel frames to samples, four a frame."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.mix, self.up = nn.Linear(80, 8), nn.ConvTranspose1d(8, 1, 4, stride=4)

    def forward(self, mel):
        return self.up(self.mix(mel).tanh().transpose(1, 2)).squeeze(1)


class Speech(nn.Module):
    """Text to mel frames, each token for as many as it says, as FastSpeech does; padded to the longest of a batch."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.words, self.duration, self.head = nn.Embedding(50, 8, padding_idx=0), nn.Linear(8, 1), nn.Linear(8, 80)

    def forward(self, tokens):
        x = self.words(tokens)
        durations = (1 + 3 * self.duration(x).sigmoid().squeeze(2)).long() * (tokens > 0)
        rows = [row.repeat_interleave(times, dim=0) for row, times in zip(x, durations, strict=True)]
        return self.head(nn.utils.rnn.pad_sequence(rows, batch_first=True)), durations.sum(1)


class Commands(nn.Module):
    """Which command a piece of speech is: mel features, of which only the first `frames` count."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.mix = nn.Sequential(nn.Linear(80, 16), nn.ReLU())
        self.head = nn.Linear(16, 6)

    def forward(self, mel, frames):
        x = self.mix(mel)
        mask = (torch.arange(mel.shape[1], device=mel.device) < frames.unsqueeze(1)).unsqueeze(-1)
        return self.head((x * mask).sum(1) / frames.unsqueeze(1))


class Phonemes(nn.Module):
    """Scores for each frame, from that frame and those before it."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.gru, self.head = nn.GRU(80, 16, batch_first=True), nn.Linear(16, 7)

    def forward(self, mel):
        return self.head(self.gru(mel)[0])


class TextBesideAudio(nn.Module):
    """How well a transcript fits its recording: both are of any length."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.words, self.sounds = nn.Embedding(50, 16, padding_idx=0), nn.Linear(80, 16)

    def forward(self, tokens, mel):
        heard = mel.abs().sum(2, keepdim=True) > 0
        sounds = (self.sounds(mel) * heard).sum(1) / heard.sum(1).clamp(min=1)
        written = (tokens > 0).unsqueeze(-1)
        words = (self.words(tokens) * written).sum(1) / written.sum(1).clamp(min=1)
        return nn.functional.cosine_similarity(words, sounds)


def some_speech():
    return {"input_values": torch.randn(4, 300).numpy(), "attention_mask": torch.ones(4, 300, dtype=torch.long).numpy()}

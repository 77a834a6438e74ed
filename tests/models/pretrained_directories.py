"""Tiny networks of transformers with random weights, saved as save_pretrained does it, one for each task."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

transformers: Any = import_module("transformers")  # Half of it has types.

CORPUS = [
    "the quick brown fox jumps over a lazy dog while seven red cars wait in the pit lane for new tyres",
    "Ada Lovelace met Charles Babbage in London and wrote notes on the engine",
    "service was slow but the food made up for it",
]
TEXTS = ["a lazy dog", "Ada Lovelace met Charles Babbage in London", "seven", "the food was slow zebra"]
SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 37,
}


def tokenizer(lower: bool = True) -> Any:
    """A WordPiece tokenizer with BERT's special tokens, trained on the corpus."""
    bare = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    bare.normalizer = normalizers.BertNormalizer(lowercase=lower)
    bare.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    bare.train_from_iterator(CORPUS, trainers.WordPieceTrainer(vocab_size=120, special_tokens=special))
    ends = [(each, bare.token_to_id(each)) for each in ("[CLS]", "[SEP]")]
    bare.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    named = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=bare,
        model_max_length=64,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **named,
    )


def text_model(folder: Path, kind: str = "BertForSequenceClassification", labels: int = 3, **settings: Any) -> Path:
    """Save a BERT of this class, and its tokenizer."""
    torch.manual_seed(5)
    words = tokenizer()
    names = settings.pop("id2label", {number: f"L{number}" for number in range(labels)})
    config = transformers.BertConfig(
        vocab_size=len(words), max_position_embeddings=64, id2label=names, initializer_range=0.5, **SMALL, **settings
    )
    getattr(transformers, kind)(config).eval().save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def sentence_model(folder: Path, pooling: dict[str, Any] | None = None, normalise: bool = False) -> Path:
    """Save a BERT as sentence-transformers lays it out, where a pooling is given."""
    text_model(folder, "BertModel")
    if pooling is not None:
        listed = [
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
            {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
        ]
        (folder / "modules.json").write_text(json.dumps(listed[: 3 if normalise else 2]))
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 32, **pooling}))
        (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 24, "do_lower_case": False}))
    return folder


def image_model(folder: Path) -> Path:
    """Save a ViT of three classes and its image processor."""
    torch.manual_seed(5)
    names = {0: "cat", 1: "dog", 2: "fox"}
    config = transformers.ViTConfig(image_size=32, patch_size=8, id2label=names, initializer_range=0.5, **SMALL)
    transformers.ViTForImageClassification(config).eval().save_pretrained(folder)
    _save_processor(folder, {"image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 32}})
    return folder


def detector(folder: Path, size: dict[str, int]) -> Path:
    """Save a YOLOS of three classes and its image processor, of a fixed size or of one with sides to keep."""
    torch.manual_seed(5)
    config = transformers.YolosConfig(
        image_size=[48, 64],
        patch_size=8,
        num_detection_tokens=6,
        id2label={0: "cat", 1: "dog", 2: "fox"},
        initializer_range=0.5,
        **SMALL,
    )
    transformers.YolosForObjectDetection(config).eval().save_pretrained(folder)
    _save_processor(folder, {"image_processor_type": "YolosImageProcessor", "size": size})
    return folder


def speech_model(folder: Path, norm: str) -> Path:
    """Save a wav2vec2 whose convolutions are normalised by layer or by group, with extractor and letters."""
    torch.manual_seed(5)
    letters = ["<pad>", "<s>", "</s>", "<unk>", "|", *"abcdefgh"]
    config = transformers.Wav2Vec2Config(
        conv_dim=(16, 16),
        conv_kernel=(10, 3),
        conv_stride=(5, 2),
        num_feat_extract_layers=2,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
        vocab_size=len(letters),
        feat_extract_norm=norm,
        do_stable_layer_norm=norm == "layer",
        initializer_range=0.5,
        pad_token_id=0,
        **SMALL,
    )
    transformers.Wav2Vec2ForCTC(config).eval().save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({letter: number for number, letter in enumerate(letters)}))
    transformers.Wav2Vec2CTCTokenizer(str(folder / "vocab.json")).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(
        sampling_rate=8000, return_attention_mask=norm == "layer", do_normalize=True
    ).save_pretrained(folder)
    return folder


def _save_processor(folder: Path, settings: dict[str, Any]) -> None:
    written = {"do_resize": True, "do_normalize": True, "do_rescale": True, **settings}
    (folder / "preprocessor_config.json").write_text(json.dumps(written))

"""Makes the tiny models of tests/tiny_models: random weights, their ONNX files, and what torch gives for them.

Run it where torch is installed: `python tests/tools/tiny_models.py`. The tests compare with what it wrote.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Dense, Normalize, Pooling, Transformer
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertModel,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPTextConfig,
    CLIPVisionConfig,
    PreTrainedTokenizerFast,
    SiglipConfig,
    SiglipImageProcessor,
    SiglipModel,
    SiglipTextConfig,
    SiglipVisionConfig,
)

PLACE = Path(__file__).parents[1] / "tiny_models"
TEXTS = ["the cat sat on the mat", "a rocket", "cat", "one two three four five six seven eight nine ten eleven cat mat"]
WORDS = sorted({word for text in TEXTS for word in text.split()} | {"query", ":", "passage"})
WIDTH, TOKENS, SIDE = 16, 12, 32


def words(cls: str, sep: str, pad: str) -> Tokenizer:
    """Return a tokenizer of whole words that puts `cls` before a text and `sep` behind it."""
    special = [pad, "[UNK]", cls, sep]
    made = Tokenizer(models.WordLevel({word: n for n, word in enumerate([*special, *WORDS])}, unk_token="[UNK]"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    given = [(cls, special.index(cls)), (sep, special.index(sep))]
    made.post_processor = processors.TemplateProcessing(single=f"{cls} $A {sep}", special_tokens=given)
    made.add_special_tokens(special)
    return made


def picture(seed: int) -> Image.Image:
    """Return a picture that JPEG did not touch, wider than high."""
    random = np.random.default_rng(seed)
    return Image.fromarray(random.integers(0, 255, (40, 56, 3), dtype=np.uint8), "RGB")


def export(
    call: Any, module: torch.nn.Module, path: Path, given: dict[str, torch.Tensor], outputs: dict[str, int]
) -> None:
    """Write a function of a module as ONNX; `outputs` says how many axes of each are free."""
    axes = {name: {0: "batch"} if value.dim() == 4 else {0: "batch", 1: "sequence"} for name, value in given.items()}
    axes |= {name: dict(zip(range(free), ("batch", "sequence"), strict=False)) for name, free in outputs.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(
        Call(call, module, list(given)),
        tuple(given.values()),
        str(path),
        input_names=list(given),
        output_names=list(outputs),
        dynamic_axes=axes,
        dynamo=False,
        opset_version=17,
    )


class Call(torch.nn.Module):
    """A function of a module, with inputs by place."""

    def __init__(self, call: Any, module: torch.nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.module = module
        self.call = call
        self.names = names

    def forward(self, *given: torch.Tensor) -> Any:
        """Run it."""
        return self.call(**dict(zip(self.names, given, strict=True)))


def sentence() -> None:
    """One BERT, with what sentence-transformers makes of it by each pooling."""
    folder = PLACE / "sentence"
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words("[CLS]", "[SEP]", "[PAD]"),
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        model_max_length=TOKENS,
    )
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
        initializer_range=0.5,
        attn_implementation="eager",
    )
    bert = BertModel(config, add_pooling_layer=False).eval()
    names = ("input_ids", "attention_mask", "token_type_ids")
    given = {name: torch.ones((2, 5), dtype=torch.int64) for name in names}
    tower = folder / "onnx" / "model.onnx"
    export(lambda **all_given: bert(**all_given).last_hidden_state, bert, tower, given, {"last_hidden_state": 2})
    told: dict[str, Any] = {"texts": TEXTS, "prompt": "query: ", "vectors": {}, "prompted": {}, "unpooled": {}}
    with tempfile.TemporaryDirectory() as place:
        bert.save_pretrained(place)
        tokenizer.save_pretrained(place)
        for mode in ("mean", "cls", "max", "lasttoken", "dense"):
            network = Transformer(place, max_seq_length=TOKENS)
            network.auto_model.eval()
            pooling = Pooling(WIDTH, pooling_mode="mean" if mode == "dense" else mode)
            dense = Dense(WIDTH, 8, activation_function=torch.nn.Tanh())
            layers = [network, pooling, *([dense] if mode == "dense" else []), Normalize()]
            model = SentenceTransformer(modules=layers, device="cpu")
            told["vectors"][mode] = model.encode(TEXTS).tolist()
            told["prompted"][mode] = model.encode(TEXTS, prompt="query: ").tolist()
            pooling.include_prompt = False
            told["unpooled"][mode] = model.encode(TEXTS, prompt="query: ").tolist()
            if mode == "dense":
                (folder / "2_Dense").mkdir(exist_ok=True)
                model.save(f"{place}/saved")
                shutil.copytree(f"{place}/saved/2_Dense", folder / "2_Dense", dirs_exist_ok=True)
        shutil.copy(f"{place}/tokenizer.json", folder / "tokenizer.json")
        shutil.copy(f"{place}/config.json", folder / "config.json")
        for name in ("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json"):
            shutil.copy(f"{place}/saved/{name}", folder / name)
        shutil.copytree(f"{place}/saved/1_Pooling", folder / "1_Pooling", dirs_exist_ok=True)
    (folder / "expected.json").write_text(json.dumps(told))


def joint(name: str) -> None:
    """A CLIP or a SigLIP: two towers, and what transformers makes of texts and pictures."""
    folder = PLACE / name
    clip = name == "clip"
    tokenizer = words("<start>", "<end>", "<pad>") if clip else words("[CLS]", "</s>", "<pad>")
    common = {"hidden_size": WIDTH, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    end = tokenizer.token_to_id("<end>" if clip else "</s>")
    text = {**common, "vocab_size": tokenizer.get_vocab_size(), "max_position_embeddings": TOKENS, "eos_token_id": end}
    text |= {"bos_token_id": 2, "pad_token_id": 0}
    vision = {**common, "image_size": SIDE, "patch_size": 8}
    if clip:
        towers = {
            "text_config": CLIPTextConfig(**text).to_dict(),
            "vision_config": CLIPVisionConfig(**vision).to_dict(),
        }
        config = CLIPConfig(**towers, projection_dim=12)
        model = CLIPModel(config)
        processor = CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    else:
        towers = {
            "text_config": SiglipTextConfig(**text, projection_size=WIDTH).to_dict(),
            "vision_config": SiglipVisionConfig(**vision).to_dict(),
        }
        config = SiglipConfig(**towers)
        model = SiglipModel(config)
        processor = SiglipImageProcessor(size={"height": SIDE, "width": SIDE})
    model.eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.3)
    tokenizer.enable_truncation(TOKENS)
    tokenizer.enable_padding(length=None if clip else TOKENS, pad_id=0, pad_token="<pad>")
    encoded = tokenizer.encode_batch(TEXTS)
    given = {"input_ids": torch.tensor([one.ids for one in encoded])}
    if clip:
        given["attention_mask"] = torch.tensor([one.attention_mask for one in encoded])
    pictures = [picture(seed) for seed in range(3)]
    pixels = processor(pictures, return_tensors="pt")["pixel_values"]

    def texts(**some: torch.Tensor) -> torch.Tensor:
        out = model.text_model(**some).pooler_output
        return model.text_projection(out) if clip else out

    def images(**some: torch.Tensor) -> torch.Tensor:
        out = model.vision_model(**some).pooler_output
        return model.visual_projection(out) if clip else out

    outputs = ("text_embeds", "image_embeds") if clip else ("pooler_output", "pooler_output")
    export(texts, model, folder / "onnx" / "text_model.onnx", given, {outputs[0]: 1})
    export(images, model, folder / "onnx" / "vision_model.onnx", {"pixel_values": pixels}, {outputs[1]: 1})
    tokenizer.save(str(folder / "tokenizer.json"))
    processor.save_pretrained(folder)
    config.save_pretrained(folder)
    with torch.no_grad():
        vectors = [texts(**given), images(pixel_values=pixels)]
    found = [(one / one.norm(dim=1, keepdim=True)).tolist() for one in vectors]
    (folder / "expected.json").write_text(json.dumps({"texts": TEXTS, "text": found[0], "image": found[1]}))


if __name__ == "__main__":
    torch.manual_seed(7)
    shutil.rmtree(PLACE, ignore_errors=True)
    sentence()
    joint("clip")
    joint("siglip")

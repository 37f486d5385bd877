"""`nano`: the model in the box. A Llama of half a million weights that reads and writes characters.

It is small enough to live in the package (2 MB) and to learn on a laptop's processor while one watches, and it is an
ordinary Hugging Face checkpoint: whatever works on it works on any other folder. What it was taught, and how to teach
it again from nothing, is in `tools/make_nano.py` (`make nano`) and, in numbers, in `nano/made.json`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import LlamaConfig, PreTrainedTokenizerFast

PAD, BOS, EOS = 0, 1, 2
CHARACTERS = ["\n", *map(chr, range(32, 127))]
"""Newline and printable ASCII are tokens 3 to 98; anything else is read as `?`."""


def folder() -> Path:
    """The shipped checkpoint, in Hugging Face format."""
    return Path(__file__).with_name("nano")


def config() -> LlamaConfig:
    """The architecture: 4 layers of width 96, 4 heads, 452,736 weights with the embedding tied."""
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=3 + len(CHARACTERS),
        hidden_size=96,
        intermediate_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        pad_token_id=PAD,
        bos_token_id=BOS,
        eos_token_id=EOS,
    )


def tokenizer() -> PreTrainedTokenizerFast:
    """One token a character, `<bos>` in front."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    specials = {"<pad>": PAD, "<bos>": BOS, "<eos>": EOS}
    vocabulary = specials | {character: 3 + index for index, character in enumerate(CHARACTERS)}
    raw = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    raw.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")  # pyright: ignore[reportAttributeAccessIssue]
    raw.decoder = decoders.Fuse()  # pyright: ignore[reportAttributeAccessIssue]
    raw.post_processor = processors.TemplateProcessing(  # pyright: ignore[reportAttributeAccessIssue]
        single="<bos> $A", special_tokens=[("<bos>", BOS)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        clean_up_tokenization_spaces=False,
    )

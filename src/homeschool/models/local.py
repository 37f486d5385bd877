"""A language model on this machine: a folder in Hugging Face form, or one from the Hub, opened with transformers.

A `Checkpoint` holds the weights, the tokenizer and who they are; `decode` draws text from it and `train` changes
its weights (and then its `fingerprint`). It refuses pickled weights, code that comes with a model, a folder in which
weights are missing (transformers would fill them with noise), and models with recurrent states; a model with
sliding windows is used up to one window, where it is exact.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import huggingface_hub
import torch
import transformers
from huggingface_hub.utils import disable_progress_bars
from safetensors import SafetensorError

from homeschool.core.errors import UsageError
from homeschool.core.identity import digest
from homeschool.core.records import Message, ModelCard
from homeschool.models.cache import RaggedCache
from homeschool.models.fingerprint import fingerprint

WEIGHTS = ("model*.safetensors", "model*.safetensors.index.json", "config.json", "generation_config.json")
TOKENIZER = ("tokenizer*", "vocab.*", "merges.txt", "*.model", "special_tokens_map.json", "added_tokens.json")
FILES = (*WEIGHTS, *TOKENIZER, "chat_template*")
"""The files that make a checkpoint, by pattern: what is fetched and what its fingerprint covers."""

REFUSED_LAYERS = frozenset({"linear_attention", "conv", "hybrid", "mamba", "recurrent", "chunked_attention"})


class Checkpoint:
    """A causal language model and its tokenizer, ready to compute. Make one with `Checkpoint.open`."""

    def __init__(self, name: str, module: transformers.PreTrainedModel, *, tokenizer: Any, fingerprint: str) -> None:
        self.name = name
        self.folder = Path(name)
        """Where the weights were read from."""
        self.module = module.eval()
        self.tokenizer = tokenizer
        self.fingerprint = fingerprint
        """Who the weights are. Whoever changes them sets a new one, before the next answer is asked for."""
        template = getattr(tokenizer, "chat_template", None)
        self.template = digest(template) if template else ""
        self.context = _context(module.config.get_text_config())
        """Longest prompt plus answer in tokens; 0 if the model does not say."""
        self.end_ids = _end_ids(module, tokenizer)
        """Any of these tokens ends an answer."""
        # Some tokenizers close every text with an end token; an answer cannot begin after the end.
        self.closes: bool = tokenizer("a")["input_ids"][-1] in self.end_ids

    @staticmethod
    def open(name: str, *, device: str = "auto", dtype: str = "auto") -> Checkpoint:
        """The checkpoint in folder `name`, or `hf:ORG/NAME`.

        device: `auto` is a GPU where there is one. dtype: `auto` is float32 on a CPU, else what the checkpoint
        says, else bfloat16; or a name such as `float64`. Raises UsageError, naming what is missing.
        """
        _be_quiet()
        folder = _fetch(name) if name.startswith("hf:") else Path(name).expanduser()
        _check_folder(name, folder)
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        module = _load_module(name, folder, dtype=dtype, device=device)
        if getattr(module, "_is_stateful", False):
            raise UsageError(f"{name!r} keeps a recurrent state, which sampling cannot handle", hint=_TRANSFORMER)
        checkpoint = Checkpoint(
            name, module, tokenizer=_load_tokenizer(name, folder), fingerprint=fingerprint(folder, patterns=FILES)
        )
        checkpoint.folder = folder
        return checkpoint

    @property
    def device(self) -> torch.device:
        return self.module.device

    @property
    def card(self) -> ModelCard:
        """Who this is now; its fingerprint changes when the weights do."""
        capabilities = {"raw", "logprobs", "batch"} | ({"chat"} if self.template else set())
        return ModelCard(self.name, self.fingerprint, frozenset(capabilities), self.template, self.context)

    def encode(self, prompt: str | tuple[Message, ...]) -> list[int]:
        """Token ids of a prompt: raw text with the tokenizer's opening tokens, or messages through the template."""
        if isinstance(prompt, str):
            ids: list[int] = self.tokenizer(prompt)["input_ids"]
            return ids[:-1] if self.closes else ids
        if not self.template:
            raise UsageError(f"{self.name!r} has no chat template, so it cannot take messages", hint="pass text")
        messages = [{"role": message.role, "content": message.content} for message in prompt]
        return self.tokenizer.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]

    def encode_more(self, text: str) -> list[int]:
        """Token ids of text that goes on after a prompt: no opening or closing tokens."""
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids: special tokens left out, spaces as they are."""
        return self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)

    def cache(self, *, rows: int, length: int) -> RaggedCache:
        """An empty cache for `rows` answers, with room for `length` tokens each to begin with."""
        return RaggedCache(self.module.config.get_text_config().num_hidden_layers, rows=rows, length=length)

    def forward(
        self,
        ids: torch.Tensor,
        *,
        positions: torch.Tensor,
        cache: RaggedCache,
        first_row: int = 0,
        keep: int | torch.Tensor = 1,
    ) -> torch.Tensor:
        """Logits [rows, K, V] of ids [rows, T] at positions [rows or 1, T], after what the cache rows hold.

        keep: the last K tokens (0 is all), or the K indices in 0..T-1 for which logits are wanted.
        """
        cache.advance(positions, first_row=first_row, rows=len(ids))
        output = self.module(
            input_ids=ids,
            position_ids=positions,
            attention_mask=cache.mask(positions, dtype=self.module.dtype),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=keep,
        )
        return output.logits

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Compute without gradients and without dropout; a model in training goes back to it afterwards."""
        training = self.module.training
        self.module.eval()
        try:
            with torch.inference_mode():
                yield
        finally:
            self.module.train(training)

    def save(self, folder: str | Path) -> None:
        """Write weights, config and tokenizer in Hugging Face form, aside first, so that a kill leaves old or new."""
        _be_quiet()
        folder = Path(folder)
        if folder.exists() and any(folder.iterdir()) and not (folder / "config.json").exists():
            raise UsageError(f"{folder} holds something else than a checkpoint", hint="save to a new folder")
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = folder.with_name(f".{folder.name}.{os.getpid()}.new")
        replaced = folder.with_name(f".{folder.name}.{os.getpid()}.old")
        for left in (aside, replaced):
            shutil.rmtree(left, ignore_errors=True)
        self.module.save_pretrained(aside)
        self.tokenizer.save_pretrained(aside)
        if folder.exists():
            folder.rename(replaced)
        aside.rename(folder)
        shutil.rmtree(replaced, ignore_errors=True)


_TRANSFORMER = "choose a model with attention in every layer"


def _be_quiet() -> None:
    """Standard error belongs to our own words: no advice and no progress bars of the libraries."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    disable_progress_bars()


def _fetch(name: str) -> Path:
    """The local copy of `hf:ORG/NAME`, downloaded if it must be."""
    try:
        return Path(huggingface_hub.snapshot_download(name.removeprefix("hf:"), allow_patterns=list(FILES)))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"no model {name!r} on this machine, and it cannot be downloaded ({_first_line(error)})",
            hint="check the name and the network, or give a folder",
        ) from error


def _check_folder(name: str, folder: Path) -> None:
    if not folder.is_dir():
        raise UsageError(f"no model folder {name!r}", hint="give 'nano', a folder, or hf:ORG/NAME")
    if not (folder / "config.json").is_file():
        raise UsageError(f"{name!r} is not a model: it has no config.json", hint="give a folder in Hugging Face form")
    if not any(path for pattern in TOKENIZER for path in folder.glob(pattern)):
        raise UsageError(
            f"{name!r} has no tokenizer: there is no tokenizer.json in it",
            hint="copy the tokenizer files of its base model into the folder",
        )


def _load_module(name: str, folder: Path, *, dtype: str, device: str) -> transformers.PreTrainedModel:
    try:
        config = transformers.AutoConfig.from_pretrained(folder)
        if dtype == "auto":
            on_gpu = getattr(config, "dtype", None) or torch.bfloat16
            wanted = torch.float32 if torch.device(device).type == "cpu" else on_gpu
        else:
            wanted = getattr(torch, dtype)
        opened: Any = transformers.AutoModelForCausalLM.from_pretrained(
            folder, config=config, dtype=wanted, use_safetensors=True, output_loading_info=True
        )
    except (OSError, ValueError, KeyError, RuntimeError, AttributeError, SafetensorError) as error:
        raise UsageError(
            f"cannot open {name!r} ({_first_line(error)})",
            hint="it needs whole safetensors weights of a causal language model that transformers knows",
        ) from error
    module, report = opened
    if report["missing_keys"]:
        missing = sorted(report["missing_keys"])
        raise UsageError(
            f"{name!r} lacks {len(missing)} weights, {missing[0]} among them",
            hint="save or download it again, whole",
        )
    return module.to(device)


def _load_tokenizer(name: str, folder: Path) -> Any:
    try:
        return transformers.AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError) as error:
        raise UsageError(
            f"{name!r} has no tokenizer that can be read ({_first_line(error)})",
            hint="copy the tokenizer files of its base model into the folder",
        ) from error


def _context(config: Any) -> int:
    """Positions the model has; with sliding windows, the narrowest, inside which they do not matter."""
    kinds = set(getattr(config, "layer_types", None) or ())
    refused = sorted(kinds & REFUSED_LAYERS)
    if refused:
        raise UsageError(f"a model with {refused[0]} layers cannot be sampled", hint=_TRANSFORMER)
    positions = getattr(config, "max_position_embeddings", None) or 0
    window = getattr(config, "sliding_window", None) or 0
    slides = "sliding_attention" in kinds or not kinds
    return min(positions or window, window) if window and slides else positions


def _end_ids(module: Any, tokenizer: Any) -> tuple[int, ...]:
    """End tokens named by the generation config, the config or the tokenizer; chat models often name one in each."""
    found: set[int] = set()
    for named in (module.generation_config.eos_token_id, module.config.eos_token_id, tokenizer.eos_token_id):
        found.update([] if named is None else named if isinstance(named, list) else [named])
    return tuple(sorted(found))


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

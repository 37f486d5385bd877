from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub.constants
import pytest
import torch

from homeschool.core.errors import UsageError
from homeschool.core.records import Message
from homeschool.models.local import Checkpoint, _context

TEMPLATE = "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}"
TEMPLATE += "{% if add_generation_prompt %}<me>{% endif %}"


def embedding(checkpoint: Checkpoint) -> torch.Tensor:
    module: Any = checkpoint.module
    return module.get_input_embeddings().weight


def edit(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_opening_is_quiet_and_complete(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    checkpoint = Checkpoint.open(str(folder), device="cpu")
    checkpoint.save(folder.with_name("copy"))
    assert capfd.readouterr() == ("", "")
    assert not checkpoint.module.training
    assert checkpoint.module.dtype == torch.float32
    assert (checkpoint.context, checkpoint.end_ids, checkpoint.template) == (64, (2,), "")
    card = checkpoint.card
    assert (card.name, card.context, card.fingerprint) == (str(folder), 64, checkpoint.fingerprint)
    assert card.capabilities == {"raw", "logprobs", "batch"}


def test_on_a_processor_bfloat16_weights_become_float32_unless_asked(folder: Path) -> None:
    edit(folder / "config.json", dtype="bfloat16")
    assert Checkpoint.open(str(folder), device="cpu").module.dtype == torch.float32
    assert Checkpoint.open(str(folder), device="cpu", dtype="float64").module.dtype == torch.float64


def test_text_goes_there_and_back(folder: Path) -> None:
    checkpoint = Checkpoint.open(str(folder), device="cpu")
    text = "Q: 3 + 4\n ,'s  x "
    ids = checkpoint.encode(text)
    assert ids[0] == 1 and checkpoint.encode_more(text) == ids[1:]
    assert checkpoint.decode([*ids, 2]) == text
    assert checkpoint.encode("") == [1]


def test_a_closing_end_token_is_left_out(folder: Path) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    closing = {"SpecialToken": {"id": "<eos>", "type_id": 0}}
    tokenizer["post_processor"]["single"].append(closing)
    tokenizer["post_processor"]["special_tokens"]["<eos>"] = {"id": "<eos>", "ids": [2], "tokens": ["<eos>"]}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    checkpoint = Checkpoint.open(str(folder), device="cpu")
    assert checkpoint.tokenizer("ab")["input_ids"][-1] == 2
    assert checkpoint.encode("ab") == [1, 4 + ord("a") - 32, 4 + ord("b") - 32]


def test_messages_go_through_the_template(folder: Path) -> None:
    plain = Checkpoint.open(str(folder), device="cpu")
    with pytest.raises(UsageError, match="no chat template"):
        plain.encode((Message("user", "hi"),))
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    chat = Checkpoint.open(str(folder), device="cpu")
    ids = chat.encode((Message("system", "be"), Message("user", "hi")))
    assert chat.decode(ids) == "<system>be\n<user>hi\n<me>"
    assert "chat" in chat.card.capabilities
    assert chat.template and chat.template == chat.card.template
    assert chat.fingerprint != plain.fingerprint


def test_saving_replaces_whole_and_keeps_the_numbers(folder: Path, tmp_path: Path) -> None:
    checkpoint = Checkpoint.open(str(folder), device="cpu")
    saved = tmp_path / "deep" / "saved"
    checkpoint.save(saved)
    first = Checkpoint.open(str(saved), device="cpu")
    with torch.no_grad():
        embedding(checkpoint).mul_(2)
    checkpoint.save(saved)
    second = Checkpoint.open(str(saved), device="cpu")
    assert torch.equal(embedding(second), 2 * embedding(first))
    assert first.fingerprint != second.fingerprint
    assert [path.name for path in saved.parent.iterdir()] == ["saved"]
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="something else than a checkpoint"):
        checkpoint.save(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def break_weights(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def lose_weights(folder: Path) -> None:
    edit(folder / "config.json", num_hidden_layers=3)


def lose_tokenizer(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda folder: (folder / "config.json").unlink(), "has no config.json"),
        (lambda folder: (folder / "config.json").write_text("{"), "cannot open"),
        (lambda folder: edit(folder / "config.json", model_type="nonesuch"), "cannot open"),
        (lambda folder: edit(folder / "config.json", hidden_size=24), "cannot open"),
        (lambda folder: (folder / "model.safetensors").unlink(), "cannot open"),
        (break_weights, "cannot open"),
        (lose_weights, "lacks 9 weights, model.layers.2"),
        (lose_tokenizer, "has no tokenizer: "),
        (lambda folder: (folder / "tokenizer.json").write_text("{"), "has no tokenizer that can be read"),
    ],
)
def test_what_cannot_be_opened_says_why(harm: object, says: str, folder: Path) -> None:
    assert callable(harm)
    harm(folder)
    with pytest.raises(UsageError, match=says) as caught:
        Checkpoint.open(str(folder), device="cpu")
    assert str(folder) in caught.value.message and caught.value.hint and "\n" not in str(caught.value)


def test_names_that_lead_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="no model folder"):
        Checkpoint.open(str(tmp_path / "none"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    for name in ("hf:nobody/nothing", "hf:not a name"):
        with pytest.raises(UsageError, match=f"no model '{name}' on this machine"):
            Checkpoint.open(name)


def test_sliding_windows_limit_the_context_and_other_layers_are_refused() -> None:
    def config(**values: object) -> SimpleNamespace:
        return SimpleNamespace(**{"max_position_embeddings": 512, **values})

    assert _context(config()) == 512
    assert _context(config(sliding_window=128)) == 128
    assert _context(config(sliding_window=128, layer_types=["full_attention", "sliding_attention"])) == 128
    assert _context(config(sliding_window=128, layer_types=["full_attention"])) == 512
    with pytest.raises(UsageError, match="linear_attention"):
        _context(config(layer_types=["full_attention", "linear_attention"]))

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from homeschool.core.errors import UsageError
from homeschool.core.protocols import BatchModel, Model
from homeschool.core.records import Request, Sampling
from homeschool.decode.open import open_checkpoint, open_model, strategies
from homeschool.models import nano
from homeschool.models.local import Checkpoint


def test_a_folder_becomes_a_model(llama: Checkpoint, tmp_path: Path) -> None:
    llama.save(tmp_path / "tiny")
    model = open_model(str(tmp_path / "tiny"), device="cpu")
    assert isinstance(model, BatchModel)
    assert model.card.name == str(tmp_path / "tiny")
    answer = asyncio.run(model.generate(Request("1+1", Sampling(temperature=0, max_tokens=4))))[0]
    assert 1 <= len(answer.token_ids) <= 4


@pytest.mark.skipif(not nano.folder().is_dir(), reason="nano has not been made yet")
def test_nano_is_in_the_box() -> None:
    checkpoint = open_checkpoint("nano", device="cpu")
    assert checkpoint.name == checkpoint.card.name == "nano"
    assert checkpoint.encode("Q: 1+1\n")[0] == nano.BOS


@pytest.mark.parametrize("name", ["http://localhost:8000/v1#m", "https://example.org/v1#m", "vllm:org/model"])
def test_what_lies_behind_an_address_has_no_weights_here(name: str) -> None:
    with pytest.raises(UsageError, match="no weights that could be read here"):
        open_checkpoint(name)


def test_an_endpoint_is_a_model_without_a_request() -> None:
    model = open_model("http://localhost:1/v1#m")
    assert isinstance(model, Model)
    assert model.card.name == "http://localhost:1/v1#m"


@pytest.mark.parametrize(("name", "hint"), [("sampel", "did you mean 'sample'"), ("noise", "known: sample"), ("", "")])
def test_an_unknown_strategy_names_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(UsageError, match="unknown strategy") as caught:
        open_model("nano", strategy=name)
    assert hint in caught.value.hint
    assert strategies() == ["sample"]

"""`homeschool verify --audit`: the result as JSON, as a table and as files, and its exit code."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from homeschool.cli import audit
from homeschool.cli.main import command
from homeschool.core.records import Row
from homeschool.core.verdict import Pass, Verdict


@pytest.fixture(autouse=True)
def _small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(audit, "PLANTED", 60)


def test_a_sound_verifier_exits_0_and_leaves_its_table() -> None:
    code, text = command(["verify", "--audit", "--with", "exact", "--out", "audited", "--json"])
    found = json.loads(text)
    assert code == 0 and text.count("\n") == 1
    assert found["verifier"].startswith("exact@") and found["run"] == "audited"
    assert found["false_accept"]["n"] >= 60 and found["false_accept"]["rate"] == 0.0
    assert set(found["probes"].values()) == {"refused"}
    assert json.loads(Path("audited/audit.json").read_text())["false_reject"] == found["false_reject"]
    table = Path("audited/audit.txt").read_text()
    assert "wrong answers passed: 0.00% (0 of 60" in table and "a sign more" in table


def test_golds_come_from_a_file() -> None:
    Path("golds.jsonl").write_text('{"prompt": "Capital?", "answer": "Oslo"}\n')
    code, text = command(["verify", "golds.jsonl", "--audit", "--with", "exact"])
    assert code == 0 and "gaming probes refused: 2" in text
    assert "Oslo" in Path("runs/audit-exact-0/audit.json").read_text() or "wrong answers passed: 0.00%" in text


def test_a_file_in_a_published_form_is_read_as_such() -> None:
    solution = {"question": "What is 40 and 2 more?", "answer": "It is 40+2=<<40+2=42>>42.\n#### 42"}
    Path("published.jsonl").write_text(json.dumps(solution) + "\n")
    code, text = command(["verify", "published.jsonl", "--audit", "--with", "math", "--json"])
    found = json.loads(text)
    assert code == 0 and found["false_reject"] == found["false_reject"] | {"rate": 0.0}
    assert {"or", "one more"} <= {*found["probes"], *(kind["how"] for kind in found["kinds"])}


def test_a_file_that_only_looks_published_is_read_as_it_stands() -> None:
    Path("like_gsm8k.jsonl").write_text(json.dumps({"question": "Pi?", "answer": "It is \\boxed{3\\pi}."}) + "\n")
    code, text = command(["verify", "like_gsm8k.jsonl", "--audit", "--with", "math", "--json"])
    assert code == 0 and "without pi" in {kind["how"] for kind in json.loads(text)["kinds"]}


def test_an_unsound_verifier_exits_3_and_says_why(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    class Yes:
        name = "yes@1"

        async def __call__(self, row: Row, answers: Sequence[str], ctx: Any = None) -> list[Verdict]:
            return [Pass() for _ in answers]

    monkeypatch.setattr("homeschool.verify.load.load_verifier", lambda name: Yes())
    code, text = command(["verify", "--audit", "--with", "math"])
    assert code == 3
    assert "ACCEPTED: empty" in text and "right answers failed: 0.00%" in text
    assert "yes@1 passes 100.00% of planted wrong answers" in capsys.readouterr().err


@pytest.mark.parametrize(("argv", "says"), [([], "no verifier"), (["--with", "tests"], "needs a file")])
def test_what_cannot_be_audited_exits_2(argv: list[str], says: str, capsys: Any) -> None:
    assert command(["verify", "--audit", *argv]) == (2, "")
    assert says in capsys.readouterr().err

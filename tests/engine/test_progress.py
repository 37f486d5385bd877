from __future__ import annotations

import io
import os
import sys

import pytest

from homeschool.engine.progress import Progress


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def work(stream: io.StringIO, *, total: int | None = 10) -> str:
    clock = Clock()
    with Progress(stream, clock=clock).stage("collect", total=total, unit="rows") as stage:
        for _ in range(10):
            clock.now += 2
            stage.advance(1, accepted=2, tokens=100)
        stage.show(loss=0.123456, level="hard")
    return stream.getvalue()


def test_a_log_gets_a_line_now_and_then_and_one_at_the_end() -> None:
    lines = work(io.StringIO()).splitlines()
    assert len(lines) == 4  # after 6, 12 and 18 seconds, and the end
    assert lines[0] == (
        "collect  [######..............]  30%  3/10 rows  0.5 rows/s  ETA 14.0 s  accepted 6  tokens 300  50 tokens/s"
    )
    assert lines[-1] == (
        "collect  done: 10 rows in 20.0 s  accepted 20  tokens 1,000  50 tokens/s  loss 0.1235  level hard"
    )


def test_a_terminal_gets_one_live_line() -> None:
    text = work(Terminal())
    live = text.split("\r")
    assert text.count("\n") == 1
    assert len(live) == 12, "ten updates, and the clearing before the last line"
    assert " 100%" in live[10]


def test_without_a_total_there_is_no_bar_and_no_eta() -> None:
    text = work(io.StringIO(), total=None)
    assert "3 rows  0.5 rows/s  accepted 6" in text
    assert "ETA" not in text
    assert "[" not in text


def test_an_interrupted_stage_says_how_far_it_came() -> None:
    stream, clock = io.StringIO(), Clock()
    with pytest.raises(KeyboardInterrupt), Progress(stream, clock=clock).stage("train", total=9, unit="steps") as stage:
        clock.now += 75
        stage.advance(4)
        raise KeyboardInterrupt
    assert stream.getvalue().splitlines()[-1] == "train  stopped: 4/9 steps in 1 min 15 s"


def test_quiet_writes_nothing_and_a_note_is_a_line() -> None:
    stream = io.StringIO()
    quiet = Progress(stream, quiet=True)
    quiet.note("hello")
    with quiet.stage("x", total=1) as stage:
        stage.advance()
    assert stream.getvalue() == ""
    Progress(stream).note("hello")
    assert stream.getvalue() == "hello\n"


def test_everything_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    with progress.stage("x", total=1) as stage:
        stage.advance()
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("x  done: 1 rows")


def test_a_closed_stream_never_ends_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    reader, writer = os.pipe()
    os.close(reader)
    broken = os.fdopen(writer, "w")
    latin = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    done = 0
    for stream in (closed, broken, latin, None):
        monkeypatch.setattr(sys, "stderr", None)
        clock = Clock()
        progress = Progress(stream, clock=clock)
        with progress.stage("é", total=3) as stage:
            for _ in range(3):
                clock.now += 9
                stage.advance()
        progress.note("after")
        done += stage.done
    assert done == 12
    with pytest.raises(BrokenPipeError):
        broken.close()

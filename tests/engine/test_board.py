"""The live table: what it counts, how it looks, and that nothing can end or garble a run."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeschool.engine.board import Board, cost, cut
from homeschool.engine.progress import Progress
from homeschool.engine.tally import Tally


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Screen:
    """What a terminal shows after the few commands that are used here."""

    def __init__(self, written: str) -> None:
        self.lines = [""]
        row = column = 0
        for part in re.findall(r"\x1b\[\d*[A-Z]|[\r\n]|[^\x1b\r\n]+", written):
            if part == "\r":
                column = 0
            elif part == "\n":
                row, column = row + 1, 0
                self.lines += [""] * (row + 1 - len(self.lines))
            elif part[0] != "\x1b":
                self.lines[row] = self.lines[row][:column].ljust(column) + part + self.lines[row][column + len(part) :]
                column += len(part)
            elif part[-1] == "A":
                row -= int(part[2:-1])
            elif part[-1] == "K":
                self.lines[row] = self.lines[row][:column]
            else:
                assert part[-1] == "J"
                self.lines[row:] = [self.lines[row][:column]]


def filled() -> Board:
    clock = Clock()
    board = Board(Progress(io.StringIO(), clock=clock), "generate", total=1000, prices={"generator": (1.0, 4.0)})
    for step in range(20):
        clock.now += 1
        board.heard(10, 200, prompt_tokens=500, cached=1)
        board.count(5, 8, dropped={"math: wrong answer": 1} if step % 2 else {"typed: truncated": 2})
    return board


def test_the_table_adds_up() -> None:
    board = filled()
    assert board.table(100).splitlines() == [
        "generate  [##..................]  10%  100/1,000 rows  5 rows/s  ETA 3 min 00 s",
        "accepted  160  1.60 per row  about 1,600 in the end  8/s",
        "calls     200  10/s  cached 20",
        "tokens    10,000 in  4,000 out  200/s  cost $0.03 (about $0.26 in the end)",
        "dropped   30",
        "  20  67%  typed: truncated",
        "  10  33%  math: wrong answer",
    ]


def test_the_reasons_are_the_most_frequent_and_the_rest_is_counted() -> None:
    board = Board(Progress(io.StringIO()), "generate")
    board.count(0, 0, dropped={f"reason {number}": number for number in range(1, 9)})
    lines = board.table(80).splitlines()
    assert [line.split()[0] for line in lines[-6:]] == ["8", "7", "6", "5", "4", "6"]
    assert lines[-1].endswith("3 other reasons")
    assert "ETA" not in lines[0]


@given(st.integers(1, 100), st.text(max_size=40), st.text(max_size=60))
def test_every_line_fits_and_none_holds_a_command(width: int, reason: str, state: str) -> None:
    board = filled()
    board.count(1, 0, dropped={f"\x1b[2J\n{reason}": 50}, unfinished=2)
    board.state(f"paused: {state}\r", of="http://host/v1")
    for line in board.table(width).splitlines():
        assert line.isprintable()
        assert len(line) <= width
    assert board.line().isprintable()
    assert all(line.isprintable() for line in board.summary().split("\n"))


def test_wide_letters_take_two_columns() -> None:
    assert cut("漢字漢字", 5) == "漢字"
    assert cut("e\N{COMBINING ACUTE ACCENT}tude", 3) == "e\N{COMBINING ACUTE ACCENT}tu"


def test_a_terminal_shows_one_table_and_then_the_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("LINES", "40")
    stream, clock = Terminal(), Clock()
    progress = Progress(stream, clock=clock)
    with Board(progress, "generate", total=10) as board:
        for step in range(6):
            clock.now += 1
            board.state(f"paused: http://host has not answered for {step} s" if step in (2, 3) else "", of="host")
            board.count(1, 2, dropped={f"reason {step}": 1})
            shown = Screen(stream.getvalue()).lines
            assert len([line for line in shown if line.startswith("generate")]) == 1, "drawn in place"
            assert any("paused" in line for line in shown) == (step in (2, 3))
        progress.note("a note of its own")
        clock.now += 1
        board.count(4, 0)
    shown = Screen(stream.getvalue()).lines
    assert shown[0] == "a note of its own"
    assert shown[1].startswith("generate  done: 10 rows in 7.0 s  accepted 12")
    assert sum("reason" in line for line in shown) == 6, "five and the others"
    assert not any("rows/s" in line for line in shown)


def test_a_low_terminal_shows_the_first_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "3")
    stream, clock = Terminal(), Clock()
    board = Board(Progress(stream, clock=clock), "x", total=2)
    for number in range(4):
        clock.now += 1
        board.count(0, 0, dropped={f"{number}": 1})
    shown = Screen(stream.getvalue()).lines
    assert [line.split()[0] for line in shown] == ["x", "accepted"]


def test_a_log_gets_lines_ever_more_rarely() -> None:
    stream, clock = io.StringIO(), Clock()
    with Board(Progress(stream, clock=clock), "generate", total=1200) as board:
        for _ in range(600):
            clock.now += 1
            board.count(1, 1)
        board.count(0, 0, dropped={"x: y": 3})
        board.count(0, 0, unfinished=600)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 60 + 10 + 3, "every 5 s for 5 minutes, every 30 s for 5 more, and the summary"
    assert lines[0].endswith("0%  5/1,200 rows  1 rows/s  ETA 19 min 55 s  accepted 5  calls 0")
    assert lines[-3].startswith("generate  ended: 600/1,200 rows in 10 min 00 s  accepted 600")
    assert lines[-3].endswith("unfinished 600")
    assert lines[-1] == "  3 100%  x: y"


def test_a_stopped_run_says_so() -> None:
    stream = io.StringIO()
    with pytest.raises(KeyboardInterrupt), Board(Progress(stream), "generate", total=9) as board:
        board.count(4, 1)
        raise KeyboardInterrupt
    assert stream.getvalue().startswith("generate  stopped: 4/9 rows")


def test_what_an_earlier_process_did_makes_nobody_fast() -> None:
    clock = Clock()
    board = Board(Progress(io.StringIO(), clock=clock), "generate", total=2000)
    board.count(1000, 900, earlier=True)
    for _ in range(10):
        clock.now += 1
        board.count(1, 1)
    assert "1,010/2,000 rows  1 rows/s  ETA 16 min 30 s" in board.table(120)
    assert "accepted  910" in board.table(120)


def test_rates_look_back_half_a_minute() -> None:
    clock = Clock()
    board = Board(Progress(io.StringIO(), clock=clock), "generate", total=10_000)
    for second in range(300):
        clock.now += 1
        board.count(20 if second < 200 else 2, 1)
    assert "2 rows/s" in board.table(120).splitlines()[0]


def test_cost_is_known_only_if_every_asked_role_has_a_price() -> None:
    asked = {"generator": Tally(2, 0, 1_000_000, 500_000), "judge": Tally(1, 0, 10, 10)}
    assert cost(asked, {"generator": (1.0, 4.0)}) is None
    assert cost(asked, {"generator": (1.0, 4.0), "judge": (0.0, 0.0)}) == 3.0
    assert cost({**asked, "judge": Tally(0, 5)}, {"generator": (1.0, 4.0)}) == 3.0, "stored answers cost nothing"
    assert cost(asked, {}) is None


def test_a_tally_that_somebody_keeps_is_shown_as_it_stands() -> None:
    board, tally = Board(Progress(io.StringIO()), "generate"), Tally()
    board.spent["generator"] = tally
    tally.calls = 7
    assert "calls     7" in board.table(80)


def test_a_closed_stream_never_ends_a_run(tmp_path: Path) -> None:
    closed = io.StringIO()
    closed.close()
    (tmp_path / "log").touch()
    with (tmp_path / "log").open() as readable:
        for stream in (closed, readable):  # neither can be written
            clock = Clock()
            with Board(Progress(stream, clock=clock), "generate", total=3) as board:
                for _ in range(3):
                    clock.now += 9
                    board.count(1, 1)
            assert board.rows == 3

"""The pictures of a result: accuracy by round, level by level, the funnel, cost, loss and health.

Each function returns one SVG, or "" where nothing was measured. `plot_svg` gives the main plot as a file of its own,
with its title and its colours inside, for a README. Why by hand and not with a plotting library: a report must open
anywhere, follow the reader's light or dark page and be readable on a phone, and this needs no package.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from itertools import groupby

from homeschool.improve.report.curves import (
    SHAPES,
    Curve,
    Point,
    controls,
    curve,
    last_x,
    levels_of,
    main_curves,
    rounds_of,
)
from homeschool.improve.report.svg import (
    Scale,
    apart,
    band,
    clean,
    marker,
    path,
    picture,
    tag,
    text,
    ticks,
    whisker,
)
from homeschool.improve.report.words import Result, count, outcome, percent, short, tally, total

_LETTER = 7.4
"""Width of an average letter at 13 px in a wide sans serif: labels are laid out for the widest usual font."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A plotting area inside a picture."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float

    def x(self, low: float, high: float) -> Scale:
        return Scale((low, high), (self.left, self.width - self.right))

    def y(self, high: float) -> Scale:
        return Scale((0.0, high), (self.height - self.bottom, self.top))


WIDE = Frame(width=760, height=400, left=44, right=196, top=14, bottom=62)
NARROW = Frame(width=400, height=390, left=42, right=140, top=14, bottom=62)


def accuracy_plot(result: Result, *, narrow: bool = False) -> str:
    """Accuracy by round: groups as lines with intervals, controls as dashes, the level being learned as a strip."""
    frame = _frame(result, narrow=narrow)
    lines, others = main_curves(result), controls(result)
    if not lines:
        return ""
    class_ = f"plot {'narrow' if narrow else 'wide'}"
    label = outcome(result).sentence
    return picture(frame.width, frame.height, _accuracy(result, frame, lines, others), label=label, class_=class_)


def _frame(result: Result, *, narrow: bool = False) -> Frame:
    """The plotting area, without room for the strip of levels where there are none."""
    frame = NARROW if narrow else WIDE
    if any(record.get("level") is not None for record in rounds_of(result)):
        return frame
    return replace(frame, height=frame.height - 28, bottom=frame.bottom - 28)


def _accuracy(result: Result, frame: Frame, lines: Sequence[Curve], others: Sequence[Curve]) -> str:
    inset, step = (46, 15) if frame.width == WIDE.width else (40, 11)
    end = last_x(result)
    top = _ceiling([point for line in (*lines, *others) for point in line.points])
    y = frame.y(top)
    x = Scale((0, end), (frame.left + inset, frame.width - frame.right - step * len(others) - 8))
    parts = [_shares_axis(frame, y, top), _rounds_axis(result, frame, x), _strip(result, frame, x)]
    for index, line in enumerate(others, start=1):
        parts.append(_control(line, x, y, shift=step * index))
    for line in reversed(lines):
        parts.append(_line(line, x, y))
    labels = [(line.end, line.name, line.style, x(line.end.x) + 7) for line in lines]
    labels += [
        (line.end, line.name, "control", x(end) + step * index + 7) for index, line in enumerate(others, start=1)
    ]
    parts.append(_end_labels(frame, y, labels))
    parts.append(_start_labels(frame, x, y, [line for line in lines if line.points[0].x == 0]))
    return "".join(parts)


def _ceiling(points: Sequence[Point]) -> float:
    """The top of the axis: 100%, or a round share below it where everything is far lower."""
    highest = max(point.high for point in points)
    return next((top for top in (0.1, 0.25, 0.5) if highest <= 0.95 * top), 1.0)


def _shares_axis(frame: Frame, y: Scale, top: float) -> str:
    steps = 5 if top in (0.25, 0.5) else 4 if top == 1.0 else 5
    parts: list[str] = []
    for index in range(steps + 1):
        share = top * index / steps
        height = y(share)
        style = "axis" if index == 0 else "grid"
        parts.append(tag("path", d=f"M{frame.left} {height:.1f}H{frame.width - frame.right}", class_=style))
        parts.append(text(frame.left - 7, height + 4, f"{100 * share:g}%", class_="tick", text_anchor="end"))
    return "".join(parts)


def _rounds_axis(result: Result, frame: Frame, x: Scale) -> str:
    base, end = frame.height - frame.bottom, last_x(result)
    every = max(1, round((end - 1) * 24 / max(1.0, x(end) - x(0))))
    parts = [text(x(0), base + 18, "before", class_="tick strong", text_anchor="middle")]
    for index, record in enumerate(rounds_of(result), start=1):
        if index % every == 0 or every == 1:
            # The first and last round stand beside a word and would touch it on a narrow picture.
            crowded = x(1) - x(0) < 34 and index in (1, end - 1)
            words = "" if crowded else str(index)
            parts.append(text(x(index), base + 18, words, class_="tick", text_anchor="middle"))
        if record.get("decision") == "rolled back":
            parts.append(tag("path", d=f"M{x(index):.1f} {frame.top}V{base}", class_="undone"))
    parts.append(text(x(end), base + 18, "after", class_="tick strong", text_anchor="middle"))
    return "".join(parts)


def _strip(result: Result, frame: Frame, x: Scale) -> str:
    """Which level each round learned from, equal neighbours as one bar."""
    levels = [(index, record.get("level")) for index, record in enumerate(rounds_of(result), start=1)]
    half = (x(1) - x(0)) / 2
    top, parts = frame.height - frame.bottom + 30, list[str]()
    for level, run in groupby(levels, key=lambda pair: pair[1]):
        places = [index for index, _ in run]
        if level is not None:
            left, right = x(places[0]) - half + 1, x(places[-1]) + half - 1
            words = f"level {level}" if right - left > 52 else str(level)
            parts.append(tag("rect", x=left, y=top, width=right - left, height=19, rx=3, class_="strip"))
            parts.append(text((left + right) / 2, top + 13.5, words, class_="tick", text_anchor="middle"))
    return "".join(parts)


def _line(line: Curve, x: Scale, y: Scale) -> str:
    shape = SHAPES[line.style]
    kept = line.kept
    upper, lower = ([(x(p.x), y(getattr(p, side))) for p in kept] for side in ("high", "low"))
    parts = [band(upper, lower, class_=f"band {line.style}")]
    parts.append(path([(x(p.x), y(p.value)) for p in kept], class_=f"line {line.style}"))
    for point in line.points:
        place = (x(point.x), y(point.value))
        if point.exam:
            parts.append(whisker(place[0], y(point.low), y(point.high), class_=line.style))
        style = "hollow" if point.rejected else "dot"
        parts.append(marker(*place, 5.5 if point.exam else 3.2, shape=shape, class_=f"{style} {line.style}"))
    return "".join(parts)


def _control(line: Curve, x: Scale, y: Scale, *, shift: float) -> str:
    end = line.points[-1]
    place = (x(end.x) + shift, y(end.value))
    dashes = path([*((x(p.x), y(p.value)) for p in line.points[:-1]), place], class_="line control")
    bar = whisker(place[0], y(end.low), y(end.high), class_="control")
    return dashes + bar + marker(*place, 4.5, shape="circle", class_="hollow control")


def _end_labels(frame: Frame, y: Scale, labels: Sequence[tuple[Point, str, str, float]]) -> str:
    """Value and name at the end of each line, moved apart where they would touch, with a thread to their point."""
    narrow = frame.right < 150
    gap, left = (33 if narrow else 20), frame.width - frame.right + 14
    # Names stand in one column, to the right of the longest number.
    name_at = left + (54 if max(len(percent(point.value)) for point, *_ in labels) > 4 else 42)
    letters = int((frame.width - left) / (_LETTER * 0.92)) if narrow else int((frame.width - name_at) / _LETTER)
    wanted = [y(point.value) for point, *_ in labels]
    places = apart(wanted, gap, low=frame.top + 8, high=frame.height - frame.bottom - (12 if narrow else 0))
    parts: list[str] = []
    for (point, name, style, start), place in zip(labels, places, strict=True):
        parts.append(path([(start, y(point.value)), (left - 10, place), (left - 4, place)], class_="thread"))
        value = tag("tspan", clean(percent(point.value)), class_="value")
        name = clean(_shortened(name, letters))
        rest = tag("tspan", name, x=left, dy=14) if narrow else tag("tspan", name, x=name_at)
        parts.append(tag("text", value + rest, x=left, y=place + 4.5, class_=f"label {style}"))
    return "".join(parts)


def _shortened(words: str, letters: int) -> str:
    return words if len(words) <= letters else words[: max(1, letters - 1)].rstrip() + "\N{HORIZONTAL ELLIPSIS}"


def _start_labels(frame: Frame, x: Scale, y: Scale, lines: Sequence[Curve]) -> str:
    values = [line.points[0].value for line in lines]
    places = apart([y(value) for value in values], 15, low=frame.top + 8, high=frame.height - frame.bottom - 4)
    return "".join(
        text(x(0) - 10, place + 4.5, percent(value), class_=f"label {line.style}", text_anchor="end")
        for line, value, place in zip(lines, values, places, strict=True)
    )


def level_plots(result: Result) -> list[str]:
    """One small picture per level, on one scale; the rounds that learned from the level are shaded."""
    lines = [line for name in levels_of(result) if (line := curve(result, name)).points]
    top = _ceiling([point for line in lines for point in line.points]) if lines else 1.0
    return [_level_plot(result, line, top=top) for line in lines]


def _level_plot(result: Result, line: Curve, *, top: float) -> str:
    frame = Frame(width=152, height=132, left=7, right=9, top=40, bottom=8)
    x, y = frame.x(0, last_x(result)), frame.y(top)
    parts: list[str] = []
    for index, record in enumerate(rounds_of(result), start=1):
        if f"level {record.get('level')}" == line.name:
            width = x(1) - x(0)
            box = {"x": x(index) - width / 2, "y": frame.top, "width": width + 0.6, "height": y(0) - frame.top}
            parts.append(tag("rect", class_="learning", **box))
    for share in (0.0, top / 2, top):
        style = "axis" if share == 0 else "grid"
        parts.append(tag("path", d=f"M{frame.left} {y(share):.1f}H{frame.width - frame.right}", class_=style))
    parts.append(_line(line, x, y))
    change = f"{percent(line.points[0].value)} \N{RIGHTWARDS ARROW} {percent(line.end.value)}"
    parts.append(text(frame.left, 15, line.name, class_="tick strong"))
    parts.append(text(frame.left, 32, change, class_=f"label {line.style}"))
    return picture(frame.width, frame.height, "".join(parts), label=f"{line.name}: {change}", class_="plot")


def funnel_plot(result: Result) -> str:
    """What was asked, what passed, and what was left after each rule, over all rounds."""
    rounds = rounds_of(result)
    asked, passed, kept = (total(rounds, name) for name in ("asked", "passed", "kept"))
    if not asked or passed is None or kept is None:
        return ""
    steps = [("answers asked for", asked), ("passed the verifier", passed)]
    left = passed
    for rule, number in tally(rounds, "dropped").items():
        left -= number
        steps.append((f"after {rule.replace('_', ' ')}", left))
    # What the last rule leaves is what is learned from; one bar says both.
    steps = [*(steps[:-1] if left == kept and len(steps) > 2 else steps), ("kept as lessons", kept)]
    rows = [(name, number, f"{count(number)} \N{MIDDLE DOT} {percent(number / asked)}") for name, number in steps]
    return bars(rows, label="answers", result=True)


def bars(rows: Sequence[tuple[str, float, str]], *, label: str, result: bool = False) -> str:
    """Horizontal bars from one zero: name above, value at the right, longest bar the whole width.

    With `result`, the last bar is what the others lead to, and has the colour of kept lessons.
    """
    width, row, longest = 340, 40, max((value for _, value, _ in rows), default=0) or 1.0
    parts: list[str] = []
    for index, (name, value, words) in enumerate(rows):
        top = row * index
        room = int((width - 12 - _LETTER * len(words)) / (_LETTER * 0.92))
        parts.append(text(0, top + 13, _shortened(name, room), class_="tick"))
        parts.append(text(width, top + 13, words, class_="tick strong", text_anchor="end"))
        parts.append(tag("rect", x=0, y=top + 19, width=width, height=12, class_="trough"))
        style = "fill last" if result and index == len(rows) - 1 else "fill"
        parts.append(tag("rect", x=0, y=top + 19, width=max(1.0, width * value / longest), height=12, class_=style))
    said = label + ": " + "; ".join(f"{name} {words}" for name, _, words in rows)
    return picture(width, row * len(rows), "".join(parts), label=said, class_="plot")


def yield_plot(result: Result) -> str:
    """Each round's answers as one bar of 100%: kept, passed but dropped by a rule, failed."""
    rounds = [record for record in rounds_of(result) if record.get("asked")]
    if not rounds:
        return ""
    width, row, left, right = 340, 22, 28, 44
    x = Scale((0, 1), (left, width - right))
    parts: list[str] = []
    for index, record in enumerate(rounds):
        top = row * index
        kept, passed = ((record.get(name) or 0) / record["asked"] for name in ("kept", "passed"))
        parts.append(text(left - 8, top + 14, str(record["round"]), class_="tick", text_anchor="end"))
        for style, start, end in (("failed", 0.0, 1.0), ("dropped", 0.0, passed), ("kept", 0.0, kept)):
            parts.append(tag("rect", x=x(start), y=top + 3, width=x(end) - x(start), height=15, class_=style))
        parts.append(text(width, top + 14, percent(kept), class_="tick strong", text_anchor="end"))
    said = "share kept by round: " + ", ".join(
        percent((record.get("kept") or 0) / record["asked"]) for record in rounds
    )
    return picture(width, row * len(rounds), "".join(parts), label=said, class_="plot")


def columns(values: Sequence[tuple[str, float | None]], *, label: str) -> str:
    """Upright bars from zero, each with its value on top; a missing value leaves a gap. "" if all are missing."""
    known = [value for _, value in values if value is not None]
    if not known:
        return ""
    frame = Frame(width=340, height=150, left=0, right=0, top=22, bottom=22)
    y = frame.y(max(known) or 1.0)
    step = frame.width / len(values)
    every = -(-len(values) // 8)
    parts = [tag("path", d=f"M0 {y(0):.1f}H{frame.width}", class_="axis")]
    for index, (name, value) in enumerate(values):
        middle = step * (index + 0.5)
        if value is not None:
            box = {"x": middle - step * 0.36, "y": y(value), "width": step * 0.72, "height": y(0) - y(value)}
            parts.append(tag("rect", class_="fill", **box))
        if index % every == 0:
            words = "-" if value is None else short(value)
            inside = max(middle, _LETTER / 2 * len(words))  # a wide number on a thin first bar
            parts.append(text(inside, y(value or 0) - 6, words, class_="tick", text_anchor="middle"))
            parts.append(text(middle, frame.height - 6, name, class_="tick", text_anchor="middle"))
    return picture(frame.width, frame.height, "".join(parts), label=label, class_="plot")


def cost_plot(result: Result, name: str) -> str:
    """`tokens` or `seconds` spent in each round for every row that was kept."""
    rounds = rounds_of(result)
    shares = [
        (
            str(record["round"]),
            record[name] / record["kept"] if record.get(name) is not None and record.get("kept") else None,
        )
        for record in rounds
    ]
    return columns(shares, label=f"{name} per kept lesson, by round")


def trace_plot(values: Sequence[tuple[float, float]], *, label: str, marks: Sequence[float] = ()) -> str:
    """A plain line over steps or rounds, from zero; `marks` are faint upright lines. "" for fewer than two points."""
    if len(values) < 2:
        return ""
    frame = Frame(width=340, height=170, left=36, right=46, top=12, bottom=24)
    high = ticks(max(value for _, value in values))
    x, y = frame.x(values[0][0], values[-1][0]), frame.y(high[-1])
    parts: list[str] = []
    for value in high:
        style = "axis" if value == 0 else "grid"
        parts.append(tag("path", d=f"M{frame.left} {y(value):.1f}H{frame.width - frame.right}", class_=style))
        parts.append(text(frame.left - 6, y(value) + 4, short(value), class_="tick", text_anchor="end"))
    for mark in marks:
        parts.append(tag("path", d=f"M{x(mark):.1f} {frame.top}V{y(0):.1f}", class_="undone"))
    places = [(x(a), y(b)) for a, b in values]
    parts.append(path(places, class_="line b thin"))
    # Few points are single measurements and are shown as such; many are a curve.
    parts += [marker(*place, 2.6, shape="circle", class_="dot b") for place in places if len(places) <= 20]
    (first, _), (last, end) = values[0], values[-1]
    parts.append(text(x(last) + 5, y(end) + 4, short(end), class_="label b"))
    parts.append(text(x(first), frame.height - 6, short(first), class_="tick", text_anchor="start"))
    parts.append(text(x(last), frame.height - 6, short(last), class_="tick", text_anchor="end"))
    return picture(frame.width, frame.height, "".join(parts), label=label, class_="plot")


def plot_svg(result: Result) -> str:
    """The main plot as one file with its title, its source line and its own light and dark colours.

    Raises nothing for an unfinished run: the title then says that it was not measured.
    """
    said = outcome(result)
    title = textwrap.wrap(said.statement, 56)
    head = 30 + 24 * len(title) + 20
    inner, margin = _frame(result), 12
    width, height = inner.width + 2 * margin, inner.height + head + 30
    style = tag("style", files("homeschool.improve.report").joinpath("plots.css").read_text(encoding="utf-8"))
    parts = [style, tag("rect", width=width, height=height, class_="paper")]
    parts += [text(margin + 4, 32 + 24 * row, line, class_="title") for row, line in enumerate(title)]
    parts.append(text(margin + 4, head - 14, said.evidence, class_="note"))
    drawn = main_curves(result)
    body = _accuracy(result, inner, drawn, controls(result)) if drawn else ""
    parts.append(tag("g", body, transform=f"translate({margin} {head})") if body else "")
    note = (
        "Large dots: exam, with 95% intervals. Small dots: the gate's own problems. Dashes: controls at equal compute."
    )
    parts.append(text(margin + 4, height - 14, note, class_="note"))
    return picture(width, height, "".join(parts), label=said.sentence, class_="plot alone")

"""Small pictures as SVG text: enough for a report that needs no JavaScript, no font and no network.

Colours are never written here: every shape has a class, and the page's style sheet (or the picture's own, see
`plots.plot_svg`) gives it a colour for light and one for dark. Lengths are in pixels of the picture's own view box.
Text from outside goes through `clean`, so that no model's answer can break the page or run in it.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def clean(text: object) -> str:
    """Text that may stand in HTML, in XML and in a quoted attribute: escaped, without control characters."""
    return html.escape(_NOT_XML.sub("\N{REPLACEMENT CHARACTER}", str(text)), quote=True)


def tag(name: str, content: str = "", /, **attributes: object) -> str:
    """One element. `content` is markup already; attribute values are escaped; `class_` is class, `a_b` is a-b."""
    written = "".join(f' {_name(key)}="{_value(value)}"' for key, value in attributes.items() if value is not None)
    return f"<{name}{written}>{content}</{name}>" if content else f"<{name}{written}/>"


def text(x: float, y: float, words: str, **attributes: object) -> str:
    return tag("text", clean(words), x=x, y=y, **attributes)


def picture(width: float, height: float, content: str, *, label: str, class_: str | None = None) -> str:
    """The outermost element: scales to the width it is given. `label` is what a screen reader says."""
    box = f"0 0 {width:g} {height:g}"
    described = f"<title>{clean(label)}</title>{content}"
    return tag("svg", described, xmlns="http://www.w3.org/2000/svg", viewBox=box, role="img", class_=class_)


@dataclass(frozen=True, slots=True)
class Scale:
    """A straight line from data to pixels."""

    data: tuple[float, float]
    pixels: tuple[float, float]

    def __call__(self, value: float) -> float:
        (low, high), (start, end) = self.data, self.pixels
        return start + (value - low) / ((high - low) or 1.0) * (end - start)


Points = Sequence[tuple[float, float]]


def path(points: Points, **attributes: object) -> str:
    """A line through `points`; nothing for fewer than two."""
    if len(points) < 2:
        return ""
    steps = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return tag("path", d=f"M{steps}", fill="none", **attributes)


def band(upper: Points, lower: Points, **attributes: object) -> str:
    """The area between two lines over the same x."""
    if len(upper) < 2:
        return ""
    steps = "L".join(f"{x:.1f} {y:.1f}" for x, y in [*upper, *reversed(lower)])
    return tag("path", d=f"M{steps}Z", **attributes)


def whisker(x: float, low: float, high: float, *, class_: str) -> str:
    """An interval as a vertical bar with two caps."""
    d = f"M{x:.1f} {low:.1f}V{high:.1f}M{x - 3:.1f} {low:.1f}H{x + 3:.1f}M{x - 3:.1f} {high:.1f}H{x + 3:.1f}"
    return tag("path", d=d, fill="none", class_=f"whisker {class_}")


def marker(x: float, y: float, size: float, *, shape: str, class_: str) -> str:
    """A point as a `circle`, `square`, `diamond` or `triangle`: shapes tell lines apart where colours cannot."""
    if shape == "circle":
        return tag("circle", cx=x, cy=y, r=size, class_=class_)
    if shape == "square":
        return tag("rect", x=x - size * 0.9, y=y - size * 0.9, width=1.8 * size, height=1.8 * size, class_=class_)
    corners = {
        "diamond": ((0, -1.25), (1.25, 0), (0, 1.25), (-1.25, 0)),
        "triangle": ((0, -1.2), (1.15, 0.9), (-1.15, 0.9)),
    }[shape]
    steps = "L".join(f"{x + dx * size:.1f} {y + dy * size:.1f}" for dx, dy in corners)
    return tag("path", d=f"M{steps}Z", class_=class_)


def apart(wanted: Sequence[float], gap: float, *, low: float, high: float) -> list[float]:
    """Label positions as near to `wanted` as `gap` allows, between `low` and `high`, in the order given.

    Labels that would touch become a block around their mean; blocks that touch are merged (isotonic regression).
    """
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    blocks: list[list[int]] = []
    for index in order:
        blocks.append([index])
        while len(blocks) > 1 and _top(blocks[-1], wanted, gap) < _top(blocks[-2], wanted, gap) + gap * len(blocks[-2]):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    placed = [0.0] * len(wanted)
    for block in blocks:
        for offset, index in enumerate(block):
            placed[index] = _top(block, wanted, gap) + gap * offset
    floor = low
    for index in order:
        placed[index] = floor = max(placed[index], floor)
        floor += gap
    ceiling = high
    for index in reversed(order):
        placed[index] = ceiling = min(placed[index], ceiling)
        ceiling -= gap
    return placed


def ticks(top: float, *, about: int = 4) -> list[float]:
    """Round numbers from 0 to at least `top`, in steps of 1, 2, 2.5 or 5 times a power of ten."""
    if top <= 0:
        return [0.0, 1.0]
    size = 10.0 ** _floor_log10(top / about)
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor * about >= top * 0.999)
    count = next(n for n in range(1, about + 2) if n * step >= top * 0.999)
    return [step * index for index in range(count + 1)]


def _top(block: Sequence[int], wanted: Sequence[float], gap: float) -> float:
    """Where the first label of a block goes so that the block lies around the mean of what it wants."""
    return sum(wanted[index] for index in block) / len(block) - gap * (len(block) - 1) / 2


def _floor_log10(value: float) -> int:
    exponent = 0
    while 10.0**exponent > value:
        exponent -= 1
    while 10.0 ** (exponent + 1) <= value:
        exponent += 1
    return exponent


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _value(value: object) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else clean(value)

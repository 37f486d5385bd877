"""Curators by name, and running several in a row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from homeschool.core.discover import Listing, implementations, load
from homeschool.core.errors import UsageError
from homeschool.core.protocols import Curator
from homeschool.core.records import Dropped, Row

_PACKAGE = "homeschool.curate"


def load_curators(names: str) -> list[Curator]:
    """The curators that `exact_dedup,problem_cap` names, in that order.

    Raises UsageError, naming the nearest, for an unknown one.
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if not wanted:
        raise UsageError(f"no curator is named in {names!r}", hint="write `--with exact_dedup,problem_cap`")
    return [load(_PACKAGE, name, "curator", kind="curator")() for name in wanted]


def list_curators() -> list[Listing]:
    """Name, summary and paper of every curator that can be named."""
    return implementations(_PACKAGE, "curator")


def run_curators(rows: Iterable[Row], curators: Sequence[Curator]) -> tuple[list[Row], list[Dropped]]:
    """What the last curator let through, and everything dropped on the way, in the order in which it left.

    Rows stream through the whole chain one at a time; every row comes out once, in one list or the other.
    """
    dropped: list[Dropped] = []
    stream: Iterable[Row] = rows
    for curator in curators:
        stream = _kept(curator(stream), dropped)
    return list(stream), dropped


def _kept(stream: Iterable[Row | Dropped], dropped: list[Dropped]) -> Iterator[Row]:
    for item in stream:
        if isinstance(item, Dropped):
            dropped.append(item)
        else:
            yield item

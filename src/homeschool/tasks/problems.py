"""A person's own problems: a JSONL or Parquet file with a column `prompt` and what its verifier needs.

    {"prompt": "What is 6 x 7?", "answer": "42"}

Further columns are kept; `level` (a whole number) makes a ladder, `group` the headings of an exam. Other names are
given by `columns: {prompt: question}`; a file with `question` and `answer` (GSM8K's) is understood without. Of an
answer that holds `####`, what follows is the answer, and the whole text is kept as column `solution`.

A row may bring its own way of being asked: `max_tokens`; `raw_prompt`, the text that is put to a model without a chat
template in place of the template; and `stop`, the texts that end that model's answer.

Without an exam file a fifth of the problems is held out as the exam and a tenth for the gates, chosen by a hash of the
prompt alone: the same for every seed, machine and order of the file, and equal prompts fall on one side. Refused is
whatever would make the numbers lie: exam problems that are trained on, ids given twice, rows without an answer.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from homeschool.core.errors import UsageError, nearest
from homeschool.core.identity import digest, seed_of
from homeschool.core.records import PROVENANCE, Row
from homeschool.core.task import Task
from homeschool.engine.rows import read_table
from homeschool.verify.load import load_verifier

TEMPLATE = "Question: {prompt}\nAnswer:"
EXAM_SHARE, EXAM_LEAST, EXAM_MOST = 0.2, 20, 500
DEV_SHARE, DEV_MOST = 0.1, 200
GSM8K = {"prompt": "question", "answer": "answer"}
Reader = Callable[[Path], list[dict[str, Any]]]
"""The records of a file under our column names. One that knows how its authors split the set says so in a column
`split`: `train`, `dev`, `exam` or `prompt` (examples that stand in prompts, and are neither learnt nor asked)."""


def from_file(
    problems: Path,
    *,
    verify: str | None = None,
    exam: Path | None = None,
    recall: Path | None = None,
    columns: Mapping[str, str] | None = None,
    template: str | None = None,
    exam_size: int | None = None,
    read: Reader | None = None,
) -> Task:
    """The task of a problem file.

    `verify` is a verifier's name or `file.py:function`; without it the columns call for one. `exam` and `recall` (the
    forgetting set) are files of the same kind. `exam_size` problems are held out if there is no `exam`. `read` reads
    files of another form than ours. Raises UsageError for a file that cannot be used as it is, naming column and row.
    """
    table, verify = _checked(problems, columns=columns, verify=verify, read=read)
    template = _template(template)
    verifier = load_verifier(verify)
    sets = {
        name: _checked(path, columns=columns, verify=verify, read=read)[0]
        for name, path in (("exam", exam), ("recall", recall))
        if path
    }
    rows = table.rows()
    for name, held_out in sets.items():
        _refuse_overlap(rows, held_out, name=name, problems=problems)
    parts = _as_published(rows, with_exam=exam is None) if read and exam_size is None else None
    training, dev, drawn_exam = parts or _split(rows, problems, with_exam=exam is None, exam_size=exam_size)
    levels = tuple(sorted({row["level"] for row in training if "level" in row}))
    return Task(
        name=problems.name.partition(".")[0],
        verifier=verifier,
        draw=_Draw(tuple(training), levels),
        exam=tuple(sets["exam"].rows() if exam else drawn_exam),
        dev=tuple(dev),
        recall=tuple(sets["recall"].rows() if recall else ()),
        levels=levels,
        template=template,
    )


def whole_file(
    problems: Path,
    *,
    verify: str | None = None,
    columns: Mapping[str, str] | None = None,
    template: str | None = None,
    read: Reader | None = None,
) -> Task:
    """The task of a problem file of which nothing is learnt: all of it is the exam, in its order.

    If its authors set problems apart for tests, and these are in the file, they are. Raises UsageError as `from_file`.
    """
    table, verify = _checked(problems, columns=columns, verify=verify, read=read)
    rows = table.rows()
    tests = [row for row in rows if row.get("split") == "exam"] if read else []
    return Task(
        name=problems.name.partition(".")[0],
        verifier=load_verifier(verify),
        draw=_Draw((), ()),
        exam=tuple(tests or rows),
        template=_template(template),
    )


def _checked(
    path: Path, *, columns: Mapping[str, str] | None, verify: str | None, read: Reader | None
) -> tuple[_Table, str]:
    """The table in a file, every row of it fit to be asked and judged, and the name of who judges."""
    table = _Table(path, read(path)) if read else _Table.read(path, columns or {})
    verify = verify or table.verifier()
    table.check(verify)
    return table, verify


def _template(template: str | None) -> str:
    template = TEMPLATE if template is None else template
    if "{prompt}" not in template:
        raise UsageError(f"the template {template!r} has no {{prompt}} in it", hint="write e.g. 'Q: {prompt}\\nA:'")
    return template


@dataclass(frozen=True, slots=True)
class _Draw:
    """`draw(level, n, seed)`: the training problems of a level in an order shuffled by `seed`, over and over.

    Nothing comes twice within a pass; a problem's copy in a later pass has an id of its own, so its samples differ. Two
    seeds give independent orders, so a problem may come again in the next round.
    """

    training: tuple[Row, ...]
    levels: tuple[int, ...]

    def __call__(self, level: int | None, n: int, seed: int) -> list[Row]:
        if level is not None and level not in self.levels:
            known = ", ".join(map(str, self.levels)) or "none"
            raise UsageError(f"no training problem has level {level}", hint=f"levels in the file: {known}")
        pool = [row for row in self.training if level is None or row.get("level") == level]
        drawn: list[Row] = []
        for turn in range(-(-n // len(pool)) if pool else 0):
            order = list(pool)
            random.Random(seed_of("draw", seed, level, turn)).shuffle(order)
            drawn += order if turn == 0 else [_copy(row, turn) for row in order]
        return drawn[:n]


@dataclass(frozen=True, slots=True)
class _Table:
    """The records of one file under our column names."""

    path: Path
    records: list[dict[str, Any]]

    @staticmethod
    def read(path: Path, columns: Mapping[str, str]) -> _Table:
        records = read_table(path)
        first = records[0]
        if not columns and "prompt" not in first and set(GSM8K.values()) <= set(first):
            columns = GSM8K
        return _Table(path, [_renamed(path, row, record, columns) for row, record in enumerate(records, start=1)])

    def verifier(self) -> str:
        """The verifier that the columns call for."""
        return "tests" if all("answer" not in record and "tests" in record for record in self.records) else "math"

    def check(self, verify: str) -> None:
        """Raise UsageError for the first row that cannot be asked or judged, and for an id that is there twice."""
        ids: dict[Any, int] = {}
        ladder = "level" in self.records[0]
        for row, record in enumerate(self.records, start=1):
            _check_prompt(self.path, row, record)
            _check_asking(self.path, row, record)
            if verify in ("math", "exact"):
                _check_answer(self.path, row, record)
            if ladder or "level" in record:
                _check_level(self.path, row, record)
            if record.get("id") is None:
                continue
            name = str(record["id"])
            if name in ids:
                raise UsageError(
                    f"{self.path} has the id {name!r} twice, in rows {ids[name]} and {row}",
                    hint="give every problem an id of its own, or leave the column out",
                )
            ids[name] = row

    def rows(self) -> list[Row]:
        """The problems. A problem that is there again, word for word, counts its occurrence and so has its own id."""
        seen: Counter[str] = Counter()
        rows: list[Row] = []
        for record in self.records:
            name = digest(record)
            rows.append(Row.source(record, occurrence=seen[name]))
            seen[name] += 1
        return rows


def _renamed(path: Path, row: int, record: Mapping[str, Any], columns: Mapping[str, str]) -> dict[str, Any]:
    """`record` under our column names, its answer taken out of a GSM8K solution."""
    for ours, theirs in columns.items():
        if theirs not in record:
            raise _missing(path, row, theirs, record, f"columns: {{{ours}: ...}}")
    taken = {ours: record[theirs] for ours, theirs in columns.items()}
    hidden = {*columns.values(), PROVENANCE}
    renamed = {**{name: value for name, value in record.items() if name not in hidden}, **taken}
    answer = renamed.get("answer")
    if isinstance(answer, str) and "####" in answer:
        renamed.setdefault("solution", answer)
        renamed["answer"] = answer.rpartition("####")[2].strip()
    level = renamed.get("level")
    if isinstance(level, float) and level.is_integer():
        renamed["level"] = int(level)  # Parquet's integers with a gap are floats
    return renamed


def _missing(path: Path, row: int, column: str, record: Mapping[str, Any], where: str) -> UsageError:
    has = ", ".join(name for name in record if name != PROVENANCE) or "no columns"
    from homeschool.tasks.published import fitting  # which reads files by what stands in this one

    hint = f"{nearest(column, record)}; a column of another name is given by `{where}`"
    formats = fitting(record)
    hint = f"it looks like {formats[0]}'s format: write {formats[0]}={path}" if formats else hint
    return UsageError(f"row {row} of {path} has no column {column!r} but {has}", hint=hint)


def _check_prompt(path: Path, row: int, record: Mapping[str, Any]) -> None:
    if "prompt" not in record:
        raise _missing(path, row, "prompt", record, "columns: {prompt: ...}")
    prompt = record["prompt"]
    if not isinstance(prompt, str) or not prompt.strip():
        shown = "empty" if isinstance(prompt, str) else f"{prompt!r:.60}"
        raise UsageError(f"the prompt in row {row} of {path} is {shown}, not text", hint="write the problem as text")


def _check_asking(path: Path, row: int, record: Mapping[str, Any]) -> None:
    """The columns that say how a model without a chat template is asked."""
    raw, stop = record.get("raw_prompt"), record.get("stop")
    if raw is not None and not isinstance(raw, str):
        raise UsageError(
            f"`raw_prompt` in row {row} of {path} is {raw!r:.60}, not text", hint="rename or leave out the column"
        )
    ends = list(cast("Sequence[Any]", stop)) if isinstance(stop, (list, tuple)) else [stop]
    if stop is not None and not all(isinstance(end, str) and end for end in ends):
        raise UsageError(f"`stop` in row {row} of {path} is {stop!r:.60}, not texts", hint="write a list of texts")


def _check_answer(path: Path, row: int, record: Mapping[str, Any]) -> None:
    if "answer" not in record:
        raise _missing(path, row, "answer", record, "columns: {answer: ...}")
    answer = record["answer"]
    accepted = cast("Sequence[Any]", answer) if isinstance(answer, (list, tuple)) and answer else [answer]
    for one in accepted:
        text = isinstance(one, str) and bool(one.strip())
        if not text and (isinstance(one, bool) or not isinstance(one, (int, float))):
            raise UsageError(
                f"the answer in row {row} of {path} is {answer!r:.60}, not text or a number",
                hint="write the answer as text or a number, or a list of accepted ones",
            )


def _check_level(path: Path, row: int, record: Mapping[str, Any]) -> None:
    level = record.get("level")
    if isinstance(level, bool) or not isinstance(level, int):
        raise UsageError(
            f"the level in row {row} of {path} is {level!r:.60}, not a whole number",
            hint="give every row a whole number as `level`, or leave the column out",
        )


def _key(row: Row) -> str:
    """Equal for prompts that differ in white space only."""
    return " ".join(row["prompt"].split())


def _copy(row: Row, turn: int) -> Row:
    return Row.source(row.columns, occurrence=int(digest("turn", row.id, turn)[:12], 16))


def _refuse_overlap(rows: Sequence[Row], held_out: _Table, *, name: str, problems: Path) -> None:
    shared = {_key(row) for row in rows} & {_key(row) for row in held_out.rows()}
    if shared:
        raise UsageError(
            f"{len(shared)} of the problems in {held_out.path} are also in {problems}, e.g. {min(shared)!r:.60}",
            hint=f"take them out of {problems.name}: what is trained on cannot be the {name}",
        )


def _as_published(rows: Sequence[Row], *, with_exam: bool) -> tuple[list[Row], list[Row], list[Row]] | None:
    """(training, dev, exam) as the authors split them; None where what is needed of it is not in the file."""
    training, dev, exam = ([row for row in rows if row.get("split") == name] for name in ("train", "dev", "exam"))
    return (training, dev, exam) if training and (exam or not with_exam) else None


def _split(
    rows: Sequence[Row], path: Path, *, with_exam: bool, exam_size: int | None
) -> tuple[list[Row], list[Row], list[Row]]:
    """(training, dev, exam): prompts sorted by a hash of their text; the first are the exam, the next dev."""
    keys = sorted({_key(row) for row in rows}, key=lambda key: digest("split", key))
    wanted = exam_size if exam_size is not None else min(EXAM_MOST, max(EXAM_LEAST, int(EXAM_SHARE * len(keys))))
    exam = wanted if with_exam else 0
    dev = min(DEV_MOST, int(DEV_SHARE * len(keys)))
    if exam + dev >= len(keys):
        raise UsageError(
            f"{path} has {len(keys)} different problems, too few to hold out {exam} for an exam",
            hint="add problems, or name a file of held-out ones: task.exam=FILE",
        )
    place = {key: index for index, key in enumerate(keys)}
    parts: tuple[list[Row], list[Row], list[Row]] = ([], [], [])
    for row in rows:
        index = place[_key(row)]
        parts[2 if index < exam else 1 if index < exam + dev else 0].append(row)
    return parts

"""A person's own verifier: `checks.py:judge` names a function `judge(answer, row)` in a file.

The function gets the answer's text and the row's columns (a copy) and says True, False or a Verdict; it may be async.
Anything else it returns, and anything it raises, is `Broken`: its fault, not the answer's, so the run counts it and
stops past a threshold instead of learning from it. The file runs in this process, with all that this process may do:
do not let it execute model-written code. A function that never returns holds up the run.

The verifier's name holds the file's digest, so an edited file is another verifier.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from homeschool.core.errors import UsageError
from homeschool.core.identity import file_digest
from homeschool.core.own import UserCodeError, function_in, users_code
from homeschool.core.protocols import Context
from homeschool.core.records import Row
from homeschool.core.verdict import Abstain, Broken, Fail, Pass, Verdict
from homeschool.verify.answers import shown


@dataclass(frozen=True, slots=True)
class UserVerifier:
    name: str
    function: Callable[[str, dict[str, Any]], Any]

    async def __call__(self, row: Row, answers: Sequence[str], ctx: Context | None = None) -> list[Verdict]:
        return [await self._judge(row, answer) for answer in answers]

    async def _judge(self, row: Row, answer: str) -> Verdict:
        try:
            with users_code():
                said = self.function(answer, dict(row.columns))
                if inspect.isawaitable(said):
                    said = await cast("Awaitable[Any]", said)
        except UserCodeError as error:
            kind = type(error.__cause__).__name__
            return Broken(reason=f"raised {kind}", evidence=shown(error.message), verifier=self.name)
        if isinstance(said, (Pass, Fail, Abstain, Broken)):
            return type(said)(said.scores, said.reason, said.evidence, said.verifier or self.name)
        if said is True:
            return Pass({"correct": 1.0}, verifier=self.name)
        if said is False:
            return Fail({"correct": 0.0}, "wrong answer", verifier=self.name)
        evidence = f"returned {type(said).__name__}, not True, False or a Verdict"
        return Broken(reason="wrong type", evidence=evidence, verifier=self.name)


def load_user(spec: str) -> UserVerifier:
    """The verifier `file.py:function`.

    Raises UsageError: no such file, a file that cannot be imported, no such function in it (naming the nearest), one
    that is not callable or does not take an answer and a row.
    """
    function, path = function_in(spec, kind="verifier", sketch="def judge(answer, row):")
    name = f"{path.name}:{spec.rpartition(':')[2]}"
    _check_signature(function, name)
    return UserVerifier(f"{name}@{file_digest(path)[:12]}", function)


def _check_signature(function: Callable[..., Any], name: str) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some builtins have none: calling will tell
        return
    try:
        signature.bind("answer", {})
    except TypeError:
        raise UsageError(
            f"{name}{signature} cannot be called with an answer and a row", hint="write `def judge(answer, row):`"
        ) from None

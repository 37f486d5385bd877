"""Where YAML becomes dictionaries: config files, and `key=value` on the command line.

Refused, each with one sentence: a file that is not there or not text, YAML that does not parse (with its line), a
key that stands twice in one mapping (YAML would silently keep the last), a top level that is not a mapping, and an
override without `=`. What the keys mean is not known here: `homeschool.core.config.build` checks them.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

from homeschool.core.config import override
from homeschool.core.errors import UsageError


def load_config(path: Path, overrides: Iterable[str] = ()) -> dict[str, Any]:
    """The mapping in a YAML file, with `a.b=value` overrides applied in order."""
    return apply(_read(path), overrides)


def apply(values: Mapping[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """`values` with each `a.b=value` set; the value is YAML, so `2`, `true` and `[1, 2]` mean what they say."""
    merged = dict(values)
    for text in overrides:
        dotted, equals, value = text.partition("=")
        if not equals or not all(dotted.split(".")):
            raise UsageError(f"{text!r} is not key=value", hint="write for example `rounds=5` or `budget.hours=2`")
        merged = override(merged, dotted, _parse(value, f"the value of {dotted}"))
    return merged


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"no such file: {path}", hint="give the path of a YAML config") from None
    except IsADirectoryError:
        raise UsageError(f"{path} is a folder", hint="give the path of a YAML config") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text (byte {error.start})", hint="give a YAML config") from None
    values = _parse(text, str(path))
    if not isinstance(values, dict):
        kind = "is empty" if values is None else f"holds {values!r:.40}, not a mapping"
        raise UsageError(f"{path} {kind}", hint="write `key: value` lines, as in `rounds: 3`")
    return values


def _parse(text: str, where: str) -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """SafeLoader that refuses a key given twice."""

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
            seen: set[Hashable] = set()
            for key_node, _ in node.value:
                if key_node.tag == "tag:yaml.org,2002:merge":  # `<<: *anchor` may stand more than once
                    continue
                key = self.construct_object(key_node, deep=True)  # pyright: ignore[reportUnknownMemberType]
                if isinstance(key, Hashable) and key in seen:
                    line = key_node.start_mark.line + 1
                    raise UsageError(f"{where} has the key {key!r} twice (line {line})", hint="keep one of them")
                if isinstance(key, Hashable):
                    seen.add(key)
            return super().construct_mapping(node, deep)

    try:
        return yaml.load(text, Loader=Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise UsageError(f"{where} is not YAML{line} ({problem})", hint="mend that line") from None

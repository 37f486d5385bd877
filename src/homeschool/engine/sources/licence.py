"""Which licence a text is under, as an SPDX id or expression, and never a guess.

Three things tell: a declared name that SPDX knows (a card's `license: apache-2.0`, a package's `License-Expression`),
an `SPDX-License-Identifier` line at the top of a file, and a licence file whose words are those of one of the usual
licences and no more: a file that holds several, or a licence with an added clause, is unknown. Two answers that differ
are none. The text of a GNU licence does not say whether later versions are allowed: it counts as `-only`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

NAMES = re.compile(
    r"(licen[cs]e|copying|unlicen[cs]e)(-[\w-]+(\.\d)?|\.(mit|apache|bsd|l?gpl|lesser|mpl)[\w-]*)?(\.(txt|md|markdown|rst))?",
    re.IGNORECASE,
)
"""The whole name of a licence file."""
_HEADER = re.compile(r"SPDX-License-Identifier:[ \t]*([^\r\n]{1,200})")
_OWNER = re.compile(r"^\W*(?:copyright\s+(?:\(c\)|©|&copy;|\d{4}|by\b)|\(c\)|©).*$", re.MULTILINE)
_HEAD = 4096
_LONGEST_TEXT = 2**18


class _Text(NamedTuple):
    name: str
    words: tuple[int, int]
    """Fewest and most words without the lines that name owners: a licence with more to it is another licence."""
    phrases: tuple[str, ...]


_GRANT = "permission is hereby granted free of charge to any person obtaining a copy of this software and associated"
_BSD = (
    "redistributions of source code must retain the above copyright",
    "redistributions in binary form must reproduce the above copyright",
)
_TEXTS = (
    _Text(
        "MIT",
        (150, 180),
        (_GRANT, "the above copyright notice and this permission notice", "shall be included", "provided as is"),
    ),
    _Text("BSD-2-Clause", (175, 210), (*_BSD, "is provided by")),
    _Text("BSD-3-Clause", (205, 245), (*_BSD, "is provided by", "be used to endorse or promote products")),
    _Text(
        "ISC",
        (100, 130),
        (
            "permission to use copy modify and",
            "distribute this software for any purpose with or without fee is hereby granted provided that",
            "appear in all copies",
            "disclaims all warranties",
        ),
    ),
    _Text("Apache-2.0", (1350, 1625), ("apache license version 2.0 january 2004", "9. accepting warranty")),
    _Text("GPL-2.0-only", (2300, 3200), ("gnu general public license version 2 june 1991", "no warranty")),
    _Text("GPL-3.0-only", (4800, 6000), ("gnu general public license version 3 29 june 2007", "17. interpretation")),
    _Text("LGPL-2.1-only", (3700, 4700), ("gnu lesser general public license version 2.1 february 1999",)),
    _Text("LGPL-3.0-only", (1000, 1500), ("gnu lesser general public license version 3 29 june 2007",)),
    _Text("AGPL-3.0-only", (4800, 6000), ("gnu affero general public license version 3 19 november 2007", "17. inter")),
    _Text("MPL-2.0", (2200, 2800), ("mozilla public license version 2.0", "10.4. distributing source code form")),
    _Text("CC0-1.0", (850, 1300), ("cc0 1.0 universal", "waiver", "public license fallback")),
    _Text("CC-BY-4.0", (2000, 3300), ("creative commons attribution 4.0 international public license", "section 8")),
    _Text(
        "CC-BY-SA-4.0",
        (2100, 3500),
        ("creative commons attribution sharealike 4.0 international public license", "section 8"),
    ),
    _Text(
        "Unlicense",
        (165, 215),
        ("this is free and unencumbered software released into the public domain", "provided as is"),
    ),
)
_OTHERS = (  # near relatives of the licences above, with other terms
    "used for good not evil",
    "except as contained in this notice the name",
    "all advertising materials mentioning features",
    "licensed under the terms of both",
    "commons clause",
    "no express or implied licenses to any party s patent rights",
)


_SPOKEN = {  # a name as people write it, without "the", "license" and "version"
    "apache 2.0": "Apache-2.0",
    "bsd 2 clause": "BSD-2-Clause",
    "bsd 3 clause": "BSD-3-Clause",
    "gnu general public v2 gplv2": "GPL-2.0-only",
    "gnu general public v2 or later gplv2": "GPL-2.0-or-later",
    "gnu general public v3 gplv3": "GPL-3.0-only",
    "gnu general public v3 or later gplv3": "GPL-3.0-or-later",
    "isc": "ISC",
    "isc iscl": "ISC",
    "mit": "MIT",
    "mozilla public 2.0 mpl 2.0": "MPL-2.0",
    "unlicense unlicense": "Unlicense",
}


def declared(value: Any) -> str:
    """`value` as a canonical SPDX expression, or "" if SPDX does not know it (or it is no text)."""
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    if isinstance(value, (list, tuple)) and len(value) == 1:
        value = value[0]
    if not isinstance(value, str) or not 0 < len(value) <= 200:
        return ""
    plain = re.sub(r"[^a-z0-9.]+", " ", value.lower())
    spoken = " ".join(word for word in plain.split() if word not in ("the", "license", "licence", "version"))
    try:
        name = str(canonicalize_license_expression(_SPOKEN.get(spoken, value.strip())))
    except InvalidLicenseExpression:
        return ""
    # SPDX's own reading of the ids that it has retired.
    name = re.sub(r"\b([AL]?GPL-\d\.\d)\+", r"\1-or-later", name)
    return re.sub(r"\b([AL]?GPL-\d\.\d)(?![\w.-])", r"\1-only", name)


def in_header(text: str) -> str:
    """What the `SPDX-License-Identifier` lines at the top of a file say, or ""."""
    head = text[:_HEAD]
    if "SPDX-License-Identifier" not in head:
        return ""
    return agreed(declared(found.rstrip(" \t*/#->;.")) for found in _HEADER.findall(head))


def of_text(text: str) -> str:
    """Which licence the text of a licence file is, or ""."""
    if len(text) > _LONGEST_TEXT:
        return ""
    plain = re.sub(r"[^a-z0-9.]+", " ", _OWNER.sub("", text.lower()))
    count = len(plain.split())
    if any(phrase in plain for phrase in _OTHERS):
        return ""
    found = [known for known in _TEXTS if all(phrase in plain for phrase in known.phrases)]
    if [known.name for known in found] == ["BSD-2-Clause", "BSD-3-Clause"]:  # the longer one contains the shorter
        found = found[1:]
    if len(found) != 1 or not found[0].words[0] <= count <= found[0].words[1]:
        return ""
    return found[0].name


def agreed(names: Iterable[str]) -> str:
    """The one name of all, or "" where there is none or they differ."""
    names = set(names)
    return names.pop() if len(names) == 1 else ""

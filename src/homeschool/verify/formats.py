"""The formats of JSON Schema that `schema` checks, with the standard library alone.

A format that nobody checks is a promise that nobody keeps, so there is no silent pass: one that is neither here nor
among `ANNOTATIONS` (which only say how to store or show a value) is an error of the schema. Checks follow the RFC that
draft 2020-12 names, in its ASCII form.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import re
from collections.abc import Callable
from urllib.parse import urlsplit

from homeschool.verify.patterns import compiled

ANNOTATIONS = frozenset(
    {"int32", "int64", "float", "double", "password", "binary", "path", "file-path", "directory-path"}
)

_TIME = r"(?P<hour>[01]\d|2[0-3]):[0-5]\d:(?P<second>[0-5]\d|60)(\.\d{1,12})?(?P<zone>[zZ]|[+-]([01]\d|2[0-3]):[0-5]\d)"
_DATE = r"\d{4}-\d{2}-\d{2}"
_DURATION = re.compile(r"P(?:\d+W|(?=.)(?:\d+Y)?(?:\d+M)?(?:\d+D)?(?:T(?=\d)(?:\d+H)?(?:\d+M)?(?:\d+S)?)?)", re.ASCII)
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_LOCAL = re.compile(r"(?=.{1,64}\Z)[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_URI_TEXT = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:.+", re.DOTALL)
_POINTER = re.compile(r"(?:/(?:[^~/]|~[01])*)*")


def _date(text: str) -> bool:
    if not re.fullmatch(_DATE, text, re.ASCII):
        return False
    with contextlib.suppress(ValueError):
        return bool(datetime.date.fromisoformat(text))
    return False


def _time(text: str) -> bool:
    match = re.fullmatch(_TIME, text, re.ASCII)
    # A leap second is one minute to midnight, in UTC; with an offset the hour differs.
    return match is not None and (match["second"] != "60" or ":59:60" in text)


def _date_time(text: str) -> bool:
    return len(text) > 11 and text[10] in "Tt" and _date(text[:10]) and _time(text[11:])


def _email(text: str) -> bool:
    local, _, host = text.rpartition("@")
    return bool(_LOCAL.fullmatch(local) and _HOST.fullmatch(host))


def _address(kind: type[ipaddress.IPv4Address] | type[ipaddress.IPv6Address]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        with contextlib.suppress(ValueError):
            return bool(text.isascii() and "%" not in text and kind(text) is not None)
        return False

    return check


def _uri_reference(text: str) -> bool:
    if not _URI_TEXT.fullmatch(text):
        return False
    with contextlib.suppress(ValueError):
        # Reading the port raises ValueError for one that is no number.
        parts = urlsplit(text)
        return parts.port is None or parts.port >= 0
    return False


def _uri(text: str) -> bool:
    return bool(_SCHEME.fullmatch(text)) and _uri_reference(text)


def _regex(text: str) -> bool:
    with contextlib.suppress(ValueError):
        return compiled(text) is not None
    return False


FORMATS: dict[str, Callable[[str], bool]] = {
    "date": _date,
    "time": _time,
    "date-time": _date_time,
    "duration": lambda text: bool(_DURATION.fullmatch(text)),
    "email": _email,
    "hostname": lambda text: bool(_HOST.fullmatch(text)),
    "ipv4": _address(ipaddress.IPv4Address),
    "ipv6": _address(ipaddress.IPv6Address),
    "uri": _uri,
    "uri-reference": _uri_reference,
    "uuid": lambda text: bool(_UUID.fullmatch(text)),
    "json-pointer": lambda text: bool(_POINTER.fullmatch(text)),
    "regex": _regex,
}

"""IP addresses of both versions, and what looks like one: versions, sections, times."""

import ipaddress
import re
from collections.abc import Iterator
from typing import Final

from ostiary_core.content.detection.detector import Detector, Span
from ostiary_core.content.detection.surroundings import before, is_continuation

_V4: Final = r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}"
_V6: Final = r"(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]|[0-9A-Fa-f]::[0-9A-Fa-f]?|::1\b|::(?i:ffff):"
_WHOLE_V6: Final = re.compile(rb"[0-9A-Fa-f:]*::?[0-9A-Fa-f:.]*")
_BEGINNING: Final = re.compile(rb"[0-9A-Fa-f:]*")
_EXPRESSION: Final = f"{_V4}|{_V6}"
#: The longest spelling, with an address of version 4 in one of version 6.
_LONGEST: Final = 45
#: What four numbers are if one of these stands before them.
_NOT_ADDRESS: Final = re.compile(
    rb"(?i:version|release|build|section|chapter|figure|table|oid|revision|upgrade(?:d)? to|\bv|\xc2\xa7)"
    rb"[\"']?[\s:=.]*[\"']?\Z|[A-Z][A-Za-z]+/\Z"
)
#: An address of version 6 in fewer groups is more likely `a::b` of a programming language.
_FEWEST_GROUPS: Final = 3
#: How addresses in use begin: global ones, private ones, those of a link, of multicast and of version 4.
_KNOWN: Final = (b"20", b"24", b"26", b"28", b"2a", b"2c", b"fc", b"fd", b"fe", b"ff", b"64")


def _verified(text: bytes, start: int, end: int) -> Iterator[Span]:
    if b":" in text[start:end]:
        yield from _version_6(text, start)
    elif not is_continuation(text, start) and _is_version_4(text, start, end):
        yield start, end


def _is_version_4(text: bytes, start: int, end: int) -> bool:
    following = text[end : end + 2]
    if following[:1].isalnum() or (following[:1] in (b".", b"-", b"_") and following[1:].isalnum()):
        return False
    return _is_address(text[start:end]) and _NOT_ADDRESS.search(before(text, start, most=24)) is None


def _version_6(text: bytes, start: int) -> Iterator[Span]:
    beginning = _BEGINNING.match(text[max(0, start - _LONGEST) : start][::-1])  # backwards, in one pass
    start -= beginning.end() if beginning is not None else 0
    whole = _WHOLE_V6.match(text, start, start + _LONGEST + 2)
    if whole is None:
        return
    candidate = whole[0].rstrip(b".")
    if candidate.endswith(b":") and not candidate.endswith(b"::"):
        candidate = candidate[:-1]
    end = start + len(candidate)
    if len(candidate) > _LONGEST or is_continuation(text, start) or text[end : end + 1].isalnum():
        return
    groups = [group for group in candidate.split(b":") if group]
    is_known = candidate == b"::1" or (len(groups) > 1 and groups[0][:2].lower() in _KNOWN)
    if (len(groups) >= _FEWEST_GROUPS or is_known) and _is_address(candidate):
        yield start, end


def _is_address(candidate: bytes) -> bool:
    try:
        ipaddress.ip_address(candidate.decode())
    except ValueError:
        return False
    return True


IP_ADDRESS: Final = Detector("IPAddress", _EXPRESSION, _verified, str.lower, near=("version", "release", "build"))

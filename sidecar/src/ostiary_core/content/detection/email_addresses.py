"""E-mail addresses, in any script, of domains that could exist (RFC 5321, RFC 6531)."""

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from ostiary_core.content.detection.detector import Detector, Span

_EXPRESSION: Final = r"@[A-Za-z0-9\x{80}-\x{10ffff}\-]+\.[A-Za-z0-9\x{80}-\x{10ffff}]"
_LOCAL: Final = re.compile(rb"[A-Za-z0-9._%+'\x80-\xff-]*")
_DOMAIN: Final = re.compile(rb"[A-Za-z0-9\x80-\xff-]+(?:\.[A-Za-z0-9\x80-\xff-]+)+")
_USERINFO: Final = re.compile(rb"://[^\s/@:]*:[^\s/@:]*\Z")
_ASCII_BEGINNING: Final = re.compile(r"[A-Za-z]{2,}")
_LONGEST_LOCAL: Final = 64
#: The bytes before the @ that can belong to it, and one more: a longer one is none.
_BACK: Final = 4 * _LONGEST_LOCAL + 1
_LONGEST_LABEL: Final = 63
_LONGEST: Final = 320
#: Names of files with a factor of scale: `icon@2x.png`.
_FILES: Final = frozenset({"png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "ts", "tsx", "jsx", "json", "md"})
#: Categories of Unicode whose characters are in no address: separators, punctuation, symbols, controls.
_FOREIGN: Final = frozenset("ZPSC")
#: From here on scripts are written without spaces, so words may stand directly before an address.
_WITHOUT_SPACES: Final = "\u2e80"


def _verified(text: bytes, start: int, end: int) -> Iterator[Span]:
    found = _DOMAIN.match(text, start + 1, start + _LONGEST)
    if found is None:
        return
    local = _local_part(text, start)
    domain = _spelled_domain(found[0])
    if not local or len(local) > _LONGEST_LOCAL or ".." in local or not _is_domain(domain):
        return
    end = start + 1 + len(domain.encode())
    begin = start - len(local.encode())
    if not _is_remote(local, text, end) and not _is_userinfo(text, begin):
        yield begin, end


def _local_part(text: bytes, at: int) -> str:
    """Return what stands before the @ at ``at`` and belongs to the address."""
    before = _LOCAL.match(text[max(0, at - _BACK) : at][::-1])  # backwards, so that it costs one pass
    return _own_part(before[0][::-1].decode("utf-8", "ignore")) if before is not None else ""


def _spelled_domain(domain: bytes) -> str:
    """Return the domain without what follows it directly in a script that has no spaces."""
    text = _own_beginning(domain.decode("utf-8", "ignore")).rstrip("-.")
    head, _, last = text.rpartition(".")
    kept = _ASCII_BEGINNING.match(last)
    return f"{head}.{kept[0]}" if kept is not None and not last.isascii() and _is_wide(last) else text


def _own_beginning(text: str) -> str:
    """Return a text up to a quotation mark, a space or an invisible character outside ASCII."""
    return text[: next((place for place, each in enumerate(text) if _is_foreign(each)), len(text))]


def _is_foreign(each: str) -> bool:
    return not each.isascii() and unicodedata.category(each)[0] in _FOREIGN


def _is_wide(label: str) -> bool:
    return any(each >= _WITHOUT_SPACES for each in label)


def _own_part(local: str) -> str:
    """Return what belongs to the address of what stands before its @."""
    if not local.isascii():
        local = _own_beginning(local[::-1])[::-1]
    if not local.isascii() and any(map(str.isascii, local)):
        last = max((place for place, each in enumerate(local) if each >= _WITHOUT_SPACES), default=-1)
        local = local[last + 1 :]
    return local.lstrip(".'-%").rstrip(".")


def _is_domain(domain: str) -> bool:
    labels = domain.split(".")
    last = labels[-1]
    if len(labels) < 2 or len(last) < 2 or last.lower() in _FILES:
        return False
    if not (last.isalpha() or last.lower().startswith("xn--")):
        return False
    return all(0 < len(each) <= _LONGEST_LABEL and each[0] != "-" and each[-1] != "-" for each in labels)


def _is_remote(local: str, text: bytes, end: int) -> bool:
    """Return whether this is the remote of a repository, `git@github.com:owner/name`."""
    return local == "git" and text[end : end + 1] == b":"


def _is_userinfo(text: bytes, start: int) -> bool:
    """Return whether a URL ends its password here: `https://user:password@host`."""
    return _USERINFO.search(text[max(0, start - _BACK) : start]) is not None


EMAIL: Final = Detector("Email", _EXPRESSION, _verified, str.lower)

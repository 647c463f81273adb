"""Secrets without a form of their own: random text next to a word such as `token`.

Never a UUID, a digest or a cursor: those are random, too, and agents need them.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from ostiary_core.content.detection.detector import Span
from ostiary_core.content.detection.surroundings import words

#: What says that a secret follows, chosen by people or made by machines.
_CHOSEN: Final = ("password", "passwd", "passphrase", "passwort", "pwd", "contraseña", "mot de passe")
_MADE: Final = (
    "token", "secret", r"api[ _-]?key", r"access[ _-]?key", r"private[ _-]?key", r"signing[ _-]?key",
    r"encryption[ _-]?key", r"account[ _-]?key", r"auth[ _-]?key", r"client[ _-]?secret", "credentials?",
    r"session[ _-]?id", "cookie",
)  # fmt: skip
_CHOSEN_BYTES: Final = tuple(each.encode() for each in _CHOSEN)
NEAR: Final = (*_CHOSEN, *_MADE, "authorization")
#: Between the word and the value: the rest of a name, then a colon, an equals sign or the word "is". Quotes may be
#: escaped, as in JSON that is a text of other JSON.
_IS: Final = (
    r"[A-Za-z0-9_\- ]{0,16}[\\\"'`]{0,4}(?:\s{0,8}(?::=|=>|[:=])\s{0,8}|\s{1,4}(?:is|was|ist|are)\s{0,4}:?\s{1,4})"
    r"[\\\"'`]{0,4}(?:(?i:bearer|basic|token)\s{1,4})?"
)
_VALUE: Final = r"[^\s\"'`,;<>\\]"
#: The characters of the value that make a candidate.
BEGINNING: Final = 6
_SCHEME: Final = r"(?i:bearer|basic)\s{1,4}"
EXPRESSION: Final = rf"{words(NEAR)}{_IS}{_VALUE}{{{BEGINNING}}}|{_SCHEME}{_VALUE}{{{BEGINNING}}}"

_WHOLE: Final = re.compile(
    rf"(?i)(?:(?P<name>(?:{'|'.join(NEAR)}){_IS})|{_SCHEME})(?P<value>{_VALUE}{{8,256}})".encode()
)
#: Handles that agents give back, ids that are no secret, and amounts of tokens.
_HARMLESS: Final = re.compile(
    rb"(?i)cursor|continu|next|page|progress|cancel|sync|request|trace|correlation|max|limit|count|usage|used|total|budget|"
    rb"public|name|type|uri|url|endpoint|path|file|hash|digest|fingerprint|version|expir|length|policy|hint|field|"
    rb"etag|scope|audience|issuer"
)
_UUID: Final = re.compile(rb"(?i)[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\Z")
_DIGEST: Final = re.compile(
    rb"(?i)(?:sha\d+[:-])?(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{56}|[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})\Z"
)
_PLACEHOLDER: Final = re.compile(
    rb"(?i)[<{\[$%*]|x{4,}|\.{3}|your|example|placeholder|changeme|redacted|masked|process\.env|os\.environ|getenv|"
    rb"https?:|secrets?\.|\(|\)|/[a-z]+/[a-z]"
)
#: What the gateway itself writes in place of a value.
_OWN: Final = re.compile(rb"(?:tk1|hs1)[a-z2-7]{20,}\Z")
_BREAK: Final = re.compile(rb"[\n,;{}(]|\. ")
_DIGIT: Final = re.compile(rb"[0-9]")
_FEWEST_MADE: Final = 16
_FEWEST_CLASSES: Final = 2
_ENTROPY: Final = 3.0
_ENTROPY_CHOSEN: Final = 2.5
_LONGEST: Final = 256


def named(text: bytes, start: int) -> Iterator[Span]:
    """Yield the secret next to the word at ``start``, or none."""
    found = _WHOLE.match(text, start)
    if found is None:
        return
    begin = found.start("value")
    name = text[max(0, start - 24) : begin]
    value = found["value"].rstrip(b".,;:!?)]}")
    if _HARMLESS.search(_last_words(name)) is None and _is_secret(value, name[-64:].lower()):
        yield begin, begin + len(value)


def _last_words(name: bytes) -> bytes:
    """Return the name next to the value: what follows the last break of a line or object."""
    return _BREAK.split(name)[-1]


def _is_secret(value: bytes, name: bytes) -> bool:
    is_random = _is_like_chosen(value) if any(each in name for each in _CHOSEN_BYTES) else _is_like_made(value)
    return is_random and not (_UUID.match(value) or _DIGEST.match(value) or _OWN.match(value) or _is_placeholder(value))


def _is_like_chosen(value: bytes) -> bool:
    # What costs most comes last: near-matches may stand in every few bytes of a text.
    is_mixed = 8 <= len(value) <= _LONGEST and not value.isalpha() and _classes(value) >= _FEWEST_CLASSES
    return is_mixed and entropy(value) >= _ENTROPY_CHOSEN


def _is_like_made(value: bytes) -> bool:
    has_digit = _FEWEST_MADE <= len(value) <= _LONGEST and _DIGIT.search(value) is not None
    return has_digit and _classes(value) >= _FEWEST_CLASSES and entropy(value) >= _ENTROPY


def _is_placeholder(value: bytes) -> bool:
    """Return whether a value only stands for a secret."""
    if value[:1].isalnum():
        return _PLACEHOLDER.match(value) is not None
    return _PLACEHOLDER.search(value) is not None


def _classes(value: bytes) -> int:
    """Return how many kinds of characters there are: lower case, upper case, digits, others."""
    return (
        (value != value.upper()) + (value != value.lower()) + (_DIGIT.search(value) is not None) + (not value.isalnum())
    )


def entropy(value: bytes) -> float:
    """Return the Shannon entropy of the bytes, in bits each."""
    size = len(value)
    return -sum(count / size * math.log2(count / size) for count in Counter(value).values())

"""Redaction of the arguments and results in audit records and captured exchanges.

A value is replaced where its key says that it is a secret, and a part of a text where it looks like one. This is a
safety net for what people did not think of, not a proof: where no content may be kept, record digests,
or nothing.

The work is bounded by what is shown, not by what was sent: a walk ends as soon as its limit is used up. Expressions are
RE2, so no input makes them slow.
"""

import copy
from collections.abc import Iterable, Sequence
from typing import Any, Final
from unicodedata import normalize

import orjson
import re2

from ostiary_core.policy.name_matcher import re2_options

REPLACEMENT: Final = "[redacted]"
#: Parts of a key that make its value a secret. Keys are compared in lower case, without `-`, `_`, `.` and spaces.
SECRET_KEYS: Final = (
    "password",
    "passwd",
    "passphrase",
    "secret",
    "apikey",
    "accesskey",
    "privatekey",
    "signingkey",
    "encryptionkey",
    "credential",
    "authorization",
    "bearer",
    "cookie",
    "sessionid",
    "connectionstring",
)
#: A key that ends like this names a secret. `totalTokens` and `max_tokens` are numbers of tokens.
_SECRET_ENDS: Final = ("token", "pwd", "jwt")
_EXACT_KEYS: Final = frozenset({"auth", "pass", "pin", "otp", "cvv", "cvc", "sig", "signature", "sid"})
#: These end with "token" and are none: they continue a list, or name a request.
_HARMLESS: Final = frozenset({"progresstoken", "nextpagetoken", "pagetoken", "continuationtoken"})
_IGNORED: Final = str.maketrans("", "", "-_. ")
_NAMES: Final = (
    "(?:(?:password|passwd|passphrase|pwd|secret|credential|api[_-]?key|access[_-]?key|private[_-]?key|signing[_-]?key|"
    "session[_-]?id|connection[_-]?string)[a-z0-9_-]*|token|jwt)"
)
#: Behind a name. Quotes may be escaped, as in JSON that is a text of other JSON.
_IS: Final = r"\\*[\"']?\s*[=:]\s*"
_QUOTED: Final = r"\\+\"(?:[^\"\\]|\\[^\"\\]|\\{2,}\"?)*\\?\"?" + r"|\"(?s:[^\"\\]|\\.)*\"?" + r"|'(?s:[^'\\]|\\.)*'?"
_SCHEME: Final = r"(?:(?:bearer|basic|digest|negotiate)\s+)?"
#: What a secret looks like within a text. Longer forms stand before shorter ones.
SECRET_PATTERNS: Final = (
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z)",
    # A header: all of its value, which has several parts.
    rf"(?i:(?:authorization|cookie){_IS}(?:{_QUOTED}|[^\r\n]+))",
    r"(?i:\b(?:bearer|basic)\s+[A-Za-z0-9+/=_.~-]{6,})",
    r"\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,4}",
    r"\bostiary_[A-Za-z0-9_-]{8,}",
    r"\b(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}",
    r"\b(?:gh[opsur]_|github_pat_|glpat-|npm_|pypi-|hf_|xox[abeprs]-|dop_v1_|shpat_)[A-Za-z0-9_-]{8,}",
    r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}",
    r"\bAIza[A-Za-z0-9_-]{20,}",
    r"\b1\.[A-Za-z0-9_-]{40,}",
    rf"(?i:{_NAMES}{_IS}(?:{_QUOTED}|{_SCHEME}[^\s\"',;&}}]+))",
    # An option of a command line.
    rf"(?i:--[a-z0-9_-]*{_NAMES}\s+[^\s\"']+)",
    # A parameter that is a secret in a URL only.
    r"(?i:[?&](?:[a-z0-9_.-]*signature|sig|key|code|pass|auth|otp|sid)=[^\s&#\"']+)",
    r"://[^/\s\"'<>]+@",
)
#: Bytes for the automaton: with less it is built again and again, and a text of 8 KiB costs milliseconds.
_MEMORY: Final = 8 << 20
#: A text is searched this far behind the limit, so that a secret at the limit is still recognised, in characters.
_BEYOND: Final = 4096
_MOST_DEPTH: Final = 64
#: A shorter secret would be found by chance in texts, and so reveal itself.
_SHORTEST: Final = 8
_KEY_CHARACTERS: Final = 256
#: A larger integer, which only servers send, cannot be written: readers of JSON would disagree about it.
_LARGEST: Final = 2**63 - 1
_BEYOND_64_BITS: Final = "[integer beyond 64 bits]"


class Redactor:
    """Replaces secrets in JSON values.

    ``keys`` are further keys, compared as those above and as a whole; ``patterns`` are further RE2 expressions, whose
    matches are replaced. Safe to use in several threads.

    Raises:
        re2.error: a pattern is invalid.
    """

    def __init__(self, *, keys: Iterable[str] = (), patterns: Sequence[str] = ()) -> None:
        self._keys = _EXACT_KEYS | {normalised(key) for key in keys}
        joined = "|".join(f"(?:{pattern})" for pattern in (*patterns, *SECRET_PATTERNS))
        self._pattern = re2.compile(joined, re2_options(memory=_MEMORY))
        self._values: tuple[str, ...] = ()

    def without(self, values: Iterable[str]) -> "Redactor":
        """Return a redactor that also replaces known secrets, such as those of one request."""
        found = copy.copy(self)
        found._values = (*self._values, *(value for value in values if len(value) >= _SHORTEST))
        return found

    def is_secret_key(self, key: str) -> bool:
        """Return whether the value under a key is a secret by its name."""
        plain = normalised(key)
        if plain in self._keys:
            return True
        if plain in _HARMLESS:
            return False
        return plain.endswith(_SECRET_ENDS) or any(part in plain for part in SECRET_KEYS)

    def text(self, text: str, *, limit: int) -> str:
        """Return at most ``limit`` characters of a text, without what looks like a secret in it."""
        text = text[: limit + _BEYOND]
        for value in self._values:
            text = text.replace(value, REPLACEMENT)
        cleaned = self._pattern.sub(REPLACEMENT, _encodable(text))
        return str(cleaned)[:limit]

    def value(self, value: Any, *, limit: int) -> tuple[Any, bool]:
        """Return a redacted copy of a JSON value, and whether it was cut.

        The copy holds about ``limit`` characters: what would exceed them is left out.
        """
        walk = _Walk(self, limit)
        copy = walk.copy(value, 0)
        return copy, walk.is_cut

    def json(self, value: Any, *, limit: int) -> tuple[bytes, bool]:
        """Return a redacted value as JSON text of at most ``limit`` bytes, and whether it was cut.

        A text that is cut is no complete JSON document.
        """
        copy, is_cut = self.value(value, limit=limit)
        text = orjson.dumps(copy)
        if len(text) <= limit:
            return text, is_cut
        return text[:limit].decode("utf-8", "ignore").encode(), True


class Verbatim(Redactor):
    """Replaces nothing: only the limits apply."""

    def is_secret_key(self, key: str) -> bool:  # noqa: ARG002  no key is
        """Return that it is not."""
        return False

    def text(self, text: str, *, limit: int) -> str:
        """Return at most ``limit`` characters of a text."""
        return _encodable(text[:limit])


def normalised(key: str) -> str:
    """Return a key as it is compared: in lower case, without `-`, `_`, `.` and spaces.

    Of a long one the beginning and the end are compared. Letters of other scripts that look like those of ASCII, and
    invisible characters, do not hide a name.
    """
    if len(key) > 2 * _KEY_CHARACTERS:
        key = key[:_KEY_CHARACTERS] + key[-_KEY_CHARACTERS:]
    if not key.isascii():
        key = "".join(filter(str.isalnum, normalize("NFKC", key)))
    return key.lower().translate(_IGNORED)


class _Walk:
    """Copies one value until its limit of characters is used up."""

    def __init__(self, redactor: Redactor, limit: int) -> None:
        self._redactor = redactor
        self._left = limit
        self.is_cut = False

    def copy(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind is str:
            return self._text(value)
        if kind is not dict and kind is not list:
            self._left -= 8
            return value if kind is not int or -_LARGEST <= value <= _LARGEST else _BEYOND_64_BITS
        if depth >= _MOST_DEPTH:
            self.is_cut = True
            return None
        return self._object(value, depth) if kind is dict else self._list(value, depth)

    def _text(self, text: str) -> str:
        shown = self._redactor.text(text, limit=max(0, self._left))
        self._left -= len(shown) + 2
        if self._left < 0:
            self.is_cut = True
        return shown

    def _object(self, value: dict[str, Any], depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        hides_value = self._names_secret(value.get("name") or value.get("key"))
        for key, item in value.items():
            if self._left <= 0:
                self.is_cut = True
                break
            name = self._redactor.text(key, limit=_KEY_CHARACTERS)
            self._left -= len(name) + 4
            is_secret = self._redactor.is_secret_key(key) or (hides_value and key == "value")
            found[name] = self._hidden(item) if is_secret else self.copy(item, depth + 1)
        return found

    def _names_secret(self, name: object) -> bool:
        """Return whether the text next to a value names a secret, as in a list of headers."""
        return type(name) is str and self._redactor.is_secret_key(name)

    def _hidden(self, item: Any) -> Any:
        """Return what replaces the value under a secret's key.

        Booleans and null are no secrets.
        """
        if item is None or type(item) is bool:
            return item
        self._left -= len(REPLACEMENT)
        return REPLACEMENT

    def _list(self, value: list[Any], depth: int) -> list[Any]:
        found: list[Any] = []
        if len(value) == 2 and type(value[1]) is str and self._names_secret(value[0]):
            return [self.copy(value[0], depth + 1), self._hidden(value[1])]
        for item in value:
            if self._left <= 0:
                self.is_cut = True
                break
            found.append(self.copy(item, depth + 1))
        return found


def _encodable(text: str) -> str:
    """Return a text without half surrogate pairs, which no encoder accepts."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


#: The redactor without settings of its own.
DEFAULT: Final = Redactor()
VERBATIM: Final = Verbatim()

"""Secrets that their issuers made recognisable: by a prefix, a form, or a checksum."""

import base64
import binascii
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final

import orjson

from ostiary_core.content.detection.detector import Span

_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def _has_digit(secret: bytes) -> bool:
    return any(48 <= each <= 57 for each in secret)


def _crc(secret: bytes) -> bool:
    """Return whether the last six characters are the checksum of the others (GitHub, npm)."""
    body, expected = secret[secret.index(b"_") + 1 : -6], secret[-6:]
    number, found = zlib.crc32(body), ""
    while number:
        number, rest = divmod(number, 62)
        found = _BASE62[rest] + found
    return found.rjust(6, "0").encode() == expected


def _grafana(secret: bytes) -> bool:
    body, _, expected = secret.rpartition(b"_")
    return expected == b"%08x" % zlib.crc32(body)


def _jwt(secret: bytes) -> bool:
    """Return whether the first part is the header of a token (RFC 7515, RFC 7516)."""
    header = secret.partition(b".")[0]
    try:
        found: Any = orjson.loads(base64.urlsafe_b64decode(header + b"=" * (-len(header) % 4)))
    except (binascii.Error, ValueError):
        return False
    return isinstance(found, dict) and "alg" in found


#: What begins a secret or is its form, and what verifies a candidate further.
_FORMS: Final[tuple[tuple[str, Callable[[bytes], bool] | None], ...]] = (
    (r"gh[oprsu]_[A-Za-z0-9]{36}", _crc),
    (r"npm_[A-Za-z0-9]{36}", _crc),
    (r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}", None),
    (r"glsa_[A-Za-z0-9]{32}_[0-9a-f]{8}", _grafana),
    (r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_.-]*", _jwt),
    (r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}", None),
    (r"AIza[A-Za-z0-9_-]{35}", None),
    (r"ya29\.[A-Za-z0-9_-]{20,}", None),
    (r"GOCSPX-[A-Za-z0-9_-]{28}", None),
    (r"1//0[A-Za-z0-9_-]{35,}", None),
    (r"xox[abeoprs]-[A-Za-z0-9-]{10,}", _has_digit),
    (r"xapp-[0-9]-[A-Za-z0-9-]{20,}", None),
    (r"hooks\.slack\.com/services/T[A-Z0-9]{6,}/B[A-Z0-9]{6,}/[A-Za-z0-9]{20,}", None),
    (r"(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,}", _has_digit),
    (r"whsec_[A-Za-z0-9+/=]{24,}", _has_digit),
    (r"sk-(?:proj|svcacct|admin|ant|or|lf)-[A-Za-z0-9_-]{20,}", _has_digit),
    (r"sk-[A-Za-z0-9]{32,}", _has_digit),
    (r"gl(?:pat|dt|rt|ft|cbt|ptt|soat|imt|agent|ffct)-[A-Za-z0-9_.-]{20,}", _has_digit),
    (r"pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,}", None),
    (r"hf_[A-Za-z]{34}", None),
    (r"do[opr]_v1_[a-f0-9]{64}", None),
    (r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}", None),
    (r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}", None),
    (r"hv[bsr]\.[A-Za-z0-9_-]{24,}", None),
    (r"AGE-SECRET-KEY-1[0-9A-Z]{58}", None),
    (r"dckr_pat_[A-Za-z0-9_-]{27}", None),
    (r"(?:lin_api|ntn|figd|sbp|pscale_tkn|pscale_pw|rubygems|xkeysib|glc|tvly|gsk)[_-][A-Za-z0-9_-]{32,}", _has_digit),
    (r"NRAK-[A-Z0-9]{27}", None),
    (r"PMAK-[A-Za-z0-9]{24}-[A-Za-z0-9]{34}", None),
    (r"sq0(?:atp|csp)-[A-Za-z0-9_-]{22,}", None),
    (r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,}", None),
    (r"[0-9]{8,10}:AA[A-Za-z0-9_-]{33}", None),
    (r"AccountKey=[A-Za-z0-9+/]{86}==", None),
    (r"LTAI[A-Za-z0-9]{12,20}", _has_digit),
    (r"ostiary_[A-Za-z0-9_-]{20,}", _has_digit),
)  # fmt: skip
_PEM: Final = r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
_USERINFO: Final = r"://[^/\s:@\"'<>]*:[^/\s@\"'<>]+@"
_LAST_COUNT: Final = re.compile(r"\{([0-9]+)(?:,[0-9]*)?\}\Z")
#: The characters of a run that make a candidate: fewer states for RE2 than with all of them.
_ENOUGH: Final = 6


def _shortened(form: str) -> str:
    """Return the expression of a form's beginning."""
    return _LAST_COUNT.sub(lambda count: f"{{{min(_ENOUGH, int(count[1]))}}}", form)


EXPRESSION: Final = "|".join((*(_shortened(form) for form, _ in _FORMS), _PEM, _USERINFO))
_EACH: Final = tuple((re.compile(form.encode()), check) for form, check in _FORMS)
_END: Final = re.compile(rb"-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----")
#: Passwords of examples: `https://user:password@host`.
_EXAMPLES: Final = re.compile(rb"(?i)(?:user(?:name)?|pass(?:word)?|pw|secret|x+|\*+|<.*|\$.*|\[.*|\{.*|%s)\Z")


def issued(text: bytes, start: int, end: int) -> Iterator[Span]:
    """Yield the secret of an issuer that begins at ``start``, or none."""
    if text.startswith(b"-----BEGIN", start):
        last = _END.search(text, end)
        yield start, last.end() if last is not None else len(text)
    elif text.startswith(b"://", start):
        yield from _password(text, start, end)
    elif not text[start - 1 : start].isalnum() or start == 0:
        yield from _of_a_form(text, start)


def _of_a_form(text: bytes, start: int) -> Iterator[Span]:
    for expression, check in _EACH:
        match = expression.match(text, start)
        if match is None or text[match.end() : match.end() + 1].isalnum():
            continue
        if check is None or check(match[0]):
            yield start, match.end()
            return


def _password(text: bytes, start: int, end: int) -> Iterator[Span]:
    """Yield the password in a URL."""
    begin = text.index(b":", start + 3, end) + 1
    if _EXAMPLES.match(text[begin : end - 1]) is None:
        yield begin, end - 1

"""The caller that a form or a URL describes.

A claim may be confidential, so forms that hold claims are sent by POST: they stand in no URL, log or history.
"""

import re
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.errors import StrictJSONError
from ostiary_operator.console.errors import BadQuery
from ostiary_operator.console.page_query import PageQuery
from ostiary_operator.local.described_caller import CallerDescription

#: Characters of a field that holds JSON.
MOST_JSON: Final = 65_536
_MOST_NAMES: Final = 2048
#: A token as it is sent: three parts of base64url. It must not be pasted, since it is a credential.
_TOKEN: Final = re.compile(r"(?i)^\s*(bearer\s+)?ey[\w-]+\.[\w-]+\.[\w-]*\s*$")
_ANONYMOUS: Final = "anonymous"
_GROUP: Final = "group:"


def caller_of(values: PageQuery) -> CallerDescription:
    """Return the caller that the fields describe.

    ``as`` is a consumer, ``group:NAME``, ``anonymous``, or claims as JSON; ``claims``, ``groups`` and ``scopes`` may
    say more. Nothing describes the anonymous caller.

    Raises:
        BadQuery: a field is not valid; the message names it, and never what it holds.
    """
    short = values.text("as", limit=MOST_JSON)
    claims = _claims(values, "claims")
    groups, scopes = _names(values, "groups"), _names(values, "scopes")
    if short.startswith("{"):
        return CallerDescription(claims=_object(short, "as"), groups=groups, scopes=scopes)
    _refuse_tokens(short, "as")
    if short.startswith(_GROUP):
        named = [short.removeprefix(_GROUP).strip(), *(groups or ())]
        return CallerDescription(claims=claims, groups=[name for name in named if name], scopes=scopes)
    consumer = values.text("consumer", limit=_MOST_NAMES) or (short if short != _ANONYMOUS else "")
    return CallerDescription(claims=claims, consumer=consumer or None, groups=groups, scopes=scopes)


def object_of(values: PageQuery, name: str) -> dict[str, Any] | None:
    """Return a field that holds a JSON object; None if it is empty.

    Raises:
        BadQuery: it is something else; the message names the field, and never what it holds.
    """
    text = values.text(name, limit=MOST_JSON)
    return _object(text, name) if text else None


def _claims(values: PageQuery, name: str) -> dict[str, Any] | None:
    _refuse_tokens(values.text(name, limit=MOST_JSON), name)
    return object_of(values, name)


def _refuse_tokens(text: str, name: str) -> None:
    if _TOKEN.match(text):
        raise BadQuery(f"{name} holds a token, which is a credential: paste its claims as JSON, never the token itself")


def _object(text: str, name: str) -> dict[str, Any]:
    try:
        value = strict_json.loads(text.encode())
    except StrictJSONError as error:
        raise BadQuery(f"{name} must be a JSON object: {error}") from None
    if not isinstance(value, dict):
        raise BadQuery(f'{name} must be a JSON object, such as {{"sub": "ada"}}')
    return value


def _names(values: PageQuery, name: str) -> list[str] | None:
    text = values.text(name, limit=_MOST_NAMES)
    return [word for word in re.split(r"[\s,]+", text) if word] if text else None

"""Narrows a tool's input schema to the arguments that a caller may pass.

The result is valid JSON Schema that the official SDKs accept, and a model that reads it knows the constraints before it
calls. It only informs: every call is judged by the constraints themselves.
"""

from collections.abc import Iterable
from typing import Any, Final

import re2

from ostiary_core.policy.arguments import ArgumentConstraint, same

#: What RE2, ECMA-262 with the flag u, and Python all read alike: anything else would make a client refuse the schema.
_PORTABLE: Final = re2.compile(
    r"(?:[A-Za-z0-9 _,:;@#%&~'\"<>=!/-]|[.^$|]|\(\?:|[()]|[*+?]\??|\{[0-9]{1,3}(?:,[0-9]{0,3})?\}"
    r"|\\[dDwWsSbtnr.^$|()\[\]{}*+?/\\]"
    r"|\[\^?(?:[A-Za-z0-9 _,:;@#%&~'\"<>=!/.$()*+?|-]|\\[dwstnr.^$|()\[\]{}*+?/\\-])+\])*"
)
_SPECIAL_GROUP: Final = re2.compile(r"\(\?[^:]")
#: Keywords of which the tighter of two implies the other.
_BOUNDS: Final[dict[str, Any]] = {"minimum": max, "maximum": min, "maxLength": min}
_MOST_LEVELS: Final = 8


def narrowed(schema: Any, constraints: Iterable[ArgumentConstraint]) -> Any:
    """Return an input schema with these constraints, unchanged if it is no object schema."""
    if not isinstance(schema, dict):
        return schema
    for constraint in constraints:
        schema = _with(schema, constraint.path[:_MOST_LEVELS], _keywords(constraint))
    return schema


def _keywords(constraint: ArgumentConstraint) -> dict[str, Any]:
    keywords = constraint.schema()
    pattern = keywords.get("pattern")
    if pattern is not None and not _is_portable(pattern):
        del keywords["pattern"]
    if constraint.pattern is not None or constraint.max_length is not None:
        keywords["type"] = "string"
    elif constraint.minimum is not None or constraint.maximum is not None:
        keywords["type"] = "number"
    return keywords


def _is_portable(pattern: str) -> bool:
    return _PORTABLE.fullmatch(pattern) is not None and _SPECIAL_GROUP.search(pattern) is None


def _with(schema: dict[str, Any], path: tuple[str, ...], keywords: dict[str, Any]) -> dict[str, Any]:
    """Return an object's schema whose member at the path is required and meets the keywords."""
    member, *below = path
    properties = schema.get("properties")
    known = properties.get(member, {}) if isinstance(properties, dict) else {}
    if below:
        is_plain = isinstance(known, dict) and "$ref" not in known and known.get("type", "object") == "object"
        start = {"type": "object", **known} if is_plain else {"type": "object"}
        inner = _with(start, tuple(below), keywords)
        merged = inner if is_plain else _both(known, inner)
    else:
        merged = _merged(known, keywords)
    required = schema.get("required")
    names = required if isinstance(required, list) else []
    return {
        **schema,
        "properties": {**(properties if isinstance(properties, dict) else {}), member: merged},
        "required": names if member in names else [*names, member],
    }


def _merged(known: Any, keywords: dict[str, Any]) -> Any:
    """Return the schema of a value that meets both; keywords join it where that is exact."""
    if not isinstance(known, dict) or "$ref" in known:
        return _both(known, keywords)
    keywords = dict(keywords)
    kind = keywords.pop("type", None)
    if kind is not None and "type" not in known:
        known = {**known, "type": kind}
    elif kind is not None and not _fits(known["type"], kind):
        return _both(known, {**keywords, "type": kind})
    if isinstance(known.get("enum"), list) and "enum" in keywords:
        values = [value for value in keywords["enum"] if any(same(value, each) for each in known["enum"])]
        return {**known, "enum": values} if values else _both(known, keywords)
    keywords = {key: _tighter(key, known.get(key), value) for key, value in keywords.items()}
    if any(key in known and key not in _BOUNDS for key in keywords):
        return _both(known, keywords)
    return {**known, **keywords}


def _tighter(keyword: str, known: Any, value: Any) -> Any:
    """Return the bound that implies both."""
    is_number = isinstance(known, int | float) and not isinstance(known, bool)
    return _BOUNDS[keyword](known, value) if keyword in _BOUNDS and is_number else value


def _fits(known: Any, kind: str) -> bool:
    return known == kind or (known == "integer" and kind == "number")


def _both(known: Any, keywords: dict[str, Any]) -> Any:
    if known is True or known == {}:
        return keywords
    return {"allOf": [known, keywords]}

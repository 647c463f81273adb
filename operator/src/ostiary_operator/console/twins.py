"""The twin of a page: the model of its template as JSON.

Names are in camelCase, as in Kubernetes.

Texts are exact, where a page shows unseen characters as escapes and cuts what is long: a program compares names.
"""

import dataclasses
import enum
from collections.abc import Mapping, Sequence, Set
from datetime import datetime
from typing import Any

import orjson


def twin(model: object) -> bytes:
    """Return a model as JSON.

    Raises:
        TypeError: something in it is neither data nor a container of data: a bug of the page.
    """
    return orjson.dumps(as_json(model), option=orjson.OPT_INDENT_2)


def as_json(value: object) -> Any:
    """Return a value of a model as what JSON can hold.

    Markup is left out: a twin has the series, not the drawing.

    Raises:
        TypeError: it is neither data nor a container of data.
    """
    if value is None or (isinstance(value, bool | int | float) and not isinstance(value, enum.Enum)):
        return value
    if isinstance(value, Mapping):
        return {str(as_json(key)): as_json(each) for key, each in value.items() if not _is_markup(each)}
    if isinstance(value, Set):
        return sorted((as_json(each) for each in value), key=str)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [as_json(each) for each in value]
    return _scalar(value) if isinstance(value, enum.Enum | str | datetime) else _members(value)


def _scalar(value: enum.Enum | str | datetime) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    return value.encode("utf-8", "backslashreplace").decode()


def _members(value: object) -> dict[str, Any]:
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        raise TypeError(f"a model of a page holds {type(value).__name__}, which has no JSON")
    members = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
    return {camel_case(name): as_json(each) for name, each in members if not _is_markup(each)}


def _is_markup(value: object) -> bool:
    return hasattr(value, "__html__")


def camel_case(name: str) -> str:
    """Return the name of a member in JSON."""
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)

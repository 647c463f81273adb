"""The type of a Kubernetes object, as it is in JSON or YAML, and readers of its members.

:func:`name_of`, :func:`namespace_of`, :func:`identity_of` and :func:`uid_of` read objects of an API server, which
always have metadata. In a file anything may be in its place: :func:`mapping_of`, :func:`text_of`,
:func:`name_or_empty` and :func:`namespace_or_default` accept that.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

Object: TypeAlias = dict[str, Any]
Objects: TypeAlias = list[Object]
ReadOnlyObject: TypeAlias = Mapping[str, Any]

#: The namespace of an object that names none, as for kubectl.
DEFAULT_NAMESPACE: Final = "default"


def name_of(obj: ReadOnlyObject) -> str:
    """Return an object's name."""
    name: str = obj["metadata"]["name"]
    return name


def namespace_of(obj: ReadOnlyObject) -> str:
    """Return an object's namespace; empty for cluster-scoped ones."""
    namespace: str = obj["metadata"].get("namespace", "")
    return namespace


def identity_of(obj: ReadOnlyObject) -> str:
    """Return ``namespace/name`` of an object in a namespace."""
    return f"{namespace_of(obj)}/{name_of(obj)}"


def uid_of(obj: ReadOnlyObject) -> str:
    """Return an object's uid."""
    uid: str = obj["metadata"].get("uid", "")
    return uid


def text_of(obj: ReadOnlyObject, field: str) -> str:
    """Return a text of an object's metadata; empty where it is missing or no text."""
    value = mapping_of(obj.get("metadata")).get(field)
    return value if isinstance(value, str) else ""


def mapping_of(value: object) -> ReadOnlyObject:
    """Return a value as an object; empty where it is none."""
    return value if isinstance(value, Mapping) else {}


def texts_of(value: object) -> dict[str, str]:
    """Return the members of an object that are texts."""
    return {str(key): text for key, text in mapping_of(value).items() if isinstance(text, str)}


def decoded(text: str) -> bytes | None:
    """Return a value of a Secret's ``data``; None where it is not base64."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return None


def name_or_empty(obj: ReadOnlyObject) -> str:
    """Return the name of an object; empty where it has none."""
    return text_of(obj, "name")


def namespace_or_default(obj: ReadOnlyObject) -> str:
    """Return the namespace of a namespaced object; ``default`` where it names none."""
    return text_of(obj, "namespace") or DEFAULT_NAMESPACE

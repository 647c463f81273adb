"""Custom resources on their way into the compiler: which part of one is judged, and how to carry thousands of them.

An object as an API server sends it is some hundred small dicts and strings. Kept as the JSON text of the part that is
judged it takes a fifth of that, and the text is at once what tells whether it was judged before.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import orjson

from ostiary_operator.api.resources import API_VERSION

Document = dict[str, Any]

#: What of the metadata is judged. The rest is the API server's, and newer ones add to it.
_JUDGED: Final = ("name", "namespace", "uid", "generation", "creationTimestamp", "labels")
#: What of the metadata others than the compiler read.
_READ: Final = ("name", "namespace", "uid", "generation", "resourceVersion", "deletionTimestamp", "labels")
_PLAIN: Final = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS


class EncodedResource(dict[str, Any]):
    """A custom resource whose metadata and status are there as ever; the spec is only in ``judged``, as JSON."""

    __slots__ = ("judged",)

    def __init__(self, item: Mapping[str, Any], judged: bytes) -> None:
        super().__init__(item)
        self.judged = judged


def encode_resource(kind: str, item: Mapping[str, Any]) -> EncodedResource:
    """Pack an object that was parsed from JSON. ``kind`` is what its list says, where the object itself does not."""
    metadata = {key: item["metadata"][key] for key in _READ if key in item["metadata"]}
    rest = {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "status": item.get("status") or {}}
    return EncodedResource(rest, to_json(compiled_part(kind, item)))


def compiled_part(kind: str, item: Mapping[str, Any]) -> Document:
    """Return what of an object the compiler judges: all but the status, and of the metadata what users wrote."""
    metadata = item.get("metadata")
    part = {"apiVersion": API_VERSION, "kind": kind, **item}
    part.pop("status", None)
    if isinstance(metadata, Mapping):
        part["metadata"] = {key: _plain(metadata[key]) for key in _JUDGED if key in metadata}
    return part


def to_json(part: Document) -> bytes:
    """Return the JSON of a judged part.

    Raises:
        TypeError: it holds what JSON cannot.
    """
    return orjson.dumps(part, option=_PLAIN)


def from_json(text: bytes) -> Document:
    """Return the judged part that was written so."""
    part: Document = orjson.loads(text)
    return part


def _plain(value: Any) -> Any:
    """Return what YAML readers make a time of as the text that it was."""
    return value.isoformat() if isinstance(value, datetime) else value

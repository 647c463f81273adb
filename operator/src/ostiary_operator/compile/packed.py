"""Encodes custom resources compactly for the compiler, as JSON of the part that it reads.

An object from the API server consists of some hundred small dicts and strings. The JSON text of the relevant part takes
a fifth of that memory, and is also the cache key for its validation.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import orjson

from ostiary_operator.api.resources import API_VERSION

Document = dict[str, Any]

#: The metadata that the compiler reads. The API server sets the rest, and newer versions add to it.
_JUDGED: Final = ("name", "namespace", "uid", "generation", "creationTimestamp", "labels")
#: The metadata that other packages read.
_READ: Final = ("name", "namespace", "uid", "generation", "resourceVersion", "deletionTimestamp", "labels")
_PLAIN: Final = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS


class EncodedResource(dict[str, Any]):
    """A custom resource with its metadata and status; the spec is only in ``content``, as JSON."""

    __slots__ = ("content",)

    def __init__(self, item: Mapping[str, Any], content: bytes) -> None:
        super().__init__(item)
        self.content = content


def encode_resource(kind: str, item: Mapping[str, Any]) -> EncodedResource:
    """Encode an object that was parsed from JSON. ``kind`` is that of its list."""
    metadata = {key: item["metadata"][key] for key in _READ if key in item["metadata"]}
    rest = {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "status": item.get("status") or {}}
    return EncodedResource(rest, to_json(compiled_part(kind, item)))


def compiled_part(kind: str, item: Mapping[str, Any]) -> Document:
    """Return the part that the compiler reads: no status, and of the metadata what users write."""
    metadata = item.get("metadata")
    part = {"apiVersion": API_VERSION, "kind": kind, **item}
    part.pop("status", None)
    if isinstance(metadata, Mapping):
        part["metadata"] = {key: _plain(metadata[key]) for key in _JUDGED if key in metadata}
    return part


def to_json(part: Document) -> bytes:
    """Return the JSON of such a part.

    Raises:
        TypeError: it contains values that JSON cannot represent.
    """
    return orjson.dumps(part, option=_PLAIN)


def from_json(text: bytes) -> Document:
    """Return the part from its JSON."""
    part: Document = orjson.loads(text)
    return part


def _plain(value: Any) -> Any:
    """Return a time as text, since YAML readers convert timestamps."""
    return value.isoformat() if isinstance(value, datetime) else value

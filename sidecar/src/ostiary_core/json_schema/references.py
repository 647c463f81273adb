"""Where a reference within a schema leads (JSON Schema 2020-12, section 8.2; RFC 6901).

Only references within the document are followed: by JSON Pointer, by anchor, and to the document itself by its ``$id``.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ostiary_core.json_schema.faults import UncheckableSchemaError

_OUTSIDE: Final = "refers to something outside of it"
_NOWHERE: Final = "refers to a place that it does not have"
_EMBEDDED: Final = "has a schema within it with an $id of its own"
_ENCODED: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,6}")


class SchemaReferences:
    """The references of one document."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        identity = root.get("$id")
        self._identity = identity.removesuffix("#") if isinstance(identity, str) else ""
        self._anchors: dict[str, list[Any]] | None = None

    def targets(self, reference: Any) -> list[Any]:
        """Return the schemas that a reference may lead to.

        That is one, but for an anchor that occurs more than once.

        Raises:
            UncheckableSchemaError: it leads out of the document, or nowhere.
        """
        if not isinstance(reference, str):
            raise UncheckableSchemaError(_NOWHERE)
        base, _, fragment = reference.partition("#")
        if base and base != self._identity:
            raise UncheckableSchemaError(_OUTSIDE)
        fragment = _decoded(fragment)
        if fragment and not fragment.startswith("/"):
            return self._anchored(fragment)
        return [self._pointed(fragment)]

    def _pointed(self, pointer: str) -> Any:
        found: Any = self._root
        for step in pointer.split("/")[1:]:
            found = _member(found, step.replace("~1", "/").replace("~0", "~"))
            if isinstance(found, dict) and "$id" in found and isinstance(found["$id"], str):
                raise UncheckableSchemaError(_EMBEDDED)
        return found

    def _anchored(self, name: str) -> list[Any]:
        if self._anchors is None:
            self._anchors = {}
            for anchor, schema in _anchors(self._root):
                self._anchors.setdefault(anchor, []).append(schema)
        if name not in self._anchors:
            raise UncheckableSchemaError(_NOWHERE)
        return self._anchors[name]


def refuse_embedded(schema: Mapping[str, Any]) -> None:
    """Refuse a schema within another that changes what references mean.

    Raises:
        UncheckableSchemaError: it has an ``$id`` or a dialect of its own.
    """
    if "$id" in schema or "$schema" in schema:
        raise UncheckableSchemaError(_EMBEDDED)


def _anchors(root: Any) -> Iterator[tuple[str, Any]]:
    left = [root]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            for key in ("$anchor", "$dynamicAnchor"):
                if isinstance(value.get(key), str):
                    yield value[key], value
            left.extend(value.values())
        elif isinstance(value, list):
            left.extend(value)


def _member(found: Any, step: str) -> Any:
    if isinstance(found, dict) and step in found:
        return found[step]
    if isinstance(found, list) and _INDEX.fullmatch(step) and int(step) < len(found):
        return found[int(step)]
    raise UncheckableSchemaError(_NOWHERE)


def _decoded(fragment: str) -> str:
    if "%" not in fragment:
        return fragment
    octets = _ENCODED.sub(lambda found: bytes([int(found[1], 16)]), fragment.encode("utf-8", "replace"))
    return octets.decode("utf-8", "replace")

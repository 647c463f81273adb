"""What an OpenAPI document is: its version, its structure, and the references within it.

Only what becomes part of a tool is judged. A document with a strange callback is used all the same.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, Final

import jsonschema_rs

from ostiary_core.errors import OpenApiError
from ostiary_core.openapi.percent_encoding import decode

#: Values in one document, and levels that they nest.
MOST_VALUES: Final = 200_000
DEEPEST: Final = 100
#: References that lead to references.
_LONGEST_CHAIN: Final = 32
#: The methods that a path item may have operations for (OpenAPI, Path Item Object), in the order of tools.
METHODS: Final = ("get", "put", "post", "delete", "patch", "options", "head", "trace")
_VERSION: Final = re.compile(r"3\.([01])\.\d{1,6}([-+].*)?")
_SHOWN: Final = 160

_TEXT: Final = {"type": "string"}
_OBJECT: Final = {"type": "object"}
_MAP_OF_OBJECTS: Final = {"type": "object", "additionalProperties": _OBJECT}


def _or_reference(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "if": {"required": ["$ref"]}, "then": {"properties": {"$ref": _TEXT}}, "else": schema}


_OPERATION: Final = {
    "type": "object",
    "properties": {
        "operationId": _TEXT,
        "summary": _TEXT,
        "description": _TEXT,
        "deprecated": {"type": "boolean"},
        "parameters": {"type": "array", "items": _OBJECT},
        "requestBody": _or_reference({"required": ["content"], "properties": {"content": _MAP_OF_OBJECTS}}),
        "responses": _MAP_OF_OBJECTS,
        "servers": {"type": "array"},
    },
}
_PATH_ITEM: Final = {
    "type": "object",
    "properties": {
        "$ref": _TEXT,
        "parameters": {"type": "array", "items": _OBJECT},
        "servers": {"type": "array"},
        **dict.fromkeys(METHODS, _OPERATION),
    },
}
#: The part of OpenAPI's own structure that is read here; extensions and all else may be what they want.
_STRUCTURE: Final = {
    "type": "object",
    "required": ["openapi", "info", "paths"],
    "properties": {
        "info": {
            "type": "object",
            "required": ["title", "version"],
            "properties": {"title": _TEXT, "version": _TEXT, "description": _TEXT},
        },
        "paths": {"type": "object", "patternProperties": {"^/": _PATH_ITEM}},
        "components": {
            "type": "object",
            "properties": {
                "schemas": {"type": "object", "additionalProperties": {"type": ["object", "boolean"]}},
                **dict.fromkeys(
                    ("parameters", "requestBodies", "responses", "securitySchemes", "pathItems"), _MAP_OF_OBJECTS
                ),
            },
        },
    },
}


@lru_cache(maxsize=1)
def _structure() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(_STRUCTURE, offline=True)


class OpenApiDocument:
    """A document whose structure is that of OpenAPI 3.0 or 3.1.

    ``root`` is its parsed text. It is never changed.

    Raises:
        OpenApiError: it is no such document.
    """

    def __init__(self, root: Any) -> None:
        if not isinstance(root, dict):
            raise OpenApiError("is not a mapping with openapi, info and paths")
        _refuse_excess(root)
        self.root: Mapping[str, Any] = root
        #: Whether its schemas are those of 3.0, which are not JSON Schema.
        self.is_3_0 = _minor(root) == 0
        _refuse_structure(root)

    @property
    def paths(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Its paths, in order; extensions are none."""
        return ((path, item) for path, item in self.root["paths"].items() if path.startswith("/"))

    @property
    def misplaced_paths(self) -> Iterator[str]:
        """Keys among its paths that are neither paths nor extensions."""
        return (path for path in self.root["paths"] if not path.startswith(("/", "x-")))

    def components(self, kind: str) -> Mapping[str, Any]:
        """Return the components of a kind, such as ``securitySchemes``."""
        found: Mapping[str, Any] = self.root.get("components", {}).get(kind, {})
        return found

    def resolve(self, value: Any) -> Any:
        """Follow the references of an object that may be one; return what they lead to.

        Raises:
            OpenApiError: they lead out of the document, to nothing, or in a circle.
        """
        for _ in range(_LONGEST_CHAIN):
            if not isinstance(value, dict) or "$ref" not in value:
                return value
            value = self.target(value["$ref"])
        raise OpenApiError("refers to a chain of references without an end")

    def target(self, reference: Any) -> Any:
        """Return what a reference leads to.

        Raises:
            OpenApiError: it leads out of the document, or to nothing.
        """
        found: Any = self.root
        for step in steps_of(reference):
            found = _member(found, step, reference)
        return found


def steps_of(reference: Any) -> tuple[str, ...]:
    """Return the steps of a reference within the document (RFC 6901, section 6).

    Raises:
        OpenApiError: it leads elsewhere.
    """
    if not isinstance(reference, str):
        raise OpenApiError("has a $ref that is not text")
    if reference != "#" and not reference.startswith("#/"):
        raise OpenApiError(f"refers to {shown(reference)}, which is outside of the document; include it")
    steps = decode(reference[2:]).split("/") if len(reference) > 1 else []
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in steps)


def shown(text: str) -> str:
    """Return a text of the document for a message, as one short line."""
    line = "".join(each if each.isprintable() else "?" for each in text[:_SHOWN])
    return line if len(text) <= _SHOWN else f"{line}..."


def is_writable(text: str) -> bool:
    """Return whether a text can be written as UTF-8: it has no lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _member(found: Any, step: str, reference: str) -> Any:
    if isinstance(found, dict) and step in found:
        return found[step]
    if isinstance(found, list) and step.isascii() and step.isdecimal() and len(step) < 7 and int(step) < len(found):
        return found[int(step)]
    raise OpenApiError(f"refers to {shown(reference)}, which does not exist in the document")


def _minor(root: Mapping[str, Any]) -> int:
    version = root.get("openapi")
    if version is None and root.get("swagger") is not None:
        raise OpenApiError("is Swagger 2.0, and 3.0 or 3.1 is needed; convert it")
    if not isinstance(version, str):
        raise OpenApiError('has no version in "openapi"; write it as text, such as "3.1.0"')
    found = _VERSION.fullmatch(version)
    if found is None:
        raise OpenApiError(f"has the version {shown(version)}, and 3.0 or 3.1 is needed")
    return int(found[1])


def _refuse_structure(root: Mapping[str, Any]) -> None:
    structure = _structure()
    try:
        structure.validate(root)
    except jsonschema_rs.ValidationError as error:
        where = "/".join(shown(str(step)) for step in error.instance_path)
        raise OpenApiError(f"is not OpenAPI at {where or 'its top'}: {shown(error.message)}") from None
    except ValueError as error:  # a number that the library cannot read
        raise OpenApiError(f"is not OpenAPI: {shown(str(error))}") from None


def _refuse_excess(root: Any) -> None:
    """Refuse a document that holds too much, or nests too deep, without recursion.

    A value that occurs several times counts each time: aliases of YAML could make a small text huge.
    """
    level: list[Any] = [root]
    seen = 0
    for _ in range(DEEPEST):
        children = (child for each in level for child in _children(each))
        level = list(islice(children, MOST_VALUES - seen + 1))
        seen += len(level)
        if not level:
            return
        if seen > MOST_VALUES:
            raise OpenApiError(f"holds more than {MOST_VALUES} values; leave out what agents do not need")
    raise OpenApiError(f"nests deeper than {DEEPEST} levels")


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()

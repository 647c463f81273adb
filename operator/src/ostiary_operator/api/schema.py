"""Generates schemas from the models: structural ones for CRDs, plain ones for editors.

The API server takes a subset of OpenAPI v3 without references, unions with null, constants or closed objects. What
pydantic emits is rewritten into that subset; a keyword that this module does not handle is a bug and raises.
"""

import copy
import functools
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from ostiary_operator.api.durations import Duration
from ostiary_operator.api.quantities import Size

Schema: TypeAlias = dict[str, Any]

#: Keywords that pass as they are.
_KEPT: Final = frozenset(
    {
        "default", "description", "enum", "format", "maxItems", "maxLength", "maxProperties", "maximum", "minItems",
        "minLength", "minProperties", "minimum", "pattern", "required", "type", "x-kubernetes-list-map-keys",
        "x-kubernetes-list-type", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-validations",
    }
)  # fmt: skip
#: Keywords that the API server does not need: titles, and closed objects (it prunes or refuses unknown fields anyway).
_DROPPED: Final = frozenset({"title", "additionalProperties", "propertyNames"})


class SchemaError(Exception):
    """A model has no structural schema: a bug, found when the CRDs are generated."""


class _Generator(GenerateJsonSchema):
    """Pydantic's generator, but defaults of type Duration and Size are strings.

    Documents write them so.
    """

    def encode_default(self, dft: Any) -> Any:
        """The default as a document writes it."""
        return str(dft) if isinstance(dft, Duration | Size) else super().encode_default(dft)


@functools.cache
def inlined(model: type[BaseModel]) -> Schema:
    """The JSON schema of a model with every reference resolved, and without null in any union.

    It is shared between callers: do not change it.
    """
    schema = model.model_json_schema(by_alias=True, schema_generator=_Generator)
    definitions = schema.pop("$defs", {})
    return _inline(schema, definitions)


def _inline(node: Schema, definitions: Mapping[str, Schema]) -> Schema:
    node = _flatten(node, definitions)
    if "properties" in node:
        node["properties"] = {k: _inline(v, definitions) for k, v in node["properties"].items()}
    for keyword in ("items", "additionalProperties"):
        if isinstance(node.get(keyword), dict):
            node[keyword] = _inline(node[keyword], definitions)
    if "anyOf" in node:
        node["anyOf"] = [_inline(branch, definitions) for branch in node["anyOf"]]
    return node


def _flatten(node: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """Resolve references and drop the null of an optional field.

    Keywords next to a reference win.
    """
    node = copy.copy(node)
    if "$ref" in node:
        target = definitions[node.pop("$ref").rpartition("/")[2]]
        return _flatten({**target, **node}, definitions)
    branches = [branch for branch in node.get("anyOf", ()) if branch != {"type": "null"}]
    if len(branches) == 1:
        del node["anyOf"]
        return _flatten({**branches[0], **node}, definitions)
    return node


def structural(model: type[BaseModel], *, keep_nulls: bool = False) -> Schema:
    """The structural schema of a model, as a CRD carries it.

    The API server silently drops the null of an optional field. Where absence means "all", a rule whose names a
    template left empty would then apply to everything. With ``keep_nulls`` it keeps them, so that the models can
    refuse them. (A client-side `kubectl apply` drops them before the request is sent.)

    Raises:
        SchemaError: the model uses something that the API server cannot express.
    """
    schema = _structural(inlined(model), model.__name__)
    return _nullable(schema) if keep_nulls else schema


def _structural(node: Schema, path: str) -> Schema:
    result: Schema = {}
    for keyword, value in node.items():
        if keyword == "properties":
            # The API server drops an empty map, and would then hold another definition than the one applied.
            if value:
                result["properties"] = {k: _structural(v, f"{path}.{k}") for k, v in value.items()}
        elif keyword == "items":
            result["items"] = _structural(value, f"{path}[]")
        elif keyword == "additionalProperties" and isinstance(value, dict):
            result["additionalProperties"] = _structural(value, f"{path}{{}}")
        elif keyword == "const":
            result["enum"] = [value]
        elif keyword in _KEPT:
            result[keyword] = value
        elif keyword not in _DROPPED:
            raise SchemaError(f"{path}: the API server does not support {keyword}")
    return _tidy(result)


def _nullable(node: Schema) -> Schema:
    """Make every optional field without a default nullable.

    In the others the default replaces a null.
    """
    properties = {name: _nullable(child) for name, child in node.get("properties", {}).items()}
    for name, child in properties.items():
        if name not in node.get("required", ()) and "default" not in child:
            properties[name] = _ordered({**child, "nullable": True})
    nested: Schema = {"properties": properties} if properties else {}
    if "items" in node:
        nested["items"] = _nullable(node["items"])
    if "additionalProperties" in node:
        nested["additionalProperties"] = _ordered({**_nullable(node["additionalProperties"]), "nullable": True})
    return {**node, **nested}


def described_defaults(node: Schema) -> Schema:
    """Return a schema whose descriptions state the defaults, and that sets none.

    The models fill them in. If the API server wrote defaults into a ``spec``, GitOps tools would see a difference to
    what was applied.
    """
    default = node.get("default")
    result = {keyword: value for keyword, value in node.items() if keyword != "default"}
    if default not in (None, {}):
        result["description"] = f"{node.get('description', '')} Default: `{default}`.".strip()
    if "properties" in node:
        result["properties"] = {name: described_defaults(child) for name, child in node["properties"].items()}
    for keyword in ("items", "additionalProperties"):
        if isinstance(node.get(keyword), dict):
            result[keyword] = described_defaults(node[keyword])
    return result


def _tidy(node: Schema) -> Schema:
    """Unwrap the description, drop empty defaults, and order the keywords for readers."""
    if "description" in node:
        node["description"] = unwrapped(node["description"])
    default = node.get("default")
    if default is None or default == [] or (default == {} and "additionalProperties" in node):
        node.pop("default", None)
    elif node["type"] == "object":
        node["default"] = {}  # the defaults of its fields fill it in
    return _ordered(node)


def _ordered(node: Schema) -> Schema:
    return {keyword: node[keyword] for keyword in sorted(node, key=_rank)}


_FIRST: Final = ("description", "type", "format", "nullable", "enum", "default")
_LAST: Final = ("required", "properties", "items", "additionalProperties")


def _rank(keyword: str) -> tuple[int, int, str]:
    """Short keywords first, then the constraints by name, then what nests."""
    if keyword in _FIRST:
        return (0, _FIRST.index(keyword), "")
    return (2, _LAST.index(keyword), "") if keyword in _LAST else (1, 0, keyword)


def unwrapped(text: str) -> str:
    """A docstring with the line breaks inside its paragraphs removed."""
    paragraphs = (" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
    return "\n\n".join(paragraphs)


def fields(node: Schema, path: str = "") -> Iterator[tuple[str, Schema, bool]]:
    """Yield path and schema of every field below a schema, and whether it is required.

    The order is that of declaration.
    """
    for name, child in node.get("properties", {}).items():
        place = f"{path}.{name}".removeprefix(".")
        yield place, child, name in node.get("required", ())
        yield from fields(child, place)
    if isinstance(node.get("items"), dict):
        yield from fields(node["items"], f"{path}[]")


def editor_schema(model: type[BaseModel], *, identifier: str) -> Schema:
    """The plain JSON Schema (2020-12) of a model, for editors.

    It lacks the checks that only the models can make.
    """
    schema = _plain(inlined(model))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": identifier, **schema}


def _plain(node: Schema) -> Schema:
    """A schema without keywords for the API server, titles and empty defaults."""
    node = {k: v for k, v in node.items() if not k.startswith("x-kubernetes-") and k != "title"}
    if node.get("default", ...) in (None, []) or "properties" in node:
        node.pop("default", None)
    if "description" in node:
        node["description"] = unwrapped(node["description"])
    if "properties" in node:
        node["properties"] = {name: _plain(child) for name, child in node["properties"].items()}
    if "items" in node:
        node["items"] = _plain(node["items"])
    return node

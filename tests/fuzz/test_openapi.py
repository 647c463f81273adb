"""OpenAPI documents and arguments: whatever they hold, no request leaves its place, and nothing takes long or fails."""

import json
import re
from typing import Any
from urllib.parse import unquote

import jsonschema_rs
from hypothesis import assume, example, given
from hypothesis import strategies as st

from ostiary_core.errors import OpenApiError
from ostiary_core.openapi.arguments import ArgumentCheck
from ostiary_core.openapi.percent_encoding import climbs, decode, encode
from ostiary_core.openapi.request_parts import RequestBuilder
from ostiary_core.openapi.schema_cost import MOST_EVALUATIONS
from ostiary_core.openapi.schema_keywords import LIST, MAP, ONE, PLAIN
from ostiary_core.openapi.translation import translate

NAMES = st.sampled_from(["a", "b", "id", "body", "X-A", "Host", "a b", "$x", "..", "", "é", "\ud800"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | NAMES
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=12
)
KEYWORDS = st.sampled_from([*PLAIN, *ONE, *LIST, *MAP, "$id", "readOnly", "nullable"])
REFERENCES = st.sampled_from(
    ["#/components/schemas/A", "#/components/schemas/B", "#", "#/nowhere", "https://x", "file:///x"]
)


def _schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    right = st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["object", "array", "string", "integer"]),
            "properties": st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
            "items": inner,
            "anyOf": st.lists(inner, min_size=1, max_size=3),
            "allOf": st.lists(inner, min_size=1, max_size=3),
            "additionalProperties": inner,
            "$ref": REFERENCES,
            "pattern": st.sampled_from(["a+", "(?=a)", "("]),
        },
    )
    return right | st.dictionaries(KEYWORDS, inner | JSON, max_size=3)


SCHEMAS: st.SearchStrategy[Any] = st.recursive(st.booleans() | st.just({}), _schemas, max_leaves=8)
PARAMETERS = st.fixed_dictionaries(
    {"name": NAMES, "in": st.sampled_from(["path", "query", "header", "cookie", "x"]) | JSON},
    optional={
        "required": st.booleans(),
        "schema": SCHEMAS,
        "style": st.sampled_from(["form", "simple", "label", "matrix", "deepObject", "x"]),
        "explode": st.booleans(),
        "content": st.dictionaries(st.sampled_from(["application/json", "x"]), JSON, max_size=1),
    },
)
OPERATIONS = st.fixed_dictionaries(
    {},
    optional={
        "operationId": st.text(max_size=5),
        "parameters": st.lists(PARAMETERS | st.fixed_dictionaries({"$ref": REFERENCES}), max_size=4),
        "requestBody": st.fixed_dictionaries(
            {"content": st.dictionaries(st.sampled_from(["application/json", "text/plain", "x"]), JSON, max_size=2)}
        )
        | JSON,
        "responses": JSON,
    },
)
PATHS = st.text(alphabet="/ab{}.%2e?#\\;é\n", max_size=12) | st.sampled_from(["/{id}", "/a/{id}/b", "/{a}{b}"])
ITEMS = st.dictionaries(st.sampled_from(["get", "post", "parameters", "$ref"]), OPERATIONS | JSON, max_size=2)
DOCUMENTS = st.fixed_dictionaries(
    {
        "openapi": st.sampled_from(["3.0.3", "3.1.0"]),
        "info": st.just({"title": "a", "version": "1"}),
        "paths": st.dictionaries(PATHS, ITEMS, max_size=3),
        "components": st.fixed_dictionaries({"schemas": st.dictionaries(st.sampled_from("AB"), SCHEMAS, max_size=2)}),
    }
)
#: A path and query as RFC 3986 has them: what is in neither is encoded.
TARGET = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@/%-]*")
QUERY = re.compile(r"[A-Za-z0-9._~,=&%-]*")


@given(JSON | DOCUMENTS)
def test_whatever_a_document_holds_it_is_translated_or_refused_with_words(root: Any) -> None:
    try:
        found = translate(root)
    except OpenApiError:
        return
    json.loads(found.config.canonical())
    for operation in found.config.operations:
        tool = json.loads(operation.tool)
        definitions = {name: json.loads((found.config.definitions or {})[name]) for name in operation.definitions or ()}
        ArgumentCheck({**tool["inputSchema"], "$defs": definitions}, evaluations=operation.evaluations)
        assert operation.evaluations <= MOST_EVALUATIONS
        assert not climbs(operation.path.replace("{", "").replace("}", ""))


@given(DOCUMENTS, st.dictionaries(NAMES, JSON, max_size=4))
def test_whatever_arguments_hold_the_request_keeps_its_segments_and_lines(
    root: dict[str, Any], arguments: dict[str, Any]
) -> None:
    try:
        operations = translate(root).config.operations
    except OpenApiError:
        return
    for operation in operations:
        tool = json.loads(operation.tool)
        assume(all(name in arguments for name in tool["inputSchema"].get("required", ())))
        try:
            made = RequestBuilder(operation, "/base").build(arguments)
        except OpenApiError:
            continue
        except TypeError:  # no JSON: a surrogate or a number that no caller can send
            continue
        assert made.path.startswith("/base/")
        assert TARGET.fullmatch(made.path)
        assert QUERY.fullmatch(made.query)
        assert made.path.count("/") == len(("/base" + operation.path).split("/")) - 1
        assert not any(each in (".", "..") for each in unquote(unquote(made.path)).split("/"))
        assert all(value.isascii() and value.isprintable() for value in made.headers.values())
        assert not {name.lower() for name in made.headers} & {"host", "authorization", "cookie", "connection"}


@given(st.text())
@example("%")
@example("%zz")
@example("a%2")
def test_what_is_encoded_is_read_again_as_it_was(text: str) -> None:
    encoded = encode(text)

    assert decode(encoded) == unquote(encoded) == text


@given(st.text(alphabet="%2eEfF5cC./\\;a\x00", max_size=12))
def test_no_dot_segment_is_overlooked_however_often_it_is_decoded(text: str) -> None:
    reading, found = text, False
    for _ in range(3):
        found |= any(each in (".", "..") for each in re.split(r"[/\\]", reading))
        reading = unquote(reading)

    assert climbs(text) or not found


VALUES = st.recursive(SCALARS, lambda inner: st.dictionaries(st.sampled_from("ab"), inner, max_size=2), max_leaves=6)


@given(SCHEMAS, VALUES)
def test_what_a_check_accepts_the_library_accepts_too(schema: Any, value: Any) -> None:
    root = {
        "openapi": "3.1.0",
        "info": {"title": "a", "version": "1"},
        "paths": {"/a": {"post": {"requestBody": {"content": {"application/json": {"schema": schema}}}}}},
    }
    operations = translate(root).config.operations
    try:
        text = json.dumps({"body": value}, allow_nan=False).encode()
    except ValueError:
        return
    for operation in operations:
        made = json.loads(operation.tool)["inputSchema"]
        if operation.definitions:
            return
        fault = ArgumentCheck(made, evaluations=operation.evaluations).fault({"body": value}, text)
        assert (fault is None) == jsonschema_rs.Draft202012Validator(made).is_valid({"body": value})

"""A document as tools: what becomes what, and what is left out with its reason."""

import json
from typing import Any

import pytest

from ostiary_core.errors import OpenApiError
from ostiary_core.openapi.translation import LARGEST_TOOL, TranslatedDocument, translate


def document(paths: dict[str, Any], version: str = "3.1.0", **components: Any) -> dict[str, Any]:
    """A document with these paths."""
    return {
        "openapi": version,
        "info": {"title": "Orders", "version": "1"},
        "paths": paths,
        "components": components,
    }


def one(operation: dict[str, Any], path: str = "/a", method: str = "get", **more: Any) -> TranslatedDocument:
    """The translation of a document with one operation."""
    return translate(document({path: {method: {"operationId": "op", "responses": {}, **operation}}}, **more))


def schema_of(found: TranslatedDocument) -> Any:
    return json.loads(found.config.operations[0].tool)["inputSchema"]


def left_out(found: TranslatedDocument) -> str:
    """Why the one operation is left out."""
    assert found.config.operations == []
    (omission,) = found.omissions
    return omission


def body(schema: Any, *, required: bool = True, kind: str = "application/json") -> dict[str, Any]:
    return {"requestBody": {"required": required, "content": {kind: {"schema": schema}}}}


def test_a_path_without_a_slash_and_an_optional_body_that_cannot_be_sent_are_named() -> None:
    upload = {"operationId": "up", **body({}, required=False, kind="multipart/form-data")}
    paths = {"/a": {"post": upload}, "b": {"get": {"operationId": "lost"}}, "x-internal": {"get": {}}}
    found = translate(document(paths))
    assert [each.body for each in found.config.operations] == [None]
    uploaded, misplaced = sorted(found.omissions)
    assert uploaded.startswith("POST /a: it is a tool without its optional body: a body that is neither JSON")
    assert misplaced == "b does not begin with / as paths do"


@pytest.mark.parametrize(
    ("root", "words"),
    [
        (None, "is not a mapping"),
        ([], "is not a mapping"),
        ({}, "has no version"),
        ({"swagger": "2.0"}, "is Swagger 2.0"),
        ({"openapi": 3.1}, 'write it as text, such as "3.1.0"'),
        ({"openapi": "3.2.0"}, "has the version 3.2.0"),
        ({"openapi": "4.0.0"}, "has the version 4.0.0"),
        ({"openapi": "3.1.0", "info": {"title": "a", "version": "1"}}, "paths"),
        (document({"/a": []}), "is not OpenAPI at paths//a"),
        (document({"/a": {"get": {"parameters": {}}}}), "is not OpenAPI at paths//a/get/parameters"),
        (document({"/a": {"get": {"operationId": 1}}}), "is not OpenAPI at paths//a/get/operationId"),
        (document({f"/{n}": {"get": {}} for n in range(257)}), "has more than 256 operations"),
        (document({"/a": {"get": {"x-deep": json.loads("[" * 150 + "]" * 150)}}}), "nests deeper than 100 levels"),
        (document({"/a": {"get": {"x-long": [0] * 200_001}}}), "holds more than 200000 values"),
    ],
)
def test_what_is_no_document_is_refused_with_the_reason(root: Any, words: str) -> None:
    with pytest.raises(OpenApiError, match="^" + words.replace(".", "[.]") if words.startswith("is") else words):
        translate(root)


def test_extensions_and_webhooks_are_no_operations() -> None:
    root = document({"/a": {"get": {}, "x-more": 1}, "x-paths": {"get": {}}}) | {"webhooks": {"b": {"post": {}}}}

    assert [each.name for each in translate(root).config.operations] == ["get_a"]


def test_the_same_document_gives_the_same_bytes() -> None:
    root = document(
        {"/a": {"post": {"operationId": "b", **body({"$ref": "#/components/schemas/A"})}}}, schemas={"A": {}}
    )

    assert translate(root).config.canonical() == translate(json.loads(json.dumps(root))).config.canonical()


def test_a_cycle_stays_a_cycle_of_definitions() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/Node"}}}
    found = one(body({"$ref": "#/components/schemas/Node"}), method="post", schemas={"Node": node})

    assert schema_of(found)["properties"]["body"] == {"$ref": "#/$defs/Node"}
    assert found.config.operations[0].definitions == ["Node"]
    assert json.loads((found.config.definitions or {})["Node"])["properties"]["next"] == {"$ref": "#/$defs/Node"}


def test_two_definitions_of_one_name_stay_two() -> None:
    root = document(
        {
            "/a": {
                "post": {
                    "operationId": "op",
                    **body({"anyOf": [{"$ref": "#/components/schemas/A"}, {"$ref": "#/components/x/A"}]}),
                }
            }
        },
        schemas={"A": {"type": "string"}},
        x={"A": {"type": "integer"}},
    )

    assert sorted(translate(root).config.definitions or {}) == ["A", "A_2"]


def test_null_of_3_0_is_a_type_and_bounds_become_numbers() -> None:
    schema = {"type": "number", "nullable": True, "minimum": 1, "exclusiveMinimum": True, "maximum": 9}
    found = one(body(schema), method="post", version="3.0.3")

    assert schema_of(found)["properties"]["body"] == {"type": ["number", "null"], "exclusiveMinimum": 1, "maximum": 9}


def test_null_of_3_0_is_allowed_next_to_values_and_other_schemas() -> None:
    found = one(body({"nullable": True, "enum": ["a"], "description": "b"}), method="post", version="3.0.0")

    assert schema_of(found)["properties"]["body"] == {"description": "b", "anyOf": [{"enum": ["a"]}, {"type": "null"}]}


def test_what_is_next_to_a_reference_counts_in_3_1_alone() -> None:
    schema = {"$ref": "#/components/schemas/A", "description": "b"}

    for version, expected in (("3.1.0", {"$ref": "#/$defs/A", "description": "b"}), ("3.0.0", {"$ref": "#/$defs/A"})):
        found = one(body(schema), method="post", version=version, schemas={"A": {}})
        assert schema_of(found)["properties"]["body"] == expected


def test_properties_that_only_answers_have_are_no_part_of_a_request() -> None:
    schema = {"required": ["id", "a"], "properties": {"id": {"readOnly": True}, "a": {}}}

    assert schema_of(one(body(schema), method="post"))["properties"]["body"] == {
        "required": ["a"],
        "properties": {"a": {}},
    }


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"$ref": "https://evil.example/a"}, "outside of the document"),
        ({"$ref": "file:///etc/passwd"}, "outside of the document"),
        ({"$ref": "other.yaml#/A"}, "outside of the document"),
        ({"$ref": "#/components/schemas/None"}, "does not exist"),
        ({"$ref": "#/info/title"}, "is not a schema"),
        ({"$ref": 1}, "is not text"),
        ({"$id": "https://evil.example"}, "changes what references mean"),
        ({"$dynamicRef": "#a"}, "changes what references mean"),
        ({"properties": {"a": 1}}, "is not a schema"),
        ({"$ref": "#/components/schemas/Bad"}, "outside of the document"),
    ],
)
def test_an_operation_whose_schema_cannot_be_expressed_is_left_out(schema: Any, words: str) -> None:
    found = one(body(schema), method="post", schemas={"Bad": {"items": {"$ref": "//evil.example"}}})

    assert words in left_out(found)


@pytest.mark.parametrize(
    "keyword",
    [
        {"pattern": "(?=a)"},
        {"pattern": "(a)\\1"},
        {"pattern": "\\w{500}{500}"},
        {"pattern": 1},
        {"minLength": "3"},
        {"minLength": -1},
        {"maximum": float("inf")},
        {"maximum": 10**30},
        {"type": "file"},
        {"required": True},
        {"enum": []},
        {"default": "\ud800"},
        {"description": "\ud800"},
        {"properties": []},
        {"allOf": {}},
        {"items": [{}]},
        {"patternProperties": {"(?!a)": {}}},
    ],
)
def test_a_keyword_that_no_reader_could_use_is_left_out_and_named(keyword: dict[str, Any]) -> None:
    found = one(body({"title": "kept", **keyword}), method="post")

    assert schema_of(found)["properties"]["body"]["title"] == "kept"
    (omission,) = found.omissions
    assert f"{next(iter(keyword))} " in omission


def exponential(count: int) -> dict[str, Any]:
    twice = {f"A{n}": {"anyOf": [{"$ref": f"#/components/schemas/A{n + 1}"}] * 2} for n in range(count)}
    return {**twice, f"A{count}": {"type": "string"}}


@pytest.mark.parametrize(
    "schemas",
    [
        exponential(30),
        {"A0": {"anyOf": [{"properties": {"a": {"$ref": "#/components/schemas/A0"}}}] * 2}},
        {"A0": {"$ref": "#/components/schemas/A0"}},
        {"A0": {"allOf": [{"$ref": "#/components/schemas/A1"}]}, "A1": {"not": {"$ref": "#/components/schemas/A0"}}},
    ],
)
def test_a_schema_that_could_be_evaluated_without_end_is_not_used(schemas: dict[str, Any]) -> None:
    found = one(body({"$ref": "#/components/schemas/A0"}), method="post", schemas=schemas)

    assert "without end or too often" in left_out(found)


def unevaluated(levels: int) -> dict[str, Any]:
    """A schema for which the library evaluates a value about three times as often with each level."""
    found: dict[str, Any] = {"type": "object"}
    for _ in range(levels):
        found = {"anyOf": [found, {"required": ["a"]}], "unevaluatedProperties": {"type": "string"}}
    return found


@pytest.mark.parametrize(
    "schema",
    [
        unevaluated(16),
        {"dependentRequired": {f"a{n}": ["b"] for n in range(5000)}},
        {"enum": [{"a": n} for n in range(1000)]},
    ],
)
def test_a_schema_whose_keywords_cost_too_much_for_one_value_is_not_used(schema: dict[str, Any]) -> None:
    assert "too often for one value" in left_out(one(body({"items": schema}), method="post"))


def test_usual_numbers_of_costly_keywords_are_used() -> None:
    schema = {
        **unevaluated(2),
        "dependentRequired": {"a": ["b"]},
        "properties": {"n": {"multipleOf": 5}, "e": {"enum": [f"v{n}" for n in range(500)]}},
    }

    assert one(body(schema), method="post").omissions == ()


def test_numbers_are_not_divided_by_fractions() -> None:
    found = one(body({"type": "number", "multipleOf": 0.01}), method="post")

    assert "multipleOf" in found.omissions[0]
    assert schema_of(found)["properties"]["body"] == {"type": "number"}


def test_a_tree_and_a_choice_of_many_forms_are_used() -> None:
    forms = {f"F{n}": {"type": "object", "properties": {"n": {"const": n}}} for n in range(40)}
    choice = {"oneOf": [{"$ref": f"#/components/schemas/F{n}"} for n in range(40)]}
    tree = {
        "properties": {
            "left": {"$ref": "#/components/schemas/T"},
            "right": {"$ref": "#/components/schemas/T"},
            "v": choice,
        }
    }

    assert one(body({"$ref": "#/components/schemas/T"}), method="post", schemas={"T": tree, **forms}).omissions == ()


def test_a_tool_that_is_too_large_is_left_out() -> None:
    found = one(
        body({"enum": ["a" * 60_000, "b" * 1000]} | {"default": "c" * 60_000, "const": "d" * 60_000}), method="post"
    )

    assert f"may have {LARGEST_TOOL}" in left_out(found)


@pytest.mark.parametrize(
    ("operation", "method", "words"),
    [
        ({}, "head", "has the method HEAD"),
        ({}, "options", "has the method OPTIONS"),
        ({"servers": [{"url": "https://evil.example"}]}, "get", "names servers of its own"),
        ({"operationId": "a" * 129}, "get", "has no name"),
        (body({}, kind="multipart/form-data"), "post", "requires a body that is neither"),
        (body({}), "get", "requires a body with GET"),
        ({"parameters": [{"name": "c", "in": "cookie", "required": True}]}, "get", "is in cookie"),
        ({"parameters": [{"name": "Host", "in": "header", "required": True}]}, "get", "belongs to HTTP"),
        ({"parameters": [{"in": "query"}]}, "get", "without a name"),
        ({"parameters": [{"$ref": "#/nowhere"}]}, "get", "does not exist"),
        ({"parameters": [{"name": f"p{n}", "in": "query"} for n in range(65)]}, "get", "more than 64 parameters"),
    ],
)
def test_an_operation_that_cannot_be_sent_is_left_out(operation: dict[str, Any], method: str, words: str) -> None:
    assert words in left_out(one(operation, method=method))


@pytest.mark.parametrize(
    "path",
    [
        "/a/../b",
        "/a/./b",
        "//evil.example/a",
        "/a//b",
        "/a?b=c",
        "/a#b",
        "/a\\b",
        "/%2e%2e/b",
        "/a{b",
        "/a/..;x/b",
        "/a\r\nb",
    ],
)
def test_a_path_that_leads_elsewhere_is_left_out(path: str) -> None:
    assert "path" in left_out(one({}, path=path))


@pytest.mark.parametrize("path", ["/a/{id}", "/a/{id}/{id}", "/{}"])
def test_a_path_needs_each_of_its_parameters_once(path: str) -> None:
    assert "which is not one parameter of it" in left_out(one({}, path=path))


def test_what_a_name_means_does_not_depend_on_the_order() -> None:
    root = document({"/a": {"get": {"operationId": "x y"}}, "/b": {"delete": {"operationId": "x_y"}}})
    found = translate(root)

    assert found.config.operations == []
    assert len(found.omissions) == 2


def test_parameters_of_one_name_have_their_place_in_front() -> None:
    parameters = [
        {"name": "id", "in": "query"},
        {"name": "id", "in": "header"},
        {"name": "body", "in": "query"},
        {"name": "filter[a]", "in": "query"},
    ]
    found = one({"parameters": parameters, **body({})}, method="post")

    assert list(schema_of(found)["properties"]) == ["query_id", "header_id", "query_body", "filter_a", "body"]


def test_what_the_gateway_sends_itself_is_no_argument() -> None:
    names = ("X-Tenant", "x-key", "Authorization", "Accept", "Cookie", "X-Forwarded-For", "Mcp-Session-Id", "X-Free")
    alike = ("x_tenant", "X_Key", "X_Forwarded_For", "Content_Length", "True-Client-IP", "Remote_User", "Proxy")
    headers = [{"name": name, "in": "header"} for name in (*names, *alike)]
    queries = [{"name": name, "in": "query"} for name in ("tenant", "api_key", "q")]
    schemes = {
        "a": {"type": "apiKey", "in": "header", "name": "X-Key"},
        "b": {"type": "apiKey", "in": "query", "name": "api_key"},
    }
    root = document({"/a": {"get": {"operationId": "op", "parameters": [*headers, *queries]}}}, securitySchemes=schemes)
    found = translate(root, headers=["X-TENANT"], queries=["tenant"])

    assert list(schema_of(found)["properties"]) == ["X-Free", "q"]


def test_omissions_are_bounded() -> None:
    properties = {f"p{n}": {"minLength": -1} for n in range(500)}
    found = one(body({"properties": properties}), method="post")

    assert (len(found.omissions), found.omissions[-1]) == (65, "and 436 more")


@pytest.mark.parametrize("kind", ["*/*", "application/*"])
def test_a_body_of_any_type_is_sent_as_json(kind: str) -> None:
    (operation,) = one(body({"type": "object"}, kind=kind), method="post").config.operations
    assert operation.body is not None
    assert (operation.body.media_type, operation.body.format) == ("application/json", "json")


def test_of_patches_a_merge_is_preferred_since_the_other_one_is_a_list() -> None:
    content = {f"application/{kind}+json": {"schema": {"type": "object"}} for kind in ("json-patch", "merge-patch")}
    (operation,) = one({"requestBody": {"content": content}}, method="patch").config.operations
    assert operation.body is not None
    assert operation.body.media_type == "application/merge-patch+json"

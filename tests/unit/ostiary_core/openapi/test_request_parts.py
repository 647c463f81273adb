"""Arguments as parts of a request, in every style of OpenAPI."""

from typing import Any

import pytest

from ostiary_core.errors import OpenApiError
from ostiary_core.openapi.request_parts import RequestBuilder, RequestParts
from ostiary_core.openapi.translation import translate

ARRAY = ["blue", "black"]
OBJECT = {"R": 100, "G": 200}


def builder(path: str = "/a", *parameters: dict[str, Any], base: str = "", **operation: Any) -> RequestBuilder:
    """The builder of one operation."""
    written = {"operationId": "op", "parameters": [{"schema": {}, **each} for each in parameters], **operation}
    root = {"openapi": "3.1.0", "info": {"title": "a", "version": "1"}, "paths": {path: {"post": written}}}
    return RequestBuilder(translate(root).config.operations[0], base)


@pytest.mark.parametrize(
    ("style", "explode", "value", "query"),
    [
        ("form", True, "blue", "color=blue"),
        ("form", True, ARRAY, "color=blue&color=black"),
        ("form", False, ARRAY, "color=blue,black"),
        ("form", False, OBJECT, "color=R,100,G,200"),
        ("spaceDelimited", False, ARRAY, "color=blue%20black"),
        ("pipeDelimited", False, ARRAY, "color=blue%7Cblack"),
        ("deepObject", True, OBJECT, "color%5BR%5D=100&color%5BG%5D=200"),
        ("form", True, "", "color="),
        ("form", True, None, ""),
        ("form", True, [], ""),
        ("form", True, True, "color=true"),
        ("form", True, 1.0, "color=1"),
        ("form", True, 1.5, "color=1.5"),
        ("form", True, "a&b=c#d", "color=a%26b%3Dc%23d"),
        ("form", True, "ü", "color=%C3%BC"),
    ],
)
def test_a_query_is_written_in_its_style(style: str, explode: bool, value: Any, query: str) -> None:
    made = builder("/a", {"name": "color", "in": "query", "style": style, "explode": explode})

    assert made.build({"color": value}) == RequestParts("/a", query, {}, None)


@pytest.mark.parametrize(
    ("style", "explode", "value", "path"),
    [
        ("simple", False, "blue", "/blue"),
        ("simple", False, ARRAY, "/blue,black"),
        ("simple", False, OBJECT, "/R,100,G,200"),
        ("simple", True, OBJECT, "/R=100,G=200"),
        ("label", False, "blue", "/.blue"),
        ("label", True, ARRAY, "/.blue.black"),
        ("matrix", False, "blue", "/;color=blue"),
        ("matrix", False, ARRAY, "/;color=blue,black"),
        ("matrix", True, ARRAY, "/;color=blue;color=black"),
        ("matrix", True, OBJECT, "/;R=100;G=200"),
    ],
)
def test_a_path_is_written_in_its_style(style: str, explode: bool, value: Any, path: str) -> None:
    parameter = {"name": "color", "in": "path", "required": True, "style": style, "explode": explode}

    assert builder("/{color}", parameter).build({"color": value}).path == path


def test_a_parameter_with_content_is_json() -> None:
    parameter = {"name": "f", "in": "query", "content": {"application/json": {"schema": {}}}}

    assert builder("/a", parameter).build({"f": {"a": [1]}}).query == "f=%7B%22a%22%3A%5B1%5D%7D"


def test_the_base_stands_before_the_path() -> None:
    made = builder("/a/{x}", {"name": "x", "in": "path", "required": True}, base="/v1")

    assert made.build({"x": "1"}).path == "/v1/a/1"


@pytest.mark.parametrize(
    ("kind", "value", "content"),
    [
        ("application/json", {"a": None}, b'{"a":null}'),
        ("application/merge-patch+json", [1], b"[1]"),
        ("application/x-www-form-urlencoded", {"a": "b c", "d": [1, 2]}, b"a=b%20c&d=1&d=2"),
        ("text/plain", "é", "é".encode()),
    ],
)
def test_a_body_is_written_as_its_type_says(kind: str, value: Any, content: bytes) -> None:
    made = builder(requestBody={"content": {kind: {"schema": {}}}})

    assert made.build({"body": value}) == RequestParts("/a", "", {"Content-Type": kind}, content)
    assert made.build({}).body is None


@pytest.mark.parametrize("value", [[["a"]], [{}], {"a": []}])
def test_a_value_without_a_form_is_refused_with_words(value: Any) -> None:
    made = builder("/a", {"name": "q", "in": "query", "style": "form", "explode": False})

    with pytest.raises(OpenApiError, match="The argument q holds a list or an object within another"):
        made.build({"q": value})


@pytest.mark.parametrize(
    "value", [".", "..", "a/..", ["a", ".."], {"..": 1}, {"a": "../b"}, "", [], {}, [""], None, "\x7f"]
)
def test_a_path_keeps_its_segments(value: Any) -> None:
    made = builder("/{x}", {"name": "x", "in": "path", "required": True})

    with pytest.raises(OpenApiError, match="The argument x must not"):
        made.build({"x": value})


def test_two_arguments_make_no_dot_segment_together() -> None:
    parameters = [{"name": name, "in": "path", "required": True} for name in ("x", "y")]

    with pytest.raises(OpenApiError):
        builder("/{x}{y}/a", *parameters).build({"x": ".", "y": "."})
    with pytest.raises(OpenApiError, match="dot segments, which is not sent"):
        builder("/.{x}/a", parameters[0]).build({"x": ";v"})


def test_an_url_is_bounded() -> None:
    with pytest.raises(OpenApiError, match="a URL of more than 8000 characters"):
        builder("/a", {"name": "q", "in": "query"}).build({"q": "a" * 9000})


def test_text_that_is_no_unicode_is_refused_with_words() -> None:
    with pytest.raises(OpenApiError, match="The argument q holds characters that cannot be sent"):
        builder("/a", {"name": "q", "in": "query"}).build({"q": "\ud800"})


def test_nulls_of_parameters_are_left_out_and_a_body_of_null_is_sent() -> None:
    made = builder("/a", {"name": "q", "in": "query"}, requestBody={"content": {"application/json": {}}})

    assert made.without_nulls({"q": None, "body": None}) == {"body": None}
    assert made.build({"body": None}).body == b"null"

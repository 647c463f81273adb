"""Mirrored parameters: what the gateway learns from tool lists, and which headers contradict the body (SEP-2243)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_gateway.errors import Refusal
from ostiary_gateway.pipeline.mirrored_headers import decoded, encoded
from ostiary_gateway.pipeline.mirrored_parameters import MirroredParameters


def tool(name: str = "deploy", **properties: Any) -> dict[str, Any]:
    return {"name": name, "inputSchema": {"type": "object", "properties": properties}}


def marked(header: Any, kind: str = "string") -> dict[str, Any]:
    return {"type": kind, "x-mcp-header": header}


def knowing(*tools: Any) -> MirroredParameters:
    known = MirroredParameters()
    known.learn(list(tools))
    return known


def contradicts(known: MirroredParameters, arguments: Any, headers: dict[str, str], name: str = "deploy") -> bool:
    try:
        known.check(name, arguments, {f"mcp-param-{key}": value for key, value in headers.items()})
    except Refusal as refusal:
        return (refusal.status, refusal.code) == (400, -32020)
    return False


AGREEING: list[tuple[Any, str]] = [
    ("us-west1", "us-west1"),
    ("", ""),
    ("Hello, 世界", "Hello, 世界"),
    ("5", "5"),
    (5, "5"),
    (5, "5.0"),
    (-5, "-5"),
    (5.0, "5"),
    (0.1, "0.1"),
    (1e21, "1000000000000000000000"),
    (9_007_199_254_740_993, "9007199254740993"),
    (True, "true"),
    (False, "false"),
]
CONTRADICTING: list[tuple[Any, str]] = [
    ("us-west1", "eu-west1"),
    ("us-west1", "US-WEST1"),
    ("us-west1", ""),
    ("5", "5.0"),
    (5, "6"),
    (5, "05x"),
    (5, ""),
    (5, "true"),
    (5, "\u0665"),
    (5, "5" + "0" * 5000),
    (9_007_199_254_740_993, "9007199254740992"),
    (1, "true"),
    (True, "1"),
    (True, "True"),
    (False, ""),
    (None, "null"),
    (None, ""),
    ([], ""),
    (["a"], "a"),
    ({"a": 1}, "a"),
]


@pytest.mark.parametrize(("value", "text"), AGREEING)
def test_a_header_that_equals_the_argument_passes(value: Any, text: str) -> None:
    assert not contradicts(knowing(tool(region=marked("Region"))), {"region": value}, {"region": text})


@pytest.mark.parametrize(("value", "text"), CONTRADICTING)
def test_a_header_that_differs_from_the_argument_is_refused(value: Any, text: str) -> None:
    assert contradicts(knowing(tool(region=marked("Region"))), {"region": value}, {"region": text})


@pytest.mark.parametrize("arguments", [{}, {"other": "x"}, None, [], "x", 5])
def test_a_header_without_its_argument_is_refused(arguments: Any) -> None:
    assert contradicts(knowing(tool(region=marked("Region"))), arguments, {"region": "x"})


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=50))
def test_every_text_agrees_with_itself_in_the_encoding_of_headers(value: str) -> None:
    sent = decoded("Mcp-Param-Region", encoded(value))

    assert not contradicts(knowing(tool(region=marked("Region"))), {"region": value}, {"region": sent})


@given(st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.booleans())
def test_every_number_agrees_with_its_json(value: float) -> None:
    known = knowing(tool(region=marked("Region")))
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)

    assert not contradicts(known, {"region": value}, {"region": text})


def test_the_argument_may_be_nested() -> None:
    known = knowing(tool(options={"type": "object", "properties": {"limit": marked("Limit", "integer")}}))

    assert not contradicts(known, {"options": {"limit": 5}}, {"limit": "5"})
    assert contradicts(known, {"options": {"limit": 5}, "limit": 6}, {"limit": "6"})
    assert contradicts(known, {"options": [5]}, {"limit": "5"})


def test_what_is_not_known_is_handed_on() -> None:
    known = knowing(tool(region=marked("Region")), tool("plain", region={"type": "string"}))

    assert not contradicts(known, {"region": "a"}, {"other": "b"})
    assert not contradicts(known, {"region": "a"}, {"region": "b"}, name="plain")
    assert not contradicts(known, {"region": "a"}, {"region": "b"}, name="unheard-of")


def test_a_missing_parameter_header_is_left_to_the_server_to_judge() -> None:
    assert not contradicts(knowing(tool(region=marked("Region"))), {"region": "a"}, {})


def test_a_new_list_replaces_the_previous_one() -> None:
    known = knowing(tool(region=marked("Region")), tool("other", x=marked("X")))
    known.learn([tool(zone=marked("Region"))])
    assert not contradicts(known, {"region": "a", "zone": "b"}, {"region": "b"})
    assert contradicts(known, {"x": "a"}, {"x": "b"}, name="other")  # another page
    known.learn([tool()])
    assert not contradicts(known, {"zone": "b"}, {"region": "c"})


@pytest.mark.parametrize("header", ["", "a b", "a:b", "a\r\nb", "é", "x" * 129, 5, None, ["Region"], {"a": 1}])
def test_an_annotation_that_is_no_name_of_a_header_is_none(header: Any) -> None:
    assert len(knowing(tool(region=marked(header)))) == 0


def test_a_duplicate_annotation_is_ignored() -> None:
    known = knowing(tool(a=marked("Region"), b=marked("REGION"), c=marked("Other")))

    assert not contradicts(known, {"a": "1", "b": "2"}, {"region": "3"})
    assert contradicts(known, {"c": "1"}, {"other": "2"})


def test_only_properties_lead_to_an_annotation() -> None:
    hidden = {"items": {"properties": {"x": marked("X")}}, "$ref": "#/$defs/x", "anyOf": [{"properties": {"x": {}}}]}
    assert len(knowing({"name": "deploy", "inputSchema": {"$defs": {"x": marked("X")}, **hidden}})) == 0


@pytest.mark.parametrize(
    "odd",
    [
        *[None, 5, "x", [], {}, {"name": 5}, {"name": "x" * 5000}, {"name": "deploy", "inputSchema": []}],
        {"name": "deploy", "inputSchema": {"properties": []}},
        {"name": "deploy", "inputSchema": {"properties": {"a": [], "b": None, "c" * 5000: marked("C")}}},
    ],
)
def test_a_list_of_no_shape_teaches_nothing_and_is_no_accident(odd: Any) -> None:
    known = knowing(odd, tool("good", region=marked("Region")))

    assert len(known) == 1


def test_what_the_gateway_remembers_for_a_server_is_bounded() -> None:
    known = MirroredParameters()
    for page in range(20):
        known.learn([tool(f"tool-{page}-{n}", **{f"p{i}": marked(f"H{i}") for i in range(200)}) for n in range(20)])
    assert 0 < len(known) <= 4000
    assert contradicts(known, {"p1": "a"}, {"h1": "b"}, name="tool-19-3")


def test_the_depth_and_size_of_a_servers_schema_are_bounded() -> None:
    deep: dict[str, Any] = marked("Deep")
    for _ in range(100):
        deep = {"properties": {"x": deep}}
    wide: dict[str, Any] = {f"p{i}": {} for i in range(30_000)}
    known = knowing(tool(x=deep), tool("wide", **wide, last=marked("Last")), tool("behind", x=marked("X")))

    assert len(known) == 0


def test_what_is_remembered_counts_for_its_server_and_no_other() -> None:
    one, other = knowing(tool(region=marked("Region"))), knowing(tool(zone=marked("Region")))

    assert contradicts(one, {"region": "a", "zone": "b"}, {"region": "b"})
    assert not contradicts(other, {"region": "a", "zone": "b"}, {"region": "b"})

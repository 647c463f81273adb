"""URIs in what a server sends lead back to it, and texts and data keep their bytes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_core.catalogue_names import CatalogueNames
from ostiary_gateway.catalogue.exposed_content import ExposedContent
from ostiary_gateway.errors import UpstreamFault

NAMES = CatalogueNames([("crm", "crm_"), ("web", "")])
CRM, WEB = ExposedContent(NAMES, 0), ExposedContent(NAMES, 1)
TEXT = {"type": "text", "text": "see ui://a"}
LINK = {"type": "resource_link", "uri": "ui://a", "name": "a"}
EMBEDDED = {"type": "resource", "resource": {"uri": "ui://a", "text": "ui://a"}}


def response(result: Any, of: ExposedContent = CRM) -> Any:
    text = json.dumps({"jsonrpc": "2.0", "id": 1, "result": result}, indent=1).encode()
    message = json.loads(text)
    shown = json.loads(of.response(text, message))
    assert shown == message  # text and tree are changed in the same way
    return shown["result"]


def streamed(message: Any, of: ExposedContent = CRM) -> Any:
    text = json.dumps(message).encode()
    tree = json.loads(text)
    found = of.streamed(text, tree)
    assert found is None or json.loads(found) == tree
    return tree if found is not None else None


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        ({"content": [TEXT, LINK]}, {"content": [TEXT, {**LINK, "uri": "ui://crm/a"}]}),
        ({"content": [EMBEDDED]}, {"content": [{**EMBEDDED, "resource": {"uri": "ui://crm/a", "text": "ui://a"}}]}),
        ({"contents": [{"uri": "urn:x", "text": "ui://a"}]}, {"contents": [{"uri": "urn:crm/x", "text": "ui://a"}]}),
        (
            {"messages": [{"role": "user", "content": LINK}]},
            {"messages": [{"role": "user", "content": {**LINK, "uri": "ui://crm/a"}}]},
        ),
        (
            {"content": [], "_meta": {"ui": {"resourceUri": "ui://app"}}},
            {"content": [], "_meta": {"ui": {"resourceUri": "ui://crm/app"}}},
        ),
        (
            {"content": [{"type": "tool_result", "content": [LINK]}]},
            {"content": [{"type": "tool_result", "content": [{**LINK, "uri": "ui://crm/a"}]}]},
        ),
        (
            {"inputRequests": {"k": {"params": {"messages": [{"content": [LINK]}]}}}},
            {"inputRequests": {"k": {"params": {"messages": [{"content": [{**LINK, "uri": "ui://crm/a"}]}]}}}},
        ),
    ],
)
def test_the_uri_of_a_resource_is_that_of_the_catalogue(result: Any, shown: Any) -> None:
    assert response(result) == shown


@pytest.mark.parametrize(
    "result",
    [
        {"content": [TEXT], "structuredContent": {"uri": "ui://a", "content": [LINK]}},
        {"content": [{"type": "image", "uri": "ui://a"}]},
        {"content": [{"type": "resource_link"}, {"type": "resource"}, {"type": "resource", "resource": 1}, 5]},
        {"content": "ui://a", "contents": 1, "messages": {}, "inputRequests": [], "_meta": 7},
        {"uri": "ui://a", "completion": {"values": ["ui://a"]}},
    ],
)
def test_text_and_data_keep_every_byte(result: Any) -> None:
    text = json.dumps({"jsonrpc": "2.0", "id": 1, "result": result}).encode()
    assert CRM.response(text, json.loads(text)) is text


def test_the_bytes_around_a_uri_stay() -> None:
    text = (
        b'{"id":1, "result" : {"structuredContent": {"n": 1.50, "big": 123456789012345678901234567890},\n'
        b' "content": [ {"type":"text","text":"\\ud83d"}, {"uri" :"ui:\\/\\/a", "type":"resource_link"} ] } }'
    )
    assert CRM.response(text, json.loads(text)) == text.replace(b'"ui:\\/\\/a"', b'"ui://crm/a"')


@pytest.mark.parametrize("key", ["content", "contents"])
@pytest.mark.parametrize("foreign", [0, 1, 2])
def test_an_item_in_the_space_of_another_server_is_dropped(key: str, foreign: int) -> None:
    item = LINK if key == "content" else {"uri": "ui://a"}
    items = [{**item, "uri": f"ui://{'crm/x' if place == foreign else place}"} for place in range(3)]

    found = response({key: items}, of=WEB)

    assert [each["uri"] for each in found[key]] == [f"ui://{place}" for place in range(3) if place != foreign]


def test_a_server_without_a_prefix_keeps_its_bytes() -> None:
    text = json.dumps({"id": 1, "result": {"content": [LINK, EMBEDDED], "contents": [{"uri": "ui://a"}]}}).encode()
    assert WEB.response(text, json.loads(text)) is text


def test_a_page_in_the_space_of_another_server_is_not_shown() -> None:
    found = response({"content": [], "_meta": {"ui": {"resourceUri": "ui://crm/app"}}}, of=WEB)
    assert found["_meta"] == {"ui": {"resourceUri": ""}}


def test_a_missing_resource_is_named_as_the_caller_named_it() -> None:
    text = b'{"id": 1, "error": {"code": -32002, "message": "Not found", "data": {"uri": "ui://a"}}}'
    assert CRM.response(text, json.loads(text)) == text.replace(b"ui://a", b"ui://crm/a")
    other = text.replace(b"-32002", b"-32000")
    assert CRM.response(other, json.loads(other)) is other


def test_an_update_names_the_exposed_uri_and_none_of_another_server() -> None:
    updated = {"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": "ui://a"}}
    assert streamed(updated)["params"] == {"uri": "ui://crm/a"}
    assert streamed(updated, of=WEB)["params"] == {"uri": "ui://a"}
    assert streamed({**updated, "params": {"uri": "ui://crm/a"}}, of=WEB) is None
    assert streamed({**updated, "params": {"uri": "no uri"}}) is None
    assert streamed({**updated, "params": {}}) is None


def test_links_in_messages_to_be_sampled_lead_back() -> None:
    asked = {"id": 4, "method": "sampling/createMessage", "params": {"messages": [{"content": LINK}]}}
    assert streamed(asked)["params"]["messages"][0]["content"]["uri"] == "ui://crm/a"


@pytest.mark.parametrize("message", [{"method": "notifications/message"}, {"method": "x", "params": [1]}])
def test_other_messages_pass(message: Any) -> None:
    assert streamed(message) == message


def test_a_text_that_can_be_read_in_two_ways_is_written_again() -> None:
    text = b'{"id":1,"result":{"content":[{"type":"resource_link","uri":"ui://a","uri":"ui://b"}]}}'
    shown = CRM.response(text, json.loads(text))
    assert json.loads(shown)["result"]["content"] == [{"type": "resource_link", "uri": "ui://crm/b"}]
    assert shown.count(b"uri") == 1


def test_a_heavy_text_is_written_again_as_a_whole() -> None:
    items = [{**LINK, "uri": f"ui://{i}"} for i in range(5000)]
    found = response({"content": items})
    assert [each["uri"] for each in found["content"]] == [f"ui://crm/{i}" for i in range(5000)]


def test_a_uri_that_no_json_can_hold_is_a_fault() -> None:
    text = b'{"id":1,"result":{"content":[{"type":"resource_link","uri":"ui://\\ud800"}]}}'
    with pytest.raises(UpstreamFault):
        CRM.response(text, json.loads(text))


values = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.just("ui://a") | st.just("ui://crm/a"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "uri", "resource", "content", "contents", "messages", "_meta", "ui", "resourceUri"]
            ),
            inner | st.sampled_from(["resource", "resource_link", "tool_result"]),
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["content", "contents", "messages", "_meta", "inputRequests"]), values))
def test_whatever_a_server_sends_text_and_tree_stay_the_same(result: Any) -> None:
    response(result)
    response(result, of=WEB)

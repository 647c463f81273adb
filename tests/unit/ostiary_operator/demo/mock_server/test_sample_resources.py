import asyncio
import base64
import json
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp.client.subscriptions import ResourceUpdated, ServerEvent, Subscription
from mcp.types import (
    INVALID_PARAMS,
    BlobResourceContents,
    ResourceTemplateReference,
    ResourceUpdatedNotification,
    TextResourceContents,
)
from mcp_clients import ERAS, Era, MockProcess, connect, eventually
from timeouts import TIMEOUT_SECONDS

USER_TEMPLATE = ResourceTemplateReference(type="ref/resource", uri="mock://users/{id}")
_SUBSCRIBE_IS_DEPRECATED = pytest.mark.filterwarnings("ignore:resources/(un)?subscribe is removed")


@pytest.mark.parametrize("era", ERAS)
async def test_all_resources_are_listed_and_can_be_read(mock: MockProcess, era: Era) -> None:
    async with connect(mock.url, era=era) as client:
        resources = (await client.list_resources()).resources
        [template] = (await client.list_resource_templates()).resource_templates
        for resource in resources:
            [content] = (await client.read_resource(resource.uri)).contents
            assert content.mime_type == resource.mime_type

    names = ("users", "posts", "products", "activity", "guide", "logo")
    assert {resource.uri for resource in resources} == {f"mock://{name}" for name in names}
    assert template.uri_template == USER_TEMPLATE.uri


@pytest.mark.parametrize("era", ERAS)
async def test_a_user_is_read_by_the_template(mock: MockProcess, era: Era) -> None:
    async with connect(mock.url, era=era) as client:
        user = await _read_json(client, "mock://users/2")

    assert user["name"] == "Grace Hopper"


@pytest.mark.parametrize("era", ERAS)
async def test_the_logo_is_a_picture(mock: MockProcess, era: Era) -> None:
    async with connect(mock.url, era=era) as client:
        [content] = (await client.read_resource("mock://logo")).contents

    assert isinstance(content, BlobResourceContents)
    assert base64.b64decode(content.blob).startswith(b"\x89PNG")


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("uri", ["mock://users/99", "mock://users/ada", "mock://nothing", "file:///etc/passwd"])
async def test_what_does_not_exist_cannot_be_read(mock: MockProcess, era: Era, uri: str) -> None:
    async with connect(mock.url, era=era) as client:
        with pytest.raises(MCPError) as refused:
            await client.read_resource(uri)

    assert refused.value.code == INVALID_PARAMS


@pytest.mark.parametrize("era", ERAS)
async def test_the_templates_variable_is_completed(mock: MockProcess, era: Era) -> None:
    async with connect(mock.url, era=era) as client:
        ids = (await client.complete(USER_TEMPLATE, {"name": "id", "value": "1"})).completion
        nothing = (await client.complete(USER_TEMPLATE, {"name": "other", "value": ""})).completion

    assert ids.values == ["1", "10"]
    assert nothing.values == []


@_SUBSCRIBE_IS_DEPRECATED
async def test_a_session_is_notified_of_the_resources_it_subscribed_to(fresh_mock: MockProcess) -> None:
    heard: list[str] = []

    async def on_message(message: Any) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            heard.append(message.params.uri)

    async with (
        connect(fresh_mock.url, era="legacy", message_handler=on_message) as subscriber,
        connect(fresh_mock.url, era="legacy") as writer,
    ):
        await subscriber.subscribe_resource("mock://users/3")

        async def heard_of_a_deletion() -> bool:
            # The subscriber's GET stream may not be open yet; what is sent before is lost, as the transport has it.
            await _create_and_delete(writer)
            return bool(heard)

        await subscriber.subscribe_resource("mock://users")
        await eventually(heard_of_a_deletion)
        await subscriber.unsubscribe_resource("mock://users")
        heard.clear()
        await _create_and_delete(writer)
        await writer.call_tool("delete_user", {"user_id": 3})
        await eventually(lambda: "mock://users/3" in heard)

    assert heard == ["mock://users/3"]


@_SUBSCRIBE_IS_DEPRECATED
async def test_subscribers_that_left_do_not_stop_a_writer(fresh_mock: MockProcess) -> None:
    for _ in range(3):
        async with connect(fresh_mock.url, era="legacy") as subscriber:
            await subscriber.subscribe_resource("mock://users")

    async with connect(fresh_mock.url, era="legacy") as writer:
        for _ in range(3):
            await _create_and_delete(writer)


@_SUBSCRIBE_IS_DEPRECATED
async def test_a_session_cannot_subscribe_without_end(mock: MockProcess) -> None:
    async with connect(mock.url, era="legacy") as client:
        for number in range(100):
            await client.subscribe_resource(f"mock://users/{number}")
        with pytest.raises(MCPError, match="100 subscriptions"):
            await client.subscribe_resource("mock://users/100")


async def test_a_listener_is_notified_of_the_resources_it_named(fresh_mock: MockProcess) -> None:
    async with (
        connect(fresh_mock.url, era="modern") as client,
        client.listen(resource_subscriptions=["mock://users/3", "mock://posts"]) as changes,
    ):
        await _create_and_delete(client)
        await client.call_tool("create_post", {"user_id": 3, "title": "t", "body": "b"})
        first = await _next(changes)
        await client.call_tool("delete_user", {"user_id": 3})
        second, third = await _next(changes), await _next(changes)

    assert first == ResourceUpdated(uri="mock://posts")
    assert {second, third} == {ResourceUpdated(uri="mock://users/3"), ResourceUpdated(uri="mock://posts")}


@pytest.mark.parametrize("era", ERAS)
async def test_the_activity_counts_calls_by_name(fresh_mock: MockProcess, era: Era) -> None:
    async with connect(fresh_mock.url, era=era) as client:
        await client.call_tool("echo", {"message": "once"})
        await client.call_tool("echo", {"message": "twice"})
        await client.call_tool("no_such_tool", {})
        activity = await _read_json(client, "mock://activity")

    assert activity["calls"] == {"echo": 2, "no_such_tool": 1}
    assert activity["running"] == {}
    assert activity["methods"]["tools/call"] == 3


async def _read_json(client: Client, uri: str) -> Any:
    [content] = (await client.read_resource(uri)).contents
    assert isinstance(content, TextResourceContents)
    return json.loads(content.text)


async def _next(changes: Subscription) -> ServerEvent:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        return await anext(changes)


async def _create_and_delete(client: Client) -> None:
    created = await client.call_tool("create_user", {"name": "New", "email": "new@example.com"})
    assert created.structured_content
    deleted = await client.call_tool("delete_user", {"user_id": created.structured_content["id"]})
    assert not deleted.is_error

"""The official SDK's client works in full through the gateway, in both eras."""

import asyncio
from typing import Any

import pytest
from gateways import RunningGateway, policy
from mcp import Client, MCPError
from mcp.client.subscriptions import ResourceUpdated, ToolsListChanged
from mcp.types import (
    CreateMessageResult,
    ElicitResult,
    ListRootsResult,
    PromptReference,
    ResourceTemplateReference,
    ResourceUpdatedNotification,
    Root,
    TextContent,
    TextResourceContents,
    ToolListChangedNotification,
)
from mcp_clients import ERAS, Era, connect, eventually
from sdk_server import Gates, asking_server
from timeouts import TIMEOUT_SECONDS

OLD_METHODS = pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")
EVERYTHING = {"name": "all", "effect": "Allow"}
"""A policy that closes the tier and allows all: lists are filtered, and lose nothing."""


@pytest.fixture(params=["ungoverned", "governed"])
async def url(request: pytest.FixtureRequest, mock: str, gateway: RunningGateway) -> str:
    policies = [policy("all", EVERYTHING)] if request.param == "governed" else []
    await gateway.apply(gateway.entry("mock", mock, policies))
    return gateway.url()


def text(result: Any) -> str:
    content = result.content[0]
    assert isinstance(content, TextContent)
    return content.text


@pytest.mark.parametrize("era", ERAS)
async def test_lists_are_whole(url: str, era: Era) -> None:
    async with connect(url, era=era) as client:
        assert len((await client.list_tools()).tools) == 15
        assert {str(r.uri) for r in (await client.list_resources()).resources} >= {"mock://users", "mock://guide"}
        templates = (await client.list_resource_templates()).resource_templates
        assert [template.uri_template for template in templates] == ["mock://users/{id}"]
        assert len((await client.list_prompts()).prompts) == 3


@pytest.mark.parametrize("era", ERAS)
async def test_tools_resources_prompts_and_completions_answer(url: str, era: Era) -> None:
    async with connect(url, era=era) as client:
        echoed = await client.call_tool("echo", {"message": "Grüße 世界"})
        assert echoed.structured_content == {"message": "Grüße 世界"}
        [content] = (await client.read_resource("mock://users/1")).contents
        assert isinstance(content, TextResourceContents)
        assert '"id": 1' in content.text
        messages = (await client.get_prompt("draft_post", {"topic": "bridges"})).messages
        assert "bridges" in str(messages[0].content)
        prompt = PromptReference(type="ref/prompt", name="draft_post")
        assert (await client.complete(prompt, {"name": "tone", "value": "f"})).completion.values == [
            "formal",
            "friendly",
        ]
        template = ResourceTemplateReference(type="ref/resource", uri="mock://users/{id}")
        assert (await client.complete(template, {"name": "id", "value": "1"})).completion.values == ["1", "10"]


@pytest.mark.parametrize("era", ERAS)
async def test_the_servers_description_of_itself_reaches_the_client(url: str, era: Era) -> None:
    async with connect(url, era=era) as client:
        assert client.server_info is not None
        assert client.server_info.name == "mock-mcp-server"
        assert client.instructions is not None
        assert client.server_capabilities.tools is not None


@pytest.mark.parametrize("era", ERAS)
async def test_the_servers_own_errors_reach_the_client_as_they_are(url: str, era: Era) -> None:
    async with connect(url, era=era) as client:
        assert (await client.call_tool("get_user", {"user_id": 999})).is_error
        with pytest.raises(MCPError) as refused:
            await client.get_prompt("introduce_user", {"user_id": "999"})
        assert refused.value.error.code == -32602


@OLD_METHODS
async def test_ping_and_log_level_reach_a_session(url: str) -> None:
    async with connect(url, era="legacy") as client:
        await client.send_ping()
        await client.set_logging_level("warning")


@pytest.mark.parametrize("era", ERAS)
async def test_progress_and_log_messages_come_before_the_result(url: str, era: Era) -> None:
    updates: list[str] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        updates.append(f"progress {progress:g}")

    async def on_log(params: Any) -> None:
        updates.append(f"log {params.data}")

    async with connect(url, era=era, logging_callback=on_log, log_level="info") as client:
        await client.call_tool("stream_count", {"count": 3, "interval_ms": 5}, progress_callback=on_progress)
        await eventually(lambda: len(updates) == 6)

    assert updates == ["progress 1", "log Counted 1", "progress 2", "log Counted 2", "progress 3", "log Counted 3"]


@pytest.mark.parametrize("era", ERAS)
async def test_many_calls_at_once_in_one_client_get_their_own_answers(url: str, era: Era) -> None:
    async with connect(url, era=era) as client:
        results = await asyncio.gather(*(client.call_tool("echo", {"message": str(number)}) for number in range(20)))

    assert [result.structured_content for result in results] == [{"message": str(number)} for number in range(20)]


# -- servers that ask back


async def on_elicit(context: Any, params: Any) -> ElicitResult:
    return ElicitResult(action="accept", content={"name": "Ada"})


async def on_sample(context: Any, params: Any) -> CreateMessageResult:
    return CreateMessageResult(role="assistant", content=TextContent(type="text", text="hello"), model="m")


async def on_roots(context: Any) -> ListRootsResult:
    return ListRootsResult(roots=[Root(uri="file:///home/ada")])


@pytest.mark.parametrize("governed", [False, True])
@pytest.mark.parametrize("era", ERAS)
async def test_a_server_may_ask_user_model_and_roots_during_a_call(
    gateway: RunningGateway, era: Era, governed: bool
) -> None:
    async with asking_server() as upstream:
        await gateway.apply(gateway.entry("asking", upstream, [policy("all", EVERYTHING)] if governed else []))
        callbacks: dict[str, Any] = {
            "elicitation_callback": on_elicit,
            "sampling_callback": on_sample,
            "list_roots_callback": on_roots,
        }
        async with connect(gateway.url("asking"), era=era, **callbacks) as client:
            assert text(await client.call_tool("greet", {})) == "Hello Ada"
            assert text(await client.call_tool("sample", {})) == "The model says hello"
            assert text(await client.call_tool("roots", {})) == "file:///home/ada"


@pytest.mark.parametrize("era", ERAS)
async def test_a_capability_that_the_client_did_not_declare_stays_undeclared(gateway: RunningGateway, era: Era) -> None:
    async with asking_server() as upstream:
        await gateway.apply(gateway.entry("asking", upstream))
        async with connect(gateway.url("asking"), era=era) as client:
            with pytest.raises(MCPError) as refused:
                await client.call_tool("sample", {})

    assert refused.value.error.code == -32021


@pytest.mark.parametrize("era", ERAS)
async def test_a_server_that_answers_in_plain_json_is_understood(gateway: RunningGateway, era: Era) -> None:
    async with asking_server(json_response=True) as upstream:
        await gateway.apply(gateway.entry("asking", upstream))
        async with connect(gateway.url("asking"), era=era) as client:
            assert {"greet", "grow"} <= {tool.name for tool in (await client.list_tools()).tools}


# -- changes


@OLD_METHODS
async def test_a_session_is_notified_of_resources_it_subscribed_to(url: str) -> None:
    updates: list[str] = []

    async def on_message(message: Any) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            updates.append(str(message.params.uri))

    async with (
        connect(url, era="legacy", message_handler=on_message) as subscriber,
        connect(url, era="legacy") as writer,
    ):
        await subscriber.subscribe_resource("mock://users")

        async def got_an_update() -> bool:
            # The GET stream may not be open yet; what is sent before is lost, as the transport has it.
            await create_and_delete(writer)
            return bool(updates)

        await eventually(got_an_update)
        await subscriber.unsubscribe_resource("mock://users")

    assert set(updates) == {"mock://users"}


@OLD_METHODS
async def test_a_session_cannot_subscribe_to_what_it_may_not_see(mock: str, gateway: RunningGateway) -> None:
    users_only = {"name": "users", "effect": "Allow", "resources": {"names": ["mock://users"]}}
    await gateway.apply(gateway.entry("mock", mock, [policy("p", users_only)]))

    async with connect(gateway.url(), era="legacy") as client:
        await client.subscribe_resource("mock://users")
        with pytest.raises(MCPError) as refused:
            await client.subscribe_resource("mock://posts")
    assert refused.value.error.code == -32602


async def test_a_listener_is_notified_of_the_resources_it_named_and_of_no_others(url: str) -> None:
    async with (
        connect(url, era="modern") as client,
        client.listen(resource_subscriptions=["mock://users"]) as changes,
    ):
        await create_and_delete(client)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            assert await anext(changes) == ResourceUpdated(uri="mock://users")


async def test_a_listener_is_refused_what_it_may_not_subscribe_to(mock: str, gateway: RunningGateway) -> None:
    await gateway.apply(gateway.entry("mock", mock, [policy("none")]))

    async with connect(gateway.url(), era="modern") as client:
        with pytest.raises(MCPError) as refused:
            async with client.listen(resource_subscriptions=["mock://users"]):
                pass
    assert refused.value.error.code == -32602


async def test_a_change_of_the_list_reaches_the_get_stream_of_a_session(gateway: RunningGateway) -> None:
    updates: list[Any] = []

    async def on_message(message: Any) -> None:
        if isinstance(message, ToolListChangedNotification):
            updates.append(message)

    async with asking_server() as upstream:
        await gateway.apply(gateway.entry("asking", upstream))
        async with connect(gateway.url("asking"), era="legacy", message_handler=on_message) as client:

            async def got_a_notification() -> bool:
                await client.call_tool("grow", {})
                return bool(updates)

            await eventually(got_a_notification)
            assert "grown" in {tool.name for tool in (await client.list_tools()).tools}


async def test_a_change_of_the_list_reaches_a_listener(gateway: RunningGateway) -> None:
    async with asking_server() as upstream:
        await gateway.apply(gateway.entry("asking", upstream))
        async with (
            connect(gateway.url("asking"), era="modern") as client,
            client.listen(tools_list_changed=True) as changes,
        ):
            await client.call_tool("grow", {})
            async with asyncio.timeout(TIMEOUT_SECONDS):
                assert isinstance(await anext(changes), ToolsListChanged)


async def create_and_delete(client: Client) -> None:
    created = await client.call_tool("create_user", {"name": "New", "email": "new@example.com"})
    assert created.structured_content
    assert not (await client.call_tool("delete_user", {"user_id": created.structured_content["id"]})).is_error


# -- streams that break, callers that go


@pytest.mark.parametrize("era", ERAS)
async def test_cancelling_a_call_stops_it_at_the_server(gateway: RunningGateway, era: Era) -> None:
    gates = Gates()
    async with asking_server(gates) as upstream:
        await gateway.apply(gateway.entry("asking", upstream))
        async with connect(gateway.url("asking"), era=era) as client:
            calling = asyncio.create_task(client.call_tool("gated", {}))
            await asyncio.wait_for(gates.reached.wait(), TIMEOUT_SECONDS)
            calling.cancel()
            await asyncio.wait_for(gates.cancelled.wait(), TIMEOUT_SECONDS)
            with pytest.raises(asyncio.CancelledError):
                await calling


async def test_a_stream_that_the_server_drops_is_resumed_with_the_last_event_id(gateway: RunningGateway) -> None:
    gates = Gates()
    updates: list[str | None] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        updates.append(message)

    async with asking_server(gates) as upstream:
        await gateway.apply(gateway.entry("asking", upstream))
        async with connect(gateway.url("asking"), era="legacy") as client:
            calling = asyncio.create_task(client.call_tool("drop_stream", {}, progress_callback=on_progress))
            await asyncio.wait_for(gates.reached.wait(), TIMEOUT_SECONDS)
            gates.open.set()
            result = await asyncio.wait_for(calling, TIMEOUT_SECONDS)

    assert text(result) == "after the drop"
    assert updates == ["before the drop"]

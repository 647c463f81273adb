"""An open session or subscription gets a notice when a policy edit changes what it sees, in both eras."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from gateways import RunningGateway, policy
from mcp.client.subscriptions import ToolsListChanged
from mcp.types import ToolListChangedNotification
from mcp_caller import LEGACY, McpCaller, Stream, legacy, mcp_caller, modern
from mcp_clients import connect, eventually
from quiet_server import ACK, CAPABILITIES, META, QuietServer, listening
from sdk_server import asking_server
from typescript_sdk import CLIENTS, Sdk, run_session
from upstreams import Upstream, serving

ONE = {"name": "one", "effect": "Allow", "tools": {"names": ["get_users"]}}
TWO = {"name": "one", "effect": "Allow", "tools": {"names": ["get_users", "echo"]}}
NO_CALL = {"name": "no", "effect": "Deny", "tools": {"verbs": ["Call"], "names": ["echo"]}}
NO_PROMPT = {"name": "no-prompt", "effect": "Deny", "prompts": {"names": ["secret"]}}


@pytest.fixture
def server() -> QuietServer:
    return QuietServer()


@pytest.fixture
async def upstream(server: QuietServer) -> AsyncIterator[Upstream]:
    async with serving(server.script) as upstream:
        yield upstream


@pytest.fixture
async def edit(gateway: RunningGateway, upstream: Upstream) -> Callable[..., Any]:
    """Put these rules into force; without any the proxy is not governed."""

    async def edit(*rules: dict[str, Any]) -> None:
        await gateway.apply(gateway.entry("mock", upstream.url, [policy("p", *rules)] if rules else []))

    return edit


@pytest.fixture
async def caller(gateway: RunningGateway) -> AsyncIterator[McpCaller]:
    async with mcp_caller(gateway.url()) as caller:
        yield caller


async def test_a_session_hears_that_its_tools_changed_on_its_open_stream(edit: Any, caller: McpCaller) -> None:
    await edit(ONE)
    await caller.initialize()
    async with caller.listen() as stream:
        await edit(TWO)
        assert await stream.message() == {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}


async def test_an_added_or_removed_policy_sends_a_notice_for_each_list_that_it_changes(
    edit: Any, caller: McpCaller
) -> None:
    await edit()
    await caller.initialize()
    async with caller.listen() as stream:
        for rules in ((ONE,), ()):
            await edit(*rules)
            methods = [(await stream.message())["method"] for _ in range(3)]
            assert methods == [f"notifications/{kind}/list_changed" for kind in ("prompts", "resources", "tools")]


async def test_an_edit_that_changes_no_list_sends_no_notice(edit: Any, caller: McpCaller) -> None:
    await edit(ONE, NO_CALL)
    await caller.initialize()
    async with caller.listen() as stream:
        await edit(ONE)  # the right to call does not follow from the right to list
        await edit(ONE, NO_PROMPT)
        assert (await stream.message())["method"] == "notifications/prompts/list_changed"


async def test_a_notice_stands_between_two_events_of_the_server_and_never_within_one(
    edit: Any, caller: McpCaller, server: QuietServer
) -> None:
    await edit(ONE)
    await caller.initialize()
    async with caller.listen() as stream:
        await server.say.put(b'event: message\ndata: {"jsonrpc":"2.0","method":"notif')
        await edit(TWO)
        await asyncio.sleep(1)  # longer than a notice takes; only then does the event continue
        await server.say.put(b'ications/message","params":{"level":"info","data":1}}\n\n')
        methods = [(await stream.message())["method"] for _ in range(2)]
    assert methods == ["notifications/message", "notifications/tools/list_changed"]


async def first_of(stream: Stream) -> dict[str, Any]:
    message = await stream.message()
    assert message["method"] == ACK
    found: dict[str, Any] = message["params"]["notifications"]
    return found


async def test_a_subscription_is_notified_of_the_lists_that_it_asked_for_and_of_no_others(
    edit: Any, caller: McpCaller
) -> None:
    await edit(ONE)
    async with listening(caller, toolsListChanged=True) as stream:
        assert await first_of(stream) == {"promptsListChanged": True, "toolsListChanged": True}
        await edit(NO_PROMPT, ONE)
        await edit(NO_PROMPT, TWO)
        assert await stream.message() == {
            "jsonrpc": "2.0",
            "method": "notifications/tools/list_changed",
            "params": {"_meta": {META: "sub"}},
        }


async def test_a_subscription_that_asked_for_no_lists_gets_no_notification(
    edit: Any, caller: McpCaller, server: QuietServer
) -> None:
    server.honours = {"toolsListChanged": False}
    await edit(ONE)
    async with (
        listening(caller, toolsListChanged=False, resourceSubscriptions=[]) as deaf,
        listening(caller, toolsListChanged=True) as hearing,
    ):
        assert await first_of(deaf) == {"toolsListChanged": False}
        assert await first_of(hearing) == {"toolsListChanged": True}
        await edit(TWO)
        await hearing.message()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(deaf.message(), 1)


async def test_an_acknowledgement_for_lists_that_are_not_governed_keeps_its_bytes(edit: Any, caller: McpCaller) -> None:
    await edit()
    async with listening(caller, toolsListChanged=True) as stream:
        assert await first_of(stream) == {"promptsListChanged": True}


# -- what is declared


async def declared(caller: McpCaller) -> tuple[Any, Any]:
    params = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    old = (await caller.post(legacy("initialize", params))).result["capabilities"]
    return old, (await caller.post(modern("server/discover"))).result["capabilities"]


async def test_list_changed_is_declared_for_governed_lists_that_the_server_has(
    edit: Any, caller: McpCaller, server: QuietServer
) -> None:
    methods = {"tools": {"listChanged": True}, "prompts": {"listChanged": True}, "logging": {}}
    await edit(ONE)
    # In 2026-07-28 a server that sends no notices need not accept subscriptions.
    assert await declared(caller) == (methods, CAPABILITIES)
    server.capabilities = {**CAPABILITIES, "resources": {"subscribe": True}}
    resources = {"resources": {"subscribe": True, "listChanged": True}}
    assert await declared(caller) == ({**methods, **resources}, {**methods, **resources})


async def test_what_is_not_governed_is_declared_as_the_server_does(edit: Any, caller: McpCaller) -> None:
    await edit()
    assert await declared(caller) == (CAPABILITIES, CAPABILITIES)


async def test_a_server_without_sessions_has_no_stream_for_notices(
    edit: Any, caller: McpCaller, server: QuietServer
) -> None:
    server.session = None
    await edit(ONE)
    assert (await declared(caller))[0] == CAPABILITIES


# -- the official clients


async def test_the_official_python_client_is_notified_of_an_edit_in_a_session(gateway: RunningGateway) -> None:
    heard: list[Any] = []

    async def on_message(message: Any) -> None:
        if isinstance(message, ToolListChangedNotification):
            heard.append(message)

    async with asking_server() as url:
        first, second = (policy("p", {**ONE, "tools": {"names": names}}) for names in (["greet"], ["greet", "sample"]))
        await gateway.apply(gateway.entry("asking", url, [first]))
        async with connect(gateway.url("asking"), era="legacy", message_handler=on_message) as client:
            assert client.server_capabilities.tools is not None
            assert client.server_capabilities.tools.list_changed
            assert [tool.name for tool in (await client.list_tools()).tools] == ["greet"]
            turn = 0

            async def heard_of_it() -> bool:
                nonlocal turn
                turn += 1  # the client's stream may not be open yet: then it misses the notice of an edit
                await gateway.apply(gateway.entry("asking", url, [(second, first)[turn % 2]]))
                await asyncio.sleep(1)
                return bool(heard)

            await eventually(heard_of_it, seconds=30)


async def test_the_official_python_client_is_notified_of_an_edit_on_its_subscription(gateway: RunningGateway) -> None:
    async with asking_server() as url:
        await gateway.apply(gateway.entry("asking", url, [policy("p", ONE)]))
        async with (
            connect(gateway.url("asking"), era="modern") as client,
            client.listen(tools_list_changed=True) as changes,
        ):
            await gateway.apply(gateway.entry("asking", url, [policy("p", {**ONE, "tools": {"names": ["greet"]}})]))
            async with asyncio.timeout(20):
                assert isinstance(await anext(changes), ToolsListChanged)
            assert [tool.name for tool in (await client.list_tools()).tools] == ["greet"]


@pytest.mark.node
@pytest.mark.parametrize(("sdk", "era"), CLIENTS)
async def test_the_typescript_client_is_notified_of_an_edit(gateway: RunningGateway, sdk: Sdk, era: Any) -> None:
    async with asking_server() as url:
        entries = [
            gateway.entry("asking", url, [policy("p", {**ONE, "tools": {"names": [n]}})]) for n in ("greet", "sample")
        ]
        await gateway.apply(entries[0])
        listen = {"op": "listen", "filter": {"toolsListChanged": True}}
        steps: list[dict[str, Any]] = [
            *([listen] if era == "modern" else []),
            {"op": "waitFor", "method": "notifications/tools/list_changed"},
            {"op": "listTools"},
        ]
        session = asyncio.create_task(run_session(gateway.url("asking"), sdk=sdk, era=era, steps=steps))
        turn = 0
        while not session.done():
            turn += 1
            await gateway.apply(entries[turn % 2])
            await asyncio.wait([session], timeout=1.5)
        lines = await session
    assert [line for line in lines if not line["ok"]] == []
    assert len(lines[-1]["result"]["tools"]) == 1
